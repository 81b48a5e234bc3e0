#include <stdlib.h>

#include "master/pool_priv.h"

/*
 * What next: one answer at a time, until what is wanted and what is known
 * call for nothing more.
 */
void
pool_order_all(struct pool *pool, enum child_event event, enum pool_why why,
    int64_t now_ms)
{
	struct child	*child = NULL;

	while ((child = pool_next_child(pool, child)) != NULL)
		child_order(pool, child, event, why, now_ms);
}

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
	else if (slot->child->retire != WHY_NONE && slot->successor == NULL)
		slot_enqueue(pool, slot, QUEUE_RENEW);
}

static void
expire(struct pool *pool, struct timer *timer, int64_t now_ms)
{
	struct child	*child = timer->owner;

	switch (timer->kind) {
	case TIMER_CHILD:
		pool_say(pool, (struct pool_tell){ .kind = TELL_LATE,
		    .slot = child->info.slot, .child = &child->info });
		child_late(pool, child, now_ms);
		break;
	case TIMER_AGE:
		pool_retire(pool, child, WHY_AGE, now_ms);
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

/* Serves with the newest generation, or will not be filled at all. */
static bool
slot_is_new(const struct pool *pool, const struct slot *slot)
{
	if (!slot->open || slot->parked)
		return true;
	return slot->child != NULL &&
	    slot->child->core.state == CHILD_READY &&
	    slot->child->info.generation == pool->generation;
}

/* Are all workers of the new generation by now? */
static void
renew_done(struct pool *pool)
{
	int	 i;

	if (!pool->renewing || pool->in_flight > 0)
		return;
	for (i = 0; i < pool->nslots; i++)
		if (!slot_is_new(pool, pool->slots[i]))
			return;
	pool->renewing = false;
	pool_say(pool, (struct pool_tell){ .kind = TELL_RENEW_DONE,
	    .slot = -1, .n = pool->generation });
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

/* ---- how it stands */

bool
pool_hungry(const struct pool *pool)
{
	return pool->hungry;
}

enum pool_phase
pool_phase(const struct pool *pool)
{
	return pool->phase;
}

bool
pool_gave_up(const struct pool *pool)
{
	return pool->gave_up;
}

bool
pool_killed_any(const struct pool *pool)
{
	return pool->killed_any;
}

int
pool_target(const struct pool *pool)
{
	return pool->target;
}

int
pool_generation(const struct pool *pool)
{
	return pool->generation;
}

int
pool_live(const struct pool *pool)
{
	return pool->live;
}

int
pool_ready(const struct pool *pool)
{
	return pool->ready;
}

int
pool_leavers(const struct pool *pool)
{
	return pool->leavers + pool->caretaking;
}

/* A percent is of the target, rounded up, and at least one. */
int
pool_surge(const struct pool *pool)
{
	int64_t	 surge = pool->policy.surge;

	if (pool->policy.surge_percent)
		surge = (surge * pool->target + 99) / 100;
	return surge < 1 ? 1 : (int)surge;
}

int
pool_slots(const struct pool *pool)
{
	return pool->nslots;
}

bool
pool_slot(const struct pool *pool, int nr, struct slot_info *out)
{
	const struct slot	*slot;

	if (nr < 0 || nr >= pool->nslots)
		return false;
	slot = pool->slots[nr];
	*out = (struct slot_info){ .open = slot->open, .parked = slot->parked,
	    .failures = slot->failures, .child = slot->child,
	    .successor = slot->successor,
	    .fill_at_ms = slot->wait.armed ? slot->wait.at_ms : -1 };
	return true;
}

bool
pool_slot_ready(const struct pool *pool, int nr)
{
	const struct slot	*slot;

	if (nr < 0 || nr >= pool->nslots)
		return false;
	slot = pool->slots[nr];
	return slot->child != NULL && slot->child->core.state == CHILD_READY;
}

const char *
pool_why_name(enum pool_why why)
{
	static const char *const names[WHYS] = {
		[WHY_NONE] = "none", [WHY_START] = "start",
		[WHY_SCALE] = "scale", [WHY_DIED] = "died",
		[WHY_STOP] = "stop", [WHY_FAST] = "fast-stop",
		[WHY_DRAIN] = "drain", [WHY_REQUESTS] = "max_requests",
		[WHY_AGE] = "max_age", [WHY_RSS] = "max_rss",
		[WHY_RENEW] = "renew", [WHY_WATCHDOG] = "watchdog",
		[WHY_LEFT] = "left", [WHY_CARETAKER] = "caretaker",
		[WHY_GAVE_UP] = "gave-up",
	};

	return names[why];
}
