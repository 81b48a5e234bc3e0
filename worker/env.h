#ifndef MUSTER_ENV_H
#define MUSTER_ENV_H

struct worker_boot;

/*
 * Make this process's environment a worker's: what [env] says, and who it is
 * (MUSTER_SLOT, MUSTER_GENERATION, MUSTER_NAME, MUSTER_MASTER_PID). 0, or -1
 * with errno.
 */
int	env_apply(const struct worker_boot *boot);

#endif
