#ifndef MUSTER_HEALTH_H
#define MUSTER_HEALTH_H

#include <stdint.h>

struct board;
struct conf;
struct event_base;
struct pool;

/*
 * The tick: what the workers' figures and the kernel say of them becomes
 * facts: no sign of life for as long as watchdog allows, more memory than
 * max_rss. A third of watchdog apart; without a watchdog there is a tick for
 * max_rss alone, and without that none at all.
 */
struct health;
typedef void	 health_done_fn(void *arg);

/* done is called after each tick. Borrows all. Never fails. */
struct health	*health_new(struct event_base *base, int priority,
		    const struct conf *conf, struct pool *pool,
		    struct board *board, health_done_fn *done, void *arg);
void		 health_free(struct health *health);

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
