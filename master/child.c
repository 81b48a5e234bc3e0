#include "master/child.h"

#include <stddef.h>

enum limit { NO_LIMIT, READY_LIMIT, GRACEFUL_LIMIT, KILL_LIMIT, AGAIN_LIMIT };

struct child_rule {
	bool			 known;
	enum child_state	 next;
	enum child_act		 act;
	enum limit		 limit;
};

/*
 * A row a state, a cell an event: the next state, what to do, which limit
 * runs from now on. What has no cell is a surprise. KILL may be repeated, no
 * other signal is ever sent twice for one reason.
 */
static const struct child_rule rules[CHILD_STATES][CHILD_EVENTS] = {
	[CHILD_STARTING] = {
		[ON_READY] = { true, CHILD_READY, DO_NOTHING, NO_LIMIT },
		[ON_STOP] = { true, CHILD_DRAINING, DO_STOP, GRACEFUL_LIMIT },
		[ON_FAST] = { true, CHILD_ENDING, DO_FAST, KILL_LIMIT },
		[ON_DEADLINE] = { true, CHILD_KILLED, DO_KILL, AGAIN_LIMIT },
	},
	[CHILD_READY] = {
		[ON_LEAVING] = { true, CHILD_DRAINING, DO_NOTHING,
		    GRACEFUL_LIMIT },
		[ON_STOP] = { true, CHILD_DRAINING, DO_STOP, GRACEFUL_LIMIT },
		[ON_FAST] = { true, CHILD_ENDING, DO_FAST, KILL_LIMIT },
		/*
		 * Abort before kill: a hung worker still leaves a trace that
		 * way, and the limit takes care of one that no longer can.
		 */
		[ON_STALE] = { true, CHILD_ENDING, DO_ABORT, KILL_LIMIT },
	},
	[CHILD_DRAINING] = {
		[ON_FAST] = { true, CHILD_ENDING, DO_FAST, KILL_LIMIT },
		[ON_DEADLINE] = { true, CHILD_KILLED, DO_KILL, AGAIN_LIMIT },
	},
	[CHILD_ENDING] = {
		[ON_DEADLINE] = { true, CHILD_KILLED, DO_KILL, AGAIN_LIMIT },
	},
	[CHILD_KILLED] = {
		[ON_DEADLINE] = { true, CHILD_KILLED, DO_KILL, AGAIN_LIMIT },
	},
};

/* How long a killed child may take to be reaped before KILL is repeated. */
#define KILL_AGAIN_MS	1000

static int64_t
deadline(enum limit limit, const struct child_limits *limits, int64_t now_ms)
{
	switch (limit) {
	case READY_LIMIT:
		return limits->ready == 0 ? CHILD_NO_DEADLINE :
		    now_ms + limits->ready;
	case GRACEFUL_LIMIT:
		return now_ms + limits->graceful;
	case KILL_LIMIT:
		return now_ms + limits->kill;
	case AGAIN_LIMIT:
		return now_ms + KILL_AGAIN_MS;
	case NO_LIMIT:
		break;
	}
	return CHILD_NO_DEADLINE;
}

void
child_begin(struct child_core *child, const struct child_limits *limits,
    int64_t now_ms)
{
	child->state = CHILD_STARTING;
	child->since_ms = now_ms;
	child->deadline_ms = deadline(READY_LIMIT, limits, now_ms);
}

enum child_act
child_step(struct child_core *child, enum child_event event,
    const struct child_limits *limits, int64_t now_ms)
{
	const struct child_rule	*rule = &rules[child->state][event];

	if (!rule->known)
		return DO_SURPRISE;
	if (rule->next != child->state) {
		child->state = rule->next;
		child->since_ms = now_ms;
	}
	child->deadline_ms = deadline(rule->limit, limits, now_ms);
	return rule->act;
}

void
child_relimit(struct child_core *child, const struct child_limits *limits)
{
	static const enum limit	 of_state[CHILD_STATES] = {
		[CHILD_STARTING] = READY_LIMIT, [CHILD_READY] = NO_LIMIT,
		[CHILD_DRAINING] = GRACEFUL_LIMIT, [CHILD_ENDING] = KILL_LIMIT,
	};

	if (child->state != CHILD_KILLED)
		child->deadline_ms = deadline(of_state[child->state], limits,
		    child->since_ms);
}

const char *
child_state_name(enum child_state state)
{
	static const char *const names[CHILD_STATES] = {
		[CHILD_STARTING] = "starting",
		[CHILD_READY] = "ready",
		[CHILD_DRAINING] = "draining",
		[CHILD_ENDING] = "ending",
		[CHILD_KILLED] = "killed",
	};

	return names[state];
}

const char *
child_event_name(enum child_event event)
{
	static const char *const names[CHILD_EVENTS] = {
		[ON_READY] = "ready",
		[ON_LEAVING] = "leaving",
		[ON_STOP] = "stop",
		[ON_FAST] = "fast",
		[ON_STALE] = "stale",
		[ON_DEADLINE] = "deadline",
	};

	return names[event];
}
