#ifndef MUSTER_ENV_H
#define MUSTER_ENV_H

struct worker_boot;

/*
 * Make this process's environment a worker's: the master's, as [env] changes
 * it. 0, or -1 with errno.
 */
int	env_apply(const struct worker_boot *boot);

#endif
