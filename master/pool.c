#include "master/pool.h"

#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/*
 * Life of the pool, and how it stands. Facts are in pool_child.c, wishes in
 * pool_wish.c, what to do next in pool_plan.c, the slots in pool_slot.c.
 */
static int
child_compare(const struct child *a, const struct child *b)
{
	return a->info.pid < b->info.pid ? -1 : a->info.pid > b->info.pid;
}

TREE_GENERATE(children, child, by_pid, child_compare)

/* A pool without slots. */
struct pool *
pool_make(const struct pool_policy *policy, uint64_t seed, pool_tell_fn *tell,
    void *arg)
{
	struct pool	*pool = xcalloc(1, sizeof(*pool));
	int		 i;

	pool_copy_policy(pool, policy);
	pool->random = seed;
	pool->tell = tell;
	pool->tell_arg = arg;
	pool->generation = pool->last_generation = 1;
	for (i = 0; i < QUEUES; i++)
		TAILQ_INIT(&pool->queues[i]);
	TAILQ_INIT(&pool->signals);
	TAILQ_INIT(&pool->changed);
	TAILQ_INIT(&pool->changed_slots);
	RB_INIT(&pool->children);
	RB_INIT(&pool->timers);
	timer_init(&pool->fork_wait, TIMER_FORK, NULL);
	timer_init(&pool->stop_wait, TIMER_STOP, NULL);
	return pool;
}

struct pool *
pool_new(const struct pool_policy *policy, int target, uint64_t seed,
    pool_tell_fn *tell, void *arg, int64_t now_ms)
{
	struct pool	*pool = pool_make(policy, seed, tell, arg);
	int		 i;

	pool->target = pool->unsettled = target;
	for (i = 0; i < target; i++)
		slot_open(pool, WHY_START, now_ms)->unsettled = true;
	return pool;
}

void
pool_free(struct pool *pool)
{
	struct child	*child;
	int		 i;

	if (pool == NULL)
		return;
	while ((child = RB_MIN(children, &pool->children)) != NULL) {
		RB_REMOVE(children, &pool->children, child);
		free(child);
	}
	for (i = 0; i < pool->nslots; i++)
		free(pool->slots[i]);
	free(pool->slots);
	free((void *)pool->policy.fatal_codes);
	free(pool);
}

void
pool_say(struct pool *pool, struct pool_tell tell)
{
	pool->tell(pool->tell_arg, &tell);
}

/* ---- a slot's first worker was ready or failed once */

void
slot_settled(struct pool *pool, struct slot *slot)
{
	if (slot->unsettled) {
		slot->unsettled = false;
		slot_touch(pool, slot);
		pool->unsettled--;
	}
	if (pool->announced || pool->unsettled > 0 || pool->ready == 0)
		return;
	pool->announced = true;
	pool_say(pool, (struct pool_tell){ .kind = TELL_READY,
	    .slot = slot->nr, .n = pool->ready });
}

void
pool_give_up(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	if (pool->gave_up || pool->phase != POOL_RUNNING)
		return;
	pool->gave_up = true;
	pool_say(pool, (struct pool_tell){ .kind = TELL_GAVE_UP,
	    .slot = slot == NULL ? -1 : slot->nr,
	    .n = slot == NULL ? pool->fork_failures : slot->failures });
	pool->phase = POOL_STOPPING;
	pool_order_all(pool, ON_FAST, WHY_GAVE_UP, now_ms);
}

/* ---- the children */

/* NULL, or who has its pid already. */
struct child *
pool_insert(struct pool *pool, struct child *child)
{
	struct child	*other = RB_INSERT(children, &pool->children, child);

	if (other != NULL)
		return other;
	pool->live++;
	child_touch(pool, child);
	return NULL;
}

void
pool_remove(struct pool *pool, struct child *child)
{
	RB_REMOVE(children, &pool->children, child);
	pool->live--;
	child_untouch(pool, child);
}

struct child *
pool_find(struct pool *pool, pid_t pid)
{
	struct child	 key;

	key.info.pid = pid;
	return RB_FIND(children, &pool->children, &key);
}

struct child *
pool_next_child(struct pool *pool, struct child *previous)
{
	return previous == NULL ? RB_MIN(children, &pool->children) :
	    RB_NEXT(children, &pool->children, previous);
}

const struct child_info *
child_info(const struct child *child)
{
	return &child->info;
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
pool_announced(const struct pool *pool)
{
	return pool->announced;
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

bool
pool_drained(const struct pool *pool)
{
	return pool->drained;
}

int
pool_generation(const struct pool *pool)
{
	return pool->generation;
}

int
pool_proven(const struct pool *pool)
{
	return pool->proven;
}

bool
pool_renewing(const struct pool *pool)
{
	return pool->renewing;
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
