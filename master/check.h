#ifndef MUSTER_CHECK_H
#define MUSTER_CHECK_H

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

/* A program of this generation was ready for the first time. */
void		 check_soon(struct check *check, int generation);

#endif
