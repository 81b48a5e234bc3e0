#ifndef MUSTER_HEALTH_H
#define MUSTER_HEALTH_H

#include <stdint.h>

struct board;
struct event_base;
struct generations;
struct pool;
struct roster;

/*
 * The tick: what the workers' figures and the kernel say of them becomes
 * facts: no sign of life for as long as watchdog allows, more memory than
 * max_rss. A third of watchdog apart; without a watchdog there is a tick for
 * max_rss alone, and without that none at all. Each worker is held to the
 * configuration it was started with; a program, to a watchdog only once it
 * has spoken to it, unless watchdog_required.
 */
struct health;
typedef void	 health_done_fn(void *arg);

struct health_parts {		/* all borrowed */
	struct event_base		*base;
	int				 priority;
	const struct generations	*generations;
	struct pool			*pool;
	struct board			*board;
	struct roster			*roster;
	health_done_fn			*done;	/* after each tick */
	void				*arg;
};

/* Never fails. There is no tick before health_set(). */
struct health	*health_new(const struct health_parts *parts);
void		 health_free(struct health *health);

/* The configuration in force has changed. */
void		 health_set(struct health *health);

/* When the next tick is due, monotonic ms, or -1: never. */
int64_t		 health_due_ms(const struct health *health);
/*
 * Silence before now counts against no one: the master was away. The next
 * tick is a whole interval from now.
 */
void		 health_forgive(struct health *health, int64_t now_ms);
/* Tell the pool how many connections each worker has, for cull = idlest. */
void		 health_count_active(struct health *health);

#endif
