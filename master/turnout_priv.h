#ifndef MUSTER_TURNOUT_PRIV_H
#define MUSTER_TURNOUT_PRIV_H

#include <bsd/sys/queue.h>

#include "master/child.h"
#include "master/listener.h"
#include "master/pool.h"
#include "master/turnout.h"

/*
 * Shared by turnout.c, who gets new connections, and turnout_stop.c, who may
 * be told to stop.
 */
struct parting {		/* steered away from, not told yet */
	pid_t			 pid;
	int			 slot, generation, signo;
	int64_t			 due_ms, bound_ms;
	LIST_ENTRY(parting)	 link;
};

struct group;

struct turnout {
	struct event_base	*base;
	int			 priority;
	struct pool		*pool;
	turnout_set_fn		*set_of;
	turnout_run_fn		*run;
	void			*arg;
	LIST_HEAD(, parting)	 partings;
	LIST_HEAD(, group)	 groups;
	/* What holds() was asked last: there may be thousands of workers. */
	const struct listener	*asked;
	int			 asked_of;
	bool			 answer;
};

/* Is the child in that state, and did it inherit the listener? */
bool	 turnout_holds(struct turnout *turnout, const struct child *child,
	    enum child_state state, const struct listener *listener);
/* Does the slot's ready worker serve it? */
bool	 turnout_serves(struct turnout *turnout, int slot,
	    const struct listener *listener);
/* Tell those whose time has come; all, once the pool ends. */
void	 turnout_tell_due(struct turnout *turnout, int64_t now_ms);

#endif
