#ifndef MUSTER_CHILD_H
#define MUSTER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The states of one worker process as the master sees it, and the table of
 * what happens next. Pure: no system call, no clock, no memory.
 */
enum child_state {
	CHILD_STARTING,		/* forked, not ready yet */
	CHILD_READY,		/* serves */
	CHILD_DRAINING,		/* told to stop, or stops by itself */
	CHILD_ENDING,		/* told to stop fast, or aborted */
	CHILD_KILLED,		/* KILL sent to its group */
	CHILD_STATES
};

enum child_event {
	ON_READY,		/* it says that it serves */
	ON_LEAVING,		/* it says that it stops by itself */
	ON_STOP,		/* it shall stop gracefully */
	ON_FAST,		/* it shall stop fast */
	ON_STALE,		/* no sign of life for too long */
	ON_DEADLINE,		/* the state's time limit has passed */
	CHILD_EVENTS
};

enum child_act {
	DO_NOTHING,
	DO_STOP,		/* send stop_signal */
	DO_FAST,		/* send fast_signal */
	DO_ABORT,		/* send ABRT: a stuck worker leaves a trace */
	DO_KILL,		/* send KILL to its process group */
	DO_SURPRISE,		/* the state does not expect this: ignored */
};

struct child_limits {		/* ms */
	int64_t		 ready;		/* 0: no limit */
	int64_t		 graceful;	/* 0: at once */
	int64_t		 kill;		/* 0: at once */
};

#define CHILD_NO_DEADLINE	INT64_MAX

struct child_core {
	enum child_state state;
	int64_t		 since_ms;	/* when the state was entered */
	int64_t		 deadline_ms;	/* or CHILD_NO_DEADLINE */
};

/* A child just forked. */
void		 child_begin(struct child_core *child,
		    const struct child_limits *limits, int64_t now_ms);

/*
 * The only writer of the state: what the event makes of it, and what is to
 * be done about it.
 */
enum child_act	 child_step(struct child_core *child, enum child_event event,
		    const struct child_limits *limits, int64_t now_ms);

/*
 * Other limits: the state's deadline counts anew from when the state began. A
 * killed child's stays.
 */
void		 child_relimit(struct child_core *child,
		    const struct child_limits *limits);

/* Names for the log: "ready", "deadline". */
const char	*child_state_name(enum child_state state);
const char	*child_event_name(enum child_event event);

#endif
