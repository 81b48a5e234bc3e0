#ifndef MUSTER_ENV_H
#define MUSTER_ENV_H

#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

struct program_boot;
struct worker_boot;

/*
 * An environment being built, for execve(2): "NAME=value" up to a NULL. A name
 * is there once at most, but for what came in twice unasked.
 */
struct env {
	char	**vars;		/* borrowed from base, or our own */
	size_t	  count, room;
	char	**own;		/* to be freed, though they may be unset */
	size_t	  nown, own_room;
};

/*
 * A worker's: base as [env] changes it, without what our own starter told us
 * of sockets and notification. base has to stay until env_free(), which
 * empties it.
 */
void		 env_init(struct env *env, const struct conf *conf,
		    char *const *base);
void		 env_free(struct env *env);

void		 env_set(struct env *env, const char *name, const char *value);
void		 env_unset(struct env *env, const char *name);
const char	*env_get(const struct env *env, const char *name);

/* A process's number is known to itself first: room for one, empty. */
#define ENV_PID_ROOM	12
char		*env_set_room(struct env *env, const char *name);

/*
 * The contract with a program: who it is, its sockets in each dialect asked
 * for, where it reports. Those it has to hold its own pid are written to
 * pids, NULL behind them, at most ENV_PIDS - 1. -1 with err: an address
 * cannot be told in one of the dialects.
 */
#define ENV_PIDS	3
int		 env_contract(struct env *env, const struct program_boot *boot,
		    char *pids[ENV_PIDS], struct err *err);

/* Make this process's environment an app worker's. */
void		 env_apply(const struct worker_boot *boot);

#endif
