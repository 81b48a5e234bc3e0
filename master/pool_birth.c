#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"
#include "master/pool_save.h"

/* The answers to a spawn, and children that another master has left. */

/*
 * Does nobody want a worker of this act any more? An answer before it may have
 * ended the renewal that it is part of.
 */
static bool
overtaken(const struct pool *pool, const struct act *act)
{
	const struct child	*old = pool->slots[act->slot]->child;

	if (act->caretaker)
		return false;
	return act->generation != pool->generation ||
	    (act->successor && (old == NULL || old->retire == WHY_NONE));
}

/* Nothing came of the act: back into line, if that was not done already. */
static void
spawn_later(struct pool *pool, const struct act *act)
{
	struct slot	*slot = pool->slots[act->slot];

	pool->in_flight -= act->successor;
	if (act->caretaker)
		slot_enqueue(pool, slot, QUEUE_CARE);
	else if (slot->child != NULL)
		slot_wanting(pool, slot);
	else if (slot->queued != QUEUE_FILL && !slot->wait.armed)
		slot_enqueue(pool, slot, QUEUE_FILL);
}

static void
begin(struct pool *pool, struct child *child)
{
	child_begin(&child->core, &pool->limits, child->info.spawned_ms);
	child->seq = ++pool->seq;
	pool_insert(pool, child);
	child_arm_alive(pool, child);
	if (child->core.deadline_ms != CHILD_NO_DEADLINE)
		timer_arm(pool, &child->limit, child->core.deadline_ms);
}

/* In its slot; or, if nobody wants it there, on its way out. */
static void
settle(struct pool *pool, struct child *child, const struct act *act,
    int64_t now_ms)
{
	struct slot	*slot = pool->slots[act->slot];

	if (overtaken(pool, act)) {
		child_order(pool, child, ON_STOP, WHY_RENEW, now_ms);
		spawn_later(pool, act);
		return;
	}
	slot_dequeue(pool, slot);	/* an answer before may have asked */
	child->slot = slot;
	if (act->successor)
		slot->successor = child;
	else
		slot->child = child;
}

struct child *
pool_spawned(struct pool *pool, const struct act *act, pid_t pid, int cell,
    int64_t now_ms)
{
	struct child	*child;

	child = child_new(pid, act->slot, act->generation, cell, now_ms);
	child->info.caretaker = act->caretaker;
	begin(pool, child);
	pool->fork_failures = 0;
	if (act->caretaker)
		pool->caretaking++;
	else
		settle(pool, child, act, now_ms);
	if (pool->phase >= POOL_STOPPING)	/* given up meanwhile */
		child_order(pool, child, ON_FAST, WHY_GAVE_UP, now_ms);
	return child;
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

void
pool_hopeless(struct pool *pool, const struct act *act, int64_t now_ms)
{
	struct slot	*slot = pool->slots[act->slot];

	pool->fork_failures = 0;
	if (pool->phase >= POOL_DOOR || overtaken(pool, act)) {
		spawn_later(pool, act);
	} else if (act->caretaker) {
		slot_uncared(pool, slot, now_ms);
	} else {
		pool->in_flight -= act->successor;
		slot_hopeless(pool, act, now_ms);
	}
}

/* ---- adopting */

/*
 * The slot is not open, but somebody serves there: it is better than one of
 * the slots that have nobody yet.
 */
static void
open_for(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	struct slot	*other;
	int		 i;

	if (pool->nopen < pool->target) {
		slot_open_this(pool, slot, WHY_START, now_ms);
		return;
	}
	for (i = pool->nslots - 1; i >= 0; i--) {
		other = pool->slots[i];
		if (!other->open || other->child != NULL)
			continue;
		slot_close(pool, other, WHY_SCALE, now_ms);
		slot_open_this(pool, slot, WHY_START, now_ms);
		return;
	}
}

static void
take_in(struct pool *pool, struct child *child, struct slot *slot,
    int64_t now_ms)
{
	if (!slot->open && pool->phase < POOL_STOPPING)
		open_for(pool, slot, now_ms);
	if (!slot->open || slot->child != NULL ||
	    pool->phase >= POOL_STOPPING) {
		child_order(pool, child, ON_STOP, WHY_SCALE, now_ms);
		return;
	}
	timer_disarm(pool, &slot->wait);
	slot_dequeue(pool, slot);
	slot_park(pool, slot, false);
	slot->child = child;
	child->slot = slot;
	child_arm_age(pool, child);
	slot_settled(pool, slot);
}

static struct child *
adopt(struct pool *pool, pid_t pid, int slot, int generation, int cell,
    int64_t now_ms)
{
	struct child	*child;

	if (pid <= 1 || pool_find(pool, pid) != NULL || slot < 0 ||
	    slot >= POOL_SLOTS_MOST || generation < 1 ||
	    generation > POOL_GENERATIONS_MOST)
		return NULL;
	while (slot >= pool->nslots)
		slot_new(pool);
	child = child_new(pid, slot, generation, cell, now_ms);
	child->core = (struct child_core){ .state = CHILD_READY,
	    .since_ms = now_ms, .deadline_ms = CHILD_NO_DEADLINE };
	child->info.state = CHILD_READY;
	child->info.ready_ms = now_ms;
	child->seq = ++pool->seq;
	pool_insert(pool, child);
	pool->ready++;
	if (generation > pool->last_generation)
		pool->last_generation = generation;
	return child;
}

struct child *
pool_adopt_child(struct pool *pool, pid_t pid, int slot, int generation,
    int cell, int64_t now_ms)
{
	struct child	*child;

	child = adopt(pool, pid, slot, generation, cell, now_ms);
	if (child == NULL)
		return NULL;
	pool->ever_ready = true;
	take_in(pool, child, pool->slots[slot], now_ms);
	return child;
}

struct child *
pool_adopt_leaver(struct pool *pool, pid_t pid, int slot, int generation,
    int cell, int64_t now_ms)
{
	struct child	*child;

	child = adopt(pool, pid, slot, generation, cell, now_ms);
	if (child != NULL)
		child_order(pool, child, ON_STOP, WHY_SCALE, now_ms);
	return child;
}
