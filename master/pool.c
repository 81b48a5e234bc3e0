#include "master/pool.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/*
 * Life of the pool and of its children: what the facts do. Wishes are in
 * pool_wish.c, what to do next in pool_plan.c, the slots in pool_slot.c.
 */
static int
child_compare(const struct child *a, const struct child *b)
{
	return a->info.pid < b->info.pid ? -1 : a->info.pid > b->info.pid;
}

TREE_GENERATE(children, child, by_pid, child_compare)

struct pool *
pool_new(const struct pool_policy *policy, int target, uint64_t seed,
    pool_tell_fn *tell, void *arg, int64_t now_ms)
{
	struct pool	*pool = xcalloc(1, sizeof(*pool));
	int		 i;

	pool->policy = *policy;
	pool->random = seed;
	pool->tell = tell;
	pool->tell_arg = arg;
	pool->target = pool->unsettled = target;
	pool->generation = 1;
	for (i = 0; i < QUEUES; i++)
		TAILQ_INIT(&pool->queues[i]);
	TAILQ_INIT(&pool->signals);
	RB_INIT(&pool->children);
	RB_INIT(&pool->timers);
	timer_init(&pool->fork_wait, TIMER_FORK, NULL);
	timer_init(&pool->stop_wait, TIMER_STOP, NULL);
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

/* ---- one child */

static void
signal_due(struct pool *pool, struct child *child, enum child_act act)
{
	if (child->due == DO_NOTHING)
		TAILQ_INSERT_TAIL(&pool->signals, child, link);
	child->due = act;
	if (act == DO_KILL && pool->phase != POOL_RUNNING &&
	    !child->info.caretaker)
		pool->killed_any = true;
}

/* The only caller of child_step(). Keeps the counts and the timer. */
static bool
step(struct pool *pool, struct child *child, enum child_event event,
    int64_t now_ms)
{
	enum child_state	 before = child->core.state;
	enum child_act		 act;

	act = child_step(&child->core, event, &pool->policy.limits, now_ms);
	if (act == DO_SURPRISE) {
		pool_say(pool, (struct pool_tell){ .kind = TELL_SURPRISE,
		    .slot = child->info.slot, .child = &child->info,
		    .event = event });
		return false;
	}
	pool->ready += (child->core.state == CHILD_READY) -
	    (before == CHILD_READY);
	child->info.state = child->core.state;
	child->info.since_ms = child->core.since_ms;
	timer_disarm(pool, &child->limit);
	if (child->core.deadline_ms != CHILD_NO_DEADLINE)
		timer_arm(pool, &child->limit, child->core.deadline_ms);
	if (act != DO_NOTHING)
		signal_due(pool, child, act);
	return true;
}

/* From now on the child works for no slot: it is on its way out. */
static struct slot *
detach(struct pool *pool, struct child *child, enum pool_why why)
{
	struct slot	*slot = child->slot;

	if (child->info.why == WHY_NONE) {
		child->info.why = why;
		pool->leavers += !child->info.caretaker;
	}
	timer_disarm(pool, &child->age);
	child->slot = NULL;
	if (slot == NULL)
		return NULL;
	if (slot->successor == child) {
		slot->successor = NULL;
		pool->in_flight--;
	} else {
		slot->child = slot->successor;
		pool->in_flight -= slot->successor != NULL;
		slot->successor = NULL;
	}
	return slot;
}

/* Tell a child to go: stop, or fast. One that was told so already is left. */
void
child_order(struct pool *pool, struct child *child, enum child_event event,
    enum pool_why why, int64_t now_ms)
{
	if (event == ON_STOP && child->info.why != WHY_NONE)
		return;
	if (event == ON_FAST && child->core.state >= CHILD_ENDING)
		return;
	detach(pool, child, why);
	if (event == ON_STOP && child->core.state > CHILD_READY)
		return;		/* killed by its limit, but not gone yet */
	step(pool, child, event, now_ms);
}

/* The state's time limit has passed. */
void
child_late(struct pool *pool, struct child *child, int64_t now_ms)
{
	step(pool, child, ON_DEADLINE, now_ms);
}

/* ---- facts */

struct child *
pool_spawned(struct pool *pool, const struct act *act, pid_t pid, int cell,
    int64_t now_ms)
{
	struct child	*child = xcalloc(1, sizeof(*child));
	struct slot	*slot = pool->slots[act->slot];

	assert(pool->phase < POOL_STOPPING);	/* else nobody would end it */
	child->info = (struct child_info){ .pid = pid, .slot = act->slot,
	    .generation = act->generation, .spawned_ms = now_ms,
	    .since_ms = now_ms, .ready_ms = -1, .cell = cell,
	    .caretaker = act->caretaker };
	child->seq = ++pool->seq;
	child->active = -1;
	timer_init(&child->limit, TIMER_CHILD, child);
	timer_init(&child->age, TIMER_AGE, child);
	child_begin(&child->core, &pool->policy.limits, now_ms);
	if (child->core.deadline_ms != CHILD_NO_DEADLINE)
		timer_arm(pool, &child->limit, child->core.deadline_ms);
	RB_INSERT(children, &pool->children, child);
	pool->live++;
	pool->fork_failures = 0;
	if (act->caretaker) {
		pool->caretaking++;
		return child;
	}
	child->slot = slot;
	if (slot->child == NULL) {
		slot->child = child;
	} else {
		slot->successor = child;
	}
	return child;
}

/* Back into its queue, until the kernel lets us fork again. */
static void
spawn_later(struct pool *pool, const struct act *act)
{
	struct slot	*slot = pool->slots[act->slot];

	if (act->caretaker) {
		slot_enqueue(pool, slot, QUEUE_CARE);
	} else if (slot->child == NULL) {
		slot_enqueue(pool, slot, QUEUE_FILL);
	} else {
		pool->in_flight--;
		slot_enqueue(pool, slot, QUEUE_RENEW);
	}
}

/*
 * The kernel refuses: trying other slots at once would be refused, too. Of
 * several refused in one go the first counts.
 */
void
pool_spawn_failed(struct pool *pool, const struct act *act, int64_t now_ms)
{
	struct slot	*slot = pool->slots[act->slot];
	int64_t		 delay;

	spawn_later(pool, act);
	if (pool->fork_wait.armed)
		return;
	delay = backoff(pool, ++pool->fork_failures);
	timer_arm(pool, &pool->fork_wait, now_ms + delay);
	pool_say(pool, (struct pool_tell){ .kind = TELL_FORK_WAIT,
	    .slot = act->slot, .n = pool->fork_failures, .ms = delay });
	if (!act->caretaker)
		slot_settled(pool, slot);
	if (!pool->ever_ready &&
	    pool->fork_failures >= pool->policy.boot_retries)
		pool_give_up(pool, NULL, now_ms);
}

static void
became_ready(struct pool *pool, struct child *child, int64_t now_ms)
{
	const struct pool_policy	*policy = &pool->policy;
	struct slot			*slot = child->slot;
	struct child			*old;

	child->info.ready_ms = now_ms;
	if (child->info.caretaker) {
		pool->slots[child->info.slot]->uncared = 0;
		/* It leaves by itself; the graceful limit runs from now. */
		detach(pool, child, WHY_CARETAKER);
		step(pool, child, ON_LEAVING, now_ms);
		return;
	}
	pool->ever_ready = true;
	if (policy->max_age > 0)
		timer_arm(pool, &child->age, child->info.spawned_ms +
		    policy->max_age +
		    random_below(pool, policy->max_age_jitter + 1));
	if (slot->successor == child) {
		old = slot->child;
		child_order(pool, old, ON_STOP, old->retire, now_ms);
	}
	slot_settled(pool, slot);
}

void
pool_fact(struct pool *pool, struct child *child, enum child_event event,
    int64_t now_ms)
{
	struct slot	*slot;

	if (!step(pool, child, event, now_ms))
		return;
	if (event == ON_READY) {
		became_ready(pool, child, now_ms);
		return;
	}
	if (event == ON_LEAVING)
		pool_say(pool, (struct pool_tell){ .kind = TELL_LEAVING,
		    .slot = child->info.slot, .child = &child->info });
	slot = detach(pool, child, event == ON_STALE ? WHY_WATCHDOG :
	    WHY_LEFT);
	if (slot != NULL && slot->child == NULL &&
	    pool->phase < POOL_DOOR)
		slot_judge(pool, slot, child, -1, now_ms);
}

void
pool_retire(struct pool *pool, struct child *child, enum pool_why why,
    int64_t now_ms)
{
	(void)now_ms;
	if (child->core.state != CHILD_READY || child->slot == NULL ||
	    child->slot->child != child || child->over != WHY_NONE ||
	    pool->phase != POOL_RUNNING)
		return;
	child->over = why;
	if (child->retire != WHY_NONE)	/* it is being renewed already */
		return;
	pool_say(pool, (struct pool_tell){ .kind = TELL_RETIRE,
	    .slot = child->info.slot, .child = &child->info, .why = why });
	slot_want_successor(pool, child->slot, why);
}

/* What an exit means for the slot that the child was in. */
static void
slot_bereft(struct pool *pool, struct slot *slot, const struct child *child,
    bool was_successor, int code, int64_t now_ms)
{
	if (pool->phase >= POOL_DOOR)
		return;
	if (was_successor)
		slot_successor_failed(pool, slot, code, now_ms);
	else if (slot->child == NULL)
		slot_judge(pool, slot, child, code, now_ms);
}

void
pool_exited(struct pool *pool, struct child *child, int code, int64_t now_ms)
{
	struct slot	*slot = child->slot;
	bool		 was_successor;

	was_successor = slot != NULL && slot->successor == child;
	detach(pool, child, WHY_DIED);
	if (child->info.caretaker)
		pool->caretaking--;
	else
		pool->leavers--;
	pool->live--;
	pool->ready -= child->core.state == CHILD_READY;
	timer_disarm(pool, &child->limit);
	timer_disarm(pool, &child->age);
	if (child->due != DO_NOTHING)
		TAILQ_REMOVE(&pool->signals, child, link);
	RB_REMOVE(children, &pool->children, child);
	if (slot != NULL)
		slot_bereft(pool, slot, child, was_successor, code, now_ms);
	else if (child->info.caretaker && child->info.ready_ms == -1)
		slot_uncared(pool, pool->slots[child->info.slot], now_ms);
	free(child);
}

void
pool_set_active(struct pool *pool, struct child *child, int64_t active)
{
	(void)pool;
	child->active = active;
}

/* ---- how it stands */

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
