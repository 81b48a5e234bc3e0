#ifndef MUSTER_UPGRADE_H
#define MUSTER_UPGRADE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/*
 * Upgrade in place: first a trial (the new binary in a child, with a copy of
 * the state, says on a pipe whether it could go on from there), then the exec
 * in our own pid. Nothing of it blocks.
 */
struct event_base;
struct mirror;
struct proc_death;
struct upgrade;

/*
 * The trial is over. version is that of the new binary, or NULL: it failed,
 * and why says how, as a sentence about the new binary. Called at most once a
 * start, from the loop or from upgrade_exited().
 */
typedef void	 upgrade_done_fn(void *arg, const char *version,
		    const char *why);

struct upgrade	*upgrade_new(struct event_base *base, int priority,
		    struct mirror *mirror, upgrade_done_fn *done, void *arg);
/* Kills a trial that runs. */
void		 upgrade_free(struct upgrade *upgrade);

/*
 * Try path (NULL: heal_path()) for at most timeout_ms. -1 with err: it could
 * not even be tried; done is not called then.
 */
int		 upgrade_start(struct upgrade *upgrade, const char *path,
		    int64_t timeout_ms, struct err *err);
bool		 upgrade_running(const struct upgrade *upgrade);
/* The pid of a trial that is not reaped yet; 0: none. */
pid_t		 upgrade_pid(const struct upgrade *upgrade);
/*
 * From whoever reaps: a child has ended. True: it was a trial of ours, and
 * nobody else's business.
 */
bool		 upgrade_exited(struct upgrade *upgrade, pid_t pid,
		    const struct proc_death *death);

/*
 * The trial's side: say "ok VERSION", or err (NULL: none), on reply_fd.
 * Returns the exit code to end with.
 */
int		 upgrade_trial_answer(int reply_fd, const struct err *err);

/*
 * Become the binary at path (NULL: heal_path()), with the mirror as state.
 * Returns only when that failed: -1 with err, and nothing has changed.
 */
int		 upgrade_exec(struct mirror *mirror, const char *path,
		    struct err *err);

/*
 * The new image cannot go on from the state, and why: be the old one again,
 * whose descriptor heal_origin() has, from the same state. Not twice: only after
 * HEAL_UPGRADE. Returns only on failure: -1 with err.
 */
int		 upgrade_back(const char *why, struct err *err);

#endif
