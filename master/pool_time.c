#include "master/pool_priv.h"

/*
 * Deadlines, the earliest first, in a red-black tree (tree(3bsd)): arming and
 * taking cost O(log n), so that one more worker costs the same at 5000 as at
 * five. And chance: splitmix64 (Steele, Lea, Flood 2014), small and seeded.
 */
static int
timer_compare(const struct timer *a, const struct timer *b)
{
	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

TREE_GENERATE(timers, timer, entry, timer_compare)

void
timer_init(struct timer *timer, enum timer_kind kind, void *owner)
{
	timer->kind = kind;
	timer->owner = owner;
	timer->armed = false;
}

/* Whose row it is in. The fork's and the stop's are the pool's. */
static void
touch_owner(struct pool *pool, const struct timer *timer)
{
	switch (timer->kind) {
	case TIMER_CHILD:
	case TIMER_AGE:
	case TIMER_ALIVE:
		child_touch(pool, timer->owner);
		break;
	case TIMER_SLOT:
	case TIMER_CARE:
		slot_touch(pool, timer->owner);
		break;
	case TIMER_FORK:
	case TIMER_STOP:
		break;
	}
}

void
timer_arm(struct pool *pool, struct timer *timer, int64_t at_ms)
{
	timer_disarm(pool, timer);
	timer->at_ms = at_ms;
	timer->seq = ++pool->seq;
	timer->armed = true;
	RB_INSERT(timers, &pool->timers, timer);
	touch_owner(pool, timer);
}

/* As it was saved. False: another one has its place in the order. */
bool
timer_restore(struct pool *pool, struct timer *timer, int64_t at_ms,
    uint64_t seq)
{
	if (at_ms == -1)
		return true;
	timer->at_ms = at_ms;
	timer->seq = seq;
	timer->armed = RB_INSERT(timers, &pool->timers, timer) == NULL;
	return timer->armed;
}

void
timer_disarm(struct pool *pool, struct timer *timer)
{
	if (!timer->armed)
		return;
	RB_REMOVE(timers, &pool->timers, timer);
	timer->armed = false;
	touch_owner(pool, timer);
}

/* The earliest that is due, disarmed, or NULL. */
struct timer *
timer_due(struct pool *pool, int64_t now_ms)
{
	struct timer	*timer = RB_MIN(timers, &pool->timers);

	if (timer == NULL || timer->at_ms > now_ms)
		return NULL;
	timer_disarm(pool, timer);
	return timer;
}

int64_t
pool_deadline_ms(const struct pool *pool)
{
	struct timers	*timers = (struct timers *)&pool->timers;
	struct timer	*timer = RB_MIN(timers, timers);

	return timer == NULL ? -1 : timer->at_ms;
}

/* 0 to limit - 1; 0 when limit is not positive. */
int64_t
random_below(struct pool *pool, int64_t limit)
{
	uint64_t	 z;

	if (limit <= 0)
		return 0;
	z = pool->random += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (int64_t)(z % (uint64_t)limit);
}

/* backoff_min, doubled per failure up to backoff_max, plus up to a quarter. */
int64_t
backoff(struct pool *pool, int failures)
{
	int64_t	 delay = pool->policy.backoff_min;
	int	 i;

	for (i = 1; i < failures && i < 64 &&
	    delay < pool->policy.backoff_max; i++)
		delay *= 2;
	if (delay > pool->policy.backoff_max)
		delay = pool->policy.backoff_max;
	return delay + random_below(pool, delay / 4 + 1);
}
