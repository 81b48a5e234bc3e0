#include "master/pool_priv.h"

/*
 * Wishes: what is wanted of the pool. They change targets and phases; what
 * is done about it is pool_plan.c's.
 */
static int
clamp(const struct pool *pool, int64_t target)
{
	if (target > pool->policy.max_workers)
		return pool->policy.max_workers;
	if (target < pool->policy.min_workers)
		return pool->policy.min_workers;
	return (int)target;
}

struct pool_scaled
pool_scale(struct pool *pool, int64_t delta, int64_t now_ms)
{
	struct pool_scaled	 result = { .from = pool->target };
	int64_t			 base = pool->target;

	if (pool->drained)
		base = pool->remembered;
	result.asked = base + delta;
	result.to = pool->target;
	if (pool->phase != POOL_RUNNING || (pool->drained && delta <= 0)) {
		result.ignored = true;
		result.asked = pool->target + delta;
		return result;
	}
	pool->drained = false;
	pool->target = result.to = clamp(pool, base + delta);
	slot_unpark_all(pool, now_ms);
	return result;
}

void
pool_drain(struct pool *pool)
{
	if (pool->drained || pool->phase != POOL_RUNNING)
		return;
	pool->drained = true;
	pool->remembered = pool->target;
	pool->target = 0;
}

void
pool_renew(struct pool *pool, int64_t now_ms)
{
	struct slot	*slot;
	int		 i;

	if (pool->phase != POOL_RUNNING)
		return;
	pool->generation++;
	pool->renewing = true;
	slot_unpark_all(pool, now_ms);
	for (i = 0; i < pool->nslots; i++) {
		slot = pool->slots[i];
		if (slot->child == NULL) {
			if (slot->wait.armed)
				slot_refill(pool, slot, WHY_RENEW, now_ms);
			slot->failures = slot->quick = 0;
			continue;
		}
		/* A successor of the generation before is no use any more. */
		if (slot->successor != NULL)
			child_order(pool, slot->successor, ON_STOP, WHY_RENEW,
			    now_ms);
		slot->failures = slot->quick = 0;
		timer_disarm(pool, &slot->wait);
		slot->child->retire = WHY_NONE;
		slot_want_successor(pool, slot, WHY_RENEW);
	}
}

static void
stop_fast(struct pool *pool, int64_t now_ms)
{
	timer_disarm(pool, &pool->stop_wait);
	pool->phase = POOL_STOPPING;
	pool_order_all(pool, ON_FAST, WHY_FAST, now_ms);
}

void
pool_stop(struct pool *pool, bool fast, int64_t now_ms)
{
	if (pool->phase == POOL_ENDED)
		return;
	if (fast || pool->phase != POOL_RUNNING) {
		stop_fast(pool, now_ms);
		return;
	}
	pool->phase = POOL_STOP_DELAY;
	timer_arm(pool, &pool->stop_wait, now_ms + pool->policy.stop_delay);
}

void
pool_caretake(struct pool *pool, int nr)
{
	if (nr >= 0 && nr < pool->nslots && pool->phase < POOL_DOOR)
		slot_care(pool, pool->slots[nr]);
}
