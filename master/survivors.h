#ifndef MUSTER_SURVIVORS_H
#define MUSTER_SURVIVORS_H

#include <sys/socket.h>
#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"

/*
 * The workers that a killed master left, found by the instance's name: for
 * muster --adopt. Built-in workers are known by their title, programs by the
 * MUSTER_ variables they were started with (one that writes its title over
 * its environment, as nginx does, is not found). What they say of themselves
 * is checked twice, the second time with a pidfd in hand, so that a number
 * that now is another process's is never taken for a worker.
 *
 * As root workers of any user are found, else our own. Runs at the start,
 * before anything depends on us: it reads all of /proc.
 */
struct survivor {
	pid_t	 pid;
	int	 pidfd;		/* owned by the list, close-on-exec; or -1 */
	uid_t	 uid;		/* for root: is it the workers' user? */
	int	 slot;
	int	 generation;	/* 0: not known (a built-in worker) */
	bool	 program;
	/* It serves only while it drains, or looks after a socket; a built-in
	 * worker says so. */
	bool	 leaving;
	uint64_t start;		/* clock ticks since boot */
};

struct survivors {
	struct survivor	*list;	/* by slot, the older process first */
	size_t		 count;
	int		 lock;	/* owned; nobody else may look; or -1 */
};

/*
 * NULL with err if a living master of that name is there, or one that looks
 * for them just now, or /proc cannot be read; an empty list is none.
 *
 * Until the list is freed nobody else of our user gets one of that name: by
 * then our title has to say who we are. Before any fork, as a child would hold
 * the lock, too.
 */
struct survivors	*survivors_find(const char *name, struct err *err);
void			 survivors_free(struct survivors *survivors);
/* How many slots they serve in, but for those that only leave. */
int			 survivors_slots(const struct survivors *survivors);

/*
 * A stream socket that listens where is asked for (listens_at() of listener.h),
 * and is none of those that we have: taken from the first survivor that has
 * one (pidfd_getfd(2)), close-on-exec, the caller's. -1 with err and errno:
 * ENOENT, nobody has one; else we may not take it.
 */
struct survivors_ask {
	const struct addr	*addr;
	const struct sockaddr	*sa;
	const ino_t		*have;
	size_t			 nhave;
};
int			 survivors_socket(const struct survivors *survivors,
			    const struct survivors_ask *ask, struct err *err);

/* Drop those of another user than this one and ours. Logged. */
void			 survivors_of(struct survivors *survivors, uid_t uid);

/*
 * Drop those that hold none of these sockets (st_ino): whoever only looks
 * like a worker, or serves something else. Logged.
 */
void			 survivors_keep(struct survivors *survivors,
			    const ino_t *sockets, size_t count);

#endif
