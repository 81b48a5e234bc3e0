#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/* One child: what it is told, and what the facts about it do. */
struct child *
child_new(pid_t pid, int slot, int generation, int cell, int64_t now_ms)
{
	struct child	*child = xcalloc(1, sizeof(*child));

	child->info = (struct child_info){ .pid = pid, .slot = slot,
	    .generation = generation, .spawned_ms = now_ms,
	    .since_ms = now_ms, .ready_ms = -1, .cell = cell };
	child->active = child->extended_ms = -1;
	timer_init(&child->limit, TIMER_CHILD, child);
	timer_init(&child->age, TIMER_AGE, child);
	timer_init(&child->alive, TIMER_ALIVE, child);
	return child;
}

static void
signal_due(struct pool *pool, struct child *child, enum child_act act)
{
	if (child->due == DO_NOTHING) {
		TAILQ_INSERT_TAIL(&pool->signals, child, link);
		child->due_seq = ++pool->seq;
	}
	child->due = act;
	if (act == DO_KILL && pool->phase != POOL_RUNNING &&
	    !child->info.caretaker)
		pool->killed_any = true;
}

/* It is in another state now. */
static void
entered(struct pool *pool, struct child *child)
{
	child->info.state = child->core.state;
	child->info.since_ms = child->core.since_ms;
	child->extended_ms = -1;
	child->away_ms = 0;
	timer_disarm(pool, &child->alive);
}

/* The only caller of child_step(). Keeps the counts and the timer. */
static bool
step(struct pool *pool, struct child *child, enum child_event event,
    int64_t now_ms)
{
	enum child_state	 before = child->core.state;
	enum child_act		 act;

	act = child_step(&child->core, event, &pool->limits, now_ms);
	if (act == DO_SURPRISE) {
		pool_say(pool, (struct pool_tell){ .kind = TELL_SURPRISE,
		    .slot = child->info.slot, .child = &child->info,
		    .event = event });
		return false;
	}
	pool->ready += (child->core.state == CHILD_READY) -
	    (before == CHILD_READY);
	if (child->core.state != before)
		entered(pool, child);
	timer_disarm(pool, &child->limit);
	if (child->core.deadline_ms != CHILD_NO_DEADLINE)
		timer_arm(pool, &child->limit, child->core.deadline_ms);
	if (act != DO_NOTHING)
		signal_due(pool, child, act);
	child_touch(pool, child);
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
	child_touch(pool, child);
	if (slot == NULL)
		return NULL;
	if (slot->successor == child) {
		slot->successor = NULL;
		pool->in_flight--;
		return slot;
	}
	if (slot->successor != NULL) {	/* it takes the place */
		child_touch(pool, slot->successor);
		pool->in_flight--;
	}
	slot->child = slot->successor;
	slot->successor = NULL;
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

void
pool_order_all(struct pool *pool, enum child_event event, enum pool_why why,
    int64_t now_ms)
{
	struct child	*child = NULL;

	while ((child = pool_next_child(pool, child)) != NULL)
		child_order(pool, child, event, why, now_ms);
}

/* The state's time limit has passed. */
void
child_late(struct pool *pool, struct child *child, int64_t now_ms)
{
	pool_say(pool, (struct pool_tell){ .kind = TELL_LATE,
	    .slot = child->info.slot, .child = &child->info });
	step(pool, child, ON_DEADLINE, now_ms);
}

/* It has lived as long as it takes to count as ready. */
void
child_lives(struct pool *pool, struct child *child, int64_t now_ms)
{
	pool_say(pool, (struct pool_tell){ .kind = TELL_ALIVE,
	    .slot = child->info.slot, .child = &child->info });
	if (child->core.state == CHILD_STARTING && !child->alive.armed)
		pool_fact(pool, child, ON_READY, now_ms);
}

void
pool_hold(struct pool *pool, struct child *child, int64_t until_ms)
{
	if (child->core.state == CHILD_STARTING)
		timer_arm(pool, &child->alive, until_ms);
}

void
pool_reject(struct pool *pool, struct child *child, int64_t now_ms)
{
	if (child->core.state == CHILD_STARTING)
		step(pool, child, ON_DEADLINE, now_ms);
}

/* ---- facts */

static void
became_ready(struct pool *pool, struct child *child, int64_t now_ms)
{
	struct slot	*slot = child->slot;
	struct child	*old;

	child->info.ready_ms = now_ms;
	if (child->info.caretaker) {
		pool->slots[child->info.slot]->uncared = 0;
		slot_touch(pool, pool->slots[child->info.slot]);
		/* It leaves by itself; the graceful limit runs from now. */
		detach(pool, child, WHY_CARETAKER);
		step(pool, child, ON_LEAVING, now_ms);
		return;
	}
	pool->ever_ready = true;
	if (child->info.generation > pool->proven)
		pool->proven = child->info.generation;
	child_arm_age(pool, child);
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

	/* It has been taken as ready without its word, which comes now. */
	if (event == ON_READY && pool->policy.alive != -1 &&
	    child->info.ready_ms != -1)
		return;
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
	child_touch(pool, child);
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
		slot_successor_failed(pool, slot, child, code, now_ms);
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
	pool->ready -= child->core.state == CHILD_READY;
	timer_disarm(pool, &child->limit);
	timer_disarm(pool, &child->age);
	timer_disarm(pool, &child->alive);
	if (child->due != DO_NOTHING)
		TAILQ_REMOVE(&pool->signals, child, link);
	pool_remove(pool, child);
	if (slot != NULL)
		slot_bereft(pool, slot, child, was_successor, code, now_ms);
	else if (child->info.caretaker && child->info.ready_ms == -1)
		slot_uncared(pool, pool->slots[child->info.slot], now_ms);
	free(child);
}

void
pool_set_active(struct pool *pool, struct child *child, int64_t active)
{
	if (child->active == active)
		return;
	child->active = active;
	child_touch(pool, child);
}
