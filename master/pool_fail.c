#include "master/pool_priv.h"

/*
 * What fails in a slot, and what that costs it: another try at once, a wait,
 * or no other try at all.
 */
static bool
fatal(const struct pool *pool, int code)
{
	size_t	 i;

	for (i = 0; code != -1 && i < pool->policy.nfatal_codes; i++)
		if (pool->policy.fatal_codes[i] == code)
			return true;
	return false;
}

static void
wait_longer(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	int64_t	 delay = backoff(pool, slot->failures);

	timer_arm(pool, &slot->wait, now_ms + delay);
	pool_say(pool, (struct pool_tell){ .kind = TELL_SLOT_WAIT,
	    .slot = slot->nr, .n = slot->failures, .ms = delay });
}

/* code: -1 if it cannot even be executed. */
static void
no_use(struct pool *pool, struct slot *slot, int code, int64_t now_ms)
{
	slot_park(pool, slot, true);
	pool_say(pool, (struct pool_tell){ .kind = TELL_SLOT_PARKED,
	    .slot = slot->nr, .n = code });
	slot_settled(pool, slot);
	if (!pool->ever_ready && pool->nparked == pool->nopen)
		pool_give_up(pool, slot, now_ms);
}

static void
no_successor(struct pool *pool, struct slot *slot, int code)
{
	slot_bar(pool, slot, true);
	pool_say(pool, (struct pool_tell){ .kind = TELL_SLOT_BARRED,
	    .slot = slot->nr, .n = code });
}

/* Count a death. Was it a failure? */
static bool
count(struct pool *pool, struct slot *slot, const struct child *child,
    int64_t now_ms)
{
	bool	 was_ready = child->info.ready_ms != -1;

	slot_touch(pool, slot);
	if (was_ready && now_ms - child->info.ready_ms >=
	    pool->policy.min_uptime)
		slot->failures = slot->quick = 0;
	else
		slot->quick++;
	return slot->quick != 0 && !(was_ready && slot->quick == 1);
}

/*
 * The slot's child has left without being told to (code -1: by a signal, or
 * it still runs but does not count any more), and the slot is empty. The first
 * death after it served is made good at once; one before, or a second in a
 * row too young, is a failure, and the slot waits. One that makes a renewal go
 * back is not the slot's fault.
 */
void
slot_judge(struct pool *pool, struct slot *slot, const struct child *child,
    int code, int64_t now_ms)
{
	bool	 failed;

	/* It may have stood in line for a successor, or waited for one. */
	timer_disarm(pool, &slot->wait);
	slot_dequeue(pool, slot);
	if (child->info.ready_ms == -1 && renew_setback(pool, slot,
	    child->info.generation, child, now_ms)) {
		slot_refill(pool, slot, child->info.why, now_ms);
		return;
	}
	failed = count(pool, slot, child, now_ms);
	if (fatal(pool, code)) {
		no_use(pool, slot, code, now_ms);
		return;
	}
	if (!failed) {
		slot_refill(pool, slot, child->info.why, now_ms);
		return;
	}
	slot->failures++;
	slot->why = child->info.why;
	slot_settled(pool, slot);
	if (!pool->ever_ready && pool->phase == POOL_RUNNING &&
	    slot->failures >= pool->policy.boot_retries)
		pool_give_up(pool, slot, now_ms);
	else
		wait_longer(pool, slot, now_ms);
}

/*
 * No successor came of it; the slot's child serves on. It asks for no other
 * one for a renewal that has stopped, but for a limit of its own it does.
 * False: it does not.
 */
static bool
still_wanted(struct pool *pool, struct slot *slot)
{
	struct child	*child = slot->child;

	slot->failures++;
	slot->quick++;
	slot_touch(pool, slot);
	if (child->retire == WHY_RENEW) {
		child->retire = child->over;
		child_touch(pool, child);
	}
	return child->retire != WHY_NONE;
}

/*
 * A successor has left before it served. For a renewal that is the verdict. A
 * child over its limits gets another successor after a while, unless the exit
 * code says that there is no use.
 */
void
slot_successor_failed(struct pool *pool, struct slot *slot,
    const struct child *child, int code, int64_t now_ms)
{
	if (renew_setback(pool, slot, child->info.generation, child, now_ms) ||
	    !still_wanted(pool, slot))
		return;
	if (fatal(pool, code))
		no_successor(pool, slot, code);
	else
		wait_longer(pool, slot, now_ms);
}

/* The program cannot be executed. */
void
slot_hopeless(struct pool *pool, const struct act *act, int64_t now_ms)
{
	struct slot	*slot = pool->slots[act->slot];
	bool		 back;

	slot_dequeue(pool, slot);	/* an answer before it may have asked */
	back = renew_setback(pool, slot, act->generation, NULL, now_ms);
	if (slot->child != NULL) {
		if (!back && still_wanted(pool, slot))
			no_successor(pool, slot, -1);
	} else if (back) {
		slot_refill(pool, slot, WHY_RENEW, now_ms);
	} else {
		no_use(pool, slot, -1, now_ms);
	}
}

/* A caretaker died before it served. The straggler waits for another one. */
void
slot_uncared(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	int64_t	 delay = backoff(pool, ++slot->uncared);

	if (slot->queued == QUEUE_CARE)
		slot_dequeue(pool, slot);
	timer_arm(pool, &slot->care, now_ms + delay);
	pool_say(pool, (struct pool_tell){ .kind = TELL_CARE_WAIT,
	    .slot = slot->nr, .n = slot->uncared, .ms = delay });
}
