#ifndef MUSTER_BIRTH_H
#define MUSTER_BIRTH_H

#include "common/addr.h"
#include "master/pool.h"
#include "master/spawn.h"
#include "worker/program.h"
#include "worker/worker.h"

struct ack;
struct capture;
struct generation;
struct mailbox;

/*
 * One worker on its way into the world: for spawn.c, which forks, and
 * birth.c, which prepares and announces. Reused; what it owns until it is
 * announced or undone is named.
 */
struct birth {
	struct act		 act;
	const struct generation	*generation;
	struct inherited	*sockets;	/* owned, kept for the next */
	size_t			 room;		/* of sockets */
	int			 cell;		/* owned */
	pid_t			 pid;		/* -1: not forked */
	struct worker_boot	 boot;		/* of a built-in app */
	/* Of a program; owned, NULL and -1 if there is none. */
	struct program		*program;
	struct program_failure	 failure;
	struct mailbox		*mail;
	struct ack		*ack;
	struct capture		*output;
	int			 out_fd;
};

/* What all births share beside the spawner's parts. */
struct birth_place {
	struct spawn_parts	 p;
	int			 life[2];	/* workers hold life[0] */
	int			 null_fd;	/* /dev/null, for their stdin */
};

/*
 * All that can fail or allocate, before the fork. 0, or -1 with err, and
 * nothing is left of it.
 */
int	birth_prepare(struct birth_place *place, struct birth *birth,
	    const struct act *act, struct err *err);
/* It lives: it gets its entry in the roster, and the pool knows it. */
void	birth_announce(struct birth_place *place, struct birth *birth);
/* It does not: give back what it was given. */
void	birth_undo(struct birth_place *place, struct birth *birth);

#endif
