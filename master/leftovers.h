#ifndef MUSTER_LEFTOVERS_H
#define MUSTER_LEFTOVERS_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/err.h"

/*
 * What programs leave behind: a child of a worker that outlives its parent
 * becomes ours (prctl(2), PR_SET_CHILD_SUBREAPER). As long as the worker that
 * it came from lives, that is its affair; afterwards it is killed, so that no
 * process of an old generation lives on unseen.
 */
struct leftovers_ask {
	/* Is it a worker, or another child that somebody waits for? */
	bool	(*known)(void *arg, pid_t pid);
	/* Is it the NOTIFY_SOCKET of a worker that lives? */
	bool	(*alive)(void *arg, const char *address);
	void	*arg;
};

/* From now on. 0, or -1 with err. */
int	leftovers_init(struct err *err);

/*
 * Kill those of our children whose worker is gone: after each end of a worker
 * and of a stranger, as the children of one killed come to us, too. Only what
 * has the environment of one of our workers is touched. So many a call;
 * returns how many were killed that had not been before.
 */
int	leftovers_sweep(const struct leftovers_ask *ask);

#endif
