#include "master/pool_priv.h"

/*
 * What next: one answer at a time, until what is wanted and what is known
 * call for nothing more.
 */
static void
begin_draining(struct pool *pool, int64_t now_ms)
{
	pool->phase = POOL_STOPPING;
	pool_order_all(pool, ON_STOP, WHY_STOP, now_ms);
}

/* The stop goes on: first refuse new connections, then drain. */
static void
stop_goes_on(struct pool *pool, int64_t now_ms)
{
	if (pool->phase == POOL_DOOR) {
		begin_draining(pool, now_ms);
		return;
	}
	pool->phase = POOL_DOOR;
	pool->refuse_due = true;
	timer_arm(pool, &pool->stop_wait, now_ms + pool->policy.door);
}

static void
slot_waited(struct pool *pool, struct slot *slot)
{
	if (slot->child == NULL)
		slot_enqueue(pool, slot, QUEUE_FILL);
	else
		slot_wanting(pool, slot);
}

static void
expire(struct pool *pool, struct timer *timer, int64_t now_ms)
{
	struct child	*child = timer->owner;

	switch (timer->kind) {
	case TIMER_CHILD:
		child_late(pool, child, now_ms);
		break;
	case TIMER_AGE:
		pool_retire(pool, child, WHY_AGE, now_ms);
		break;
	case TIMER_ALIVE:
		child_lives(pool, child, now_ms);
		break;
	case TIMER_SLOT:
		slot_waited(pool, timer->owner);
		break;
	case TIMER_CARE:
		slot_care(pool, timer->owner);
		break;
	case TIMER_STOP:
		stop_goes_on(pool, now_ms);
		break;
	case TIMER_FORK:
		break;		/* that it is disarmed is all */
	}
}

/* ---- acts */

static bool
next_signal(struct pool *pool, struct act *act)
{
	struct child	*child = TAILQ_FIRST(&pool->signals);

	if (child == NULL)
		return false;
	TAILQ_REMOVE(&pool->signals, child, link);
	*act = (struct act){ .kind = ACT_SIGNAL, .slot = child->info.slot,
	    .generation = child->info.generation, .why = child->info.why,
	    .child = child, .signal = child->due };
	child->due = DO_NOTHING;
	child->due_seq = 0;
	child_touch(pool, child);
	return true;
}

static void
spawn(struct pool *pool, struct act *act, int slot, enum pool_why why)
{
	const struct pool_policy	*policy = &pool->policy;

	*act = (struct act){ .kind = ACT_SPAWN, .slot = slot,
	    .generation = pool->generation, .why = why };
	if (policy->max_requests > 0)
		act->max_requests = policy->max_requests +
		    random_below(pool, policy->max_requests_jitter + 1);
	pool->turn_spawns++;
}

static bool
next_spawn(struct pool *pool, struct act *act)
{
	struct slot	*slot;

	if ((slot = TAILQ_FIRST(&pool->queues[QUEUE_CARE])) != NULL) {
		slot_dequeue(pool, slot);
		spawn(pool, act, slot->nr, WHY_CARETAKER);
		act->caretaker = true;
		return true;
	}
	if ((slot = TAILQ_FIRST(&pool->queues[QUEUE_FILL])) != NULL) {
		slot_dequeue(pool, slot);
		spawn(pool, act, slot->nr, slot->why);
		return true;
	}
	slot = TAILQ_FIRST(&pool->queues[QUEUE_RENEW]);
	if (slot == NULL || pool->in_flight >= pool_surge(pool))
		return false;
	slot_dequeue(pool, slot);
	pool->in_flight++;
	spawn(pool, act, slot->nr, slot->child->retire);
	act->successor = true;
	return true;
}

static bool
spawn_waiting(const struct pool *pool)
{
	return !TAILQ_EMPTY(&pool->queues[QUEUE_CARE]) ||
	    !TAILQ_EMPTY(&pool->queues[QUEUE_FILL]) ||
	    (!TAILQ_EMPTY(&pool->queues[QUEUE_RENEW]) &&
	    pool->in_flight < pool_surge(pool));
}

/* May this phase still fork, does the kernel let us, is it our turn? */
static bool
may_spawn(struct pool *pool)
{
	if (pool->phase >= POOL_DOOR || pool->fork_wait.armed ||
	    !spawn_waiting(pool))
		return false;
	pool->hungry = pool->turn_spawns >= pool->policy.spawn_batch;
	return !pool->hungry;
}

/* Open one slot, or close some, if their number is not what is wanted. */
static bool
adjust(struct pool *pool, int64_t now_ms)
{
	if (pool->phase >= POOL_DOOR || pool->nopen == pool->target)
		return false;
	if (pool->nopen < pool->target)
		slot_open(pool, WHY_SCALE, now_ms);
	else
		slot_close_surplus(pool, pool->drained ? WHY_DRAIN : WHY_SCALE,
		    now_ms);
	return true;
}

void
pool_begin_turn(struct pool *pool)
{
	pool->turn_spawns = 0;
}

bool
pool_next(struct pool *pool, int64_t now_ms, struct act *act)
{
	struct timer	*timer;

	pool->hungry = false;
	for (;;) {
		if (pool->refuse_due) {
			pool->refuse_due = false;
			*act = (struct act){ .kind = ACT_REFUSE };
			return true;
		}
		if (next_signal(pool, act))
			return true;
		if ((timer = timer_due(pool, now_ms)) != NULL)
			expire(pool, timer, now_ms);
		else if (!adjust(pool, now_ms))
			break;
	}
	if (pool->phase == POOL_STOPPING && pool->live == 0)
		pool->phase = POOL_ENDED;
	renew_done(pool);
	return may_spawn(pool) && next_spawn(pool, act);
}
