#ifndef MUSTER_SUPERVISE_H
#define MUSTER_SUPERVISE_H

#include <stdbool.h>

#include "common/err.h"

struct conf;
struct event_base;
struct listener_set;
struct pool;

/*
 * The shell around the pool: brings it the facts, asks what next, does it,
 * and arms the one timer for its next deadline. It decides nothing.
 */
struct supervise;

/* Called when the pool has become ready, and when it has ended. */
struct supervise_events {
	void	(*ready)(void *arg);
	void	(*ended)(void *arg);
	void	*arg;
};

/* Priorities of the loop's events: signals come before all else. */
enum { PRIORITY_SIGNALS, PRIORITY_FACTS, PRIORITY_TURNS, PRIORITIES };

/* Borrows all. NULL with err. No worker is started before the first run. */
struct supervise	*supervise_new(struct event_base *base,
			    const struct conf *conf,
			    struct listener_set *listeners,
			    const struct supervise_events *events,
			    struct err *err);
void			 supervise_free(struct supervise *supervise);

/* The pool, for wishes. After them call supervise_run(). */
struct pool		*supervise_pool(struct supervise *supervise);

/* CHLD: reap all that have ended. */
void			 supervise_reap(struct supervise *supervise);

/* Do all that is to be done now. */
void			 supervise_run(struct supervise *supervise);

/* Bring the workers' connection counts up to date, before a shrink. */
void			 supervise_count_active(struct supervise *supervise);

#endif
