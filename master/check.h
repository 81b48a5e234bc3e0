#ifndef MUSTER_CHECK_H
#define MUSTER_CHECK_H

#include <stdint.h>

struct child_info;
struct err;
struct event_base;
struct generations;
struct pool;
struct roster;

/*
 * Some seconds after a program was ready, once a generation: does it use the
 * sockets that it was given? One that does not is asked once more before
 * anybody is warned (probe.h).
 */
struct check;

/* All borrowed. Never fails. */
struct check	*check_new(struct event_base *base, int priority,
		    const struct generations *generations,
		    struct pool *pool, struct roster *roster);
void		 check_free(struct check *check);

/*
 * A program says that it is ready, or has lived for long enough. May it take
 * the place of the worker that is there? If that one uses its sockets, only
 * once it does so, too: before, it still loads, and may yet fail. After
 * ready_timeout, or when it listens elsewhere, it never will.
 */
enum check_verdict {
	CHECK_GOOD,		/* or nobody can tell */
	CHECK_WAIT,		/* not yet: ask again after *again_ms */
	CHECK_BAD,		/* why has the reason */
};

enum check_verdict	 check_successor(struct check *check,
			    const struct child_info *info, int64_t *again_ms,
			    struct err *why);

/* A program of this generation was ready for the first time. */
void		 check_soon(struct check *check, int generation);

#endif
