#include "master/pool_priv.h"

/*
 * Wishes: what is wanted of the pool. They change targets and phases; what
 * is done about it is pool_plan.c's.
 */
int
pool_clamp(const struct pool *pool, int64_t target)
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
	pool->target = result.to = pool_clamp(pool, base + delta);
	slot_unpark_all(pool, now_ms);
	return result;
}

struct pool_scaled
pool_set_target(struct pool *pool, int64_t target, int64_t now_ms)
{
	struct pool_scaled	 result = { .from = pool->target,
				    .to = pool->target, .asked = target };

	if (pool->phase != POOL_RUNNING) {
		result.ignored = true;
		return result;
	}
	pool->drained = false;
	pool->target = result.to = pool_clamp(pool, target);
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

bool
pool_undrain(struct pool *pool, int64_t now_ms)
{
	if (!pool->drained || pool->phase != POOL_RUNNING)
		return false;
	pool_set_target(pool, pool->remembered, now_ms);
	return true;
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
