#include "master/pool_priv.h"

/*
 * Renewals: all workers are replaced by ones of a new generation. The first
 * one that ends before it was ready ends the renewal; and if the generation has
 * never served, its place is given back to the newest that has (proven).
 */
static void
renew_slot(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	slot_forgive(pool, slot);
	if (slot->child == NULL) {
		if (slot->wait.armed)
			slot_refill(pool, slot, WHY_RENEW, now_ms);
		return;
	}
	/* A successor of the generation before is no use any more. */
	if (slot->successor != NULL)
		child_order(pool, slot->successor, ON_STOP, WHY_RENEW, now_ms);
	timer_disarm(pool, &slot->wait);
	slot->child->retire = WHY_NONE;
	slot_want_successor(pool, slot, WHY_RENEW);
}

void
pool_renew(struct pool *pool, int64_t now_ms)
{
	int	 i;

	if (pool->phase != POOL_RUNNING)
		return;
	pool->generation = ++pool->last_generation;
	pool->renewing = true;
	slot_unpark_all(pool, now_ms);
	for (i = 0; i < pool->nslots; i++)
		renew_slot(pool, pool->slots[i], now_ms);
}

/* The child need not be renewed; its own limits are another matter. */
static void
renounce(struct pool *pool, struct slot *slot)
{
	struct child	*child = slot->child;
	enum pool_why	 want;

	want = child->retire == WHY_RENEW ? child->over : child->retire;
	child->retire = WHY_NONE;
	child_touch(pool, child);
	if (slot->queued == QUEUE_RENEW)
		slot_dequeue(pool, slot);
	if (want != WHY_NONE)
		slot_want_successor(pool, slot, want);
}

/* Those before it serve on, those of it serve, too. */
static void
stay(struct pool *pool, const struct slot *failed)
{
	struct slot	*slot;
	int		 i;

	for (i = 0; i < pool->nslots; i++) {
		slot = pool->slots[i];
		/* Successors on their way may still make it. */
		if (slot != failed && slot->child != NULL &&
		    slot->child->retire == WHY_RENEW &&
		    slot->successor == NULL)
			renounce(pool, slot);
	}
}

/* Whoever of a generation that is given up still starts shall go. */
static void
undo_slot(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	struct child	*child = slot->child;

	if (slot->successor != NULL)
		child_order(pool, slot->successor, ON_STOP, WHY_RENEW, now_ms);
	if (child == NULL)
		return;
	if (child->info.generation <= pool->generation ||
	    child->core.state == CHILD_READY) {
		renounce(pool, slot);
		return;
	}
	child_order(pool, child, ON_STOP, WHY_RENEW, now_ms);
	slot_refill(pool, slot, WHY_RENEW, now_ms);
}

static void
go_back(struct pool *pool, int64_t now_ms)
{
	int	 i;

	pool->generation = pool->proven;
	for (i = 0; i < pool->nslots; i++)
		undo_slot(pool, pool->slots[i], now_ms);
}

/*
 * A worker of this generation has come to nothing in this slot, which has it
 * no more. If that ends a renewal, and the pool goes back to the generation
 * before: true; the slot is left to the caller if it is empty. child: NULL if
 * there was not even one.
 */
bool
renew_setback(struct pool *pool, struct slot *slot, int generation,
    const struct child *child, int64_t now_ms)
{
	bool	 back;

	if (!pool->renewing || generation != pool->generation)
		return false;
	back = pool->proven > 0 && pool->proven < generation;
	pool->renewing = false;
	if (back)
		go_back(pool, now_ms);
	else
		stay(pool, slot);
	pool_say(pool, (struct pool_tell){ .kind = TELL_RENEW_FAILED,
	    .slot = slot->nr, .n = generation, .restored = back,
	    .child = child == NULL ? NULL : &child->info });
	return back;
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
void
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
