#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/*
 * Slots: the stable numbers. A slot is open while it is wanted, and then has
 * a child, stands in the fill queue, waits for its timer, or is parked.
 */
struct slot *
slot_new(struct pool *pool)
{
	struct slot	*slot = xcalloc(1, sizeof(*slot));

	slot->nr = pool->nslots;
	timer_init(&slot->wait, TIMER_SLOT, slot);
	timer_init(&slot->care, TIMER_CARE, slot);
	if ((pool->nslots & (pool->nslots - 1)) == 0)
		pool->slots = xreallocarray(pool->slots,
		    pool->nslots == 0 ? 1 : (size_t)pool->nslots * 2,
		    sizeof(*pool->slots));
	pool->slots[pool->nslots++] = slot;
	slot_touch(pool, slot);
	return slot;
}

void
slot_open_this(struct pool *pool, struct slot *slot, enum pool_why why,
    int64_t now_ms)
{
	slot->open = true;
	slot_forgive(pool, slot);
	pool->nopen++;
	slot_refill(pool, slot, why, now_ms);
}

/* Open the lowest free slot and have it filled. */
struct slot *
slot_open(struct pool *pool, enum pool_why why, int64_t now_ms)
{
	struct slot	*slot;

	while (pool->lowest_free < pool->nslots &&
	    pool->slots[pool->lowest_free]->open)
		pool->lowest_free++;
	slot = pool->lowest_free < pool->nslots ?
	    pool->slots[pool->lowest_free] : slot_new(pool);
	slot_open_this(pool, slot, why, now_ms);
	return slot;
}

/* No further successor, until an operator scales. */
void
slot_bar(struct pool *pool, struct slot *slot, bool barred)
{
	if (slot->barred == barred)
		return;
	pool->nbarred += barred ? 1 : -1;
	slot->barred = barred;
	slot_touch(pool, slot);
}

/* No further worker at all. */
void
slot_park(struct pool *pool, struct slot *slot, bool parked)
{
	if (slot->parked == parked)
		return;
	pool->nparked += parked ? 1 : -1;
	slot->parked = parked;
	slot_touch(pool, slot);
}

/* Nothing is held against it. */
void
slot_forgive(struct pool *pool, struct slot *slot)
{
	slot->failures = slot->quick = 0;
	slot_touch(pool, slot);
}

/* The slot is no longer wanted: whoever is in it is told to go. */
void
slot_close(struct pool *pool, struct slot *slot, enum pool_why why,
    int64_t now_ms)
{
	timer_disarm(pool, &slot->wait);
	slot_dequeue(pool, slot);
	slot_park(pool, slot, false);
	slot_bar(pool, slot, false);
	if (slot->successor != NULL)
		child_order(pool, slot->successor, ON_STOP, why, now_ms);
	if (slot->child != NULL)
		child_order(pool, slot->child, ON_STOP, why, now_ms);
	slot->open = false;
	slot_touch(pool, slot);
	pool->nopen--;
	if (slot->nr < pool->lowest_free)
		pool->lowest_free = slot->nr;
	slot_settled(pool, slot);
}

void
slot_enqueue(struct pool *pool, struct slot *slot, enum slot_queue queue)
{
	if (queue != QUEUE_CARE)
		timer_disarm(pool, &slot->wait);
	slot_dequeue(pool, slot);
	slot_touch(pool, slot);
	slot->queued = queue;
	slot->queue_seq = ++pool->seq;
	TAILQ_INSERT_TAIL(&pool->queues[queue], slot, link);
}

void
slot_dequeue(struct pool *pool, struct slot *slot)
{
	if (slot->queued == QUEUE_NONE)
		return;
	TAILQ_REMOVE(&pool->queues[slot->queued], slot, link);
	slot->queued = QUEUE_NONE;
	slot->queue_seq = 0;
	slot_touch(pool, slot);
}

/* Fill it as soon as can be; spawn_jitter spreads a herd of starts. */
void
slot_refill(struct pool *pool, struct slot *slot, enum pool_why why,
    int64_t now_ms)
{
	int64_t	 delay = random_below(pool, pool->policy.spawn_jitter + 1);

	slot->why = why;
	slot_touch(pool, slot);
	if (delay == 0) {
		slot_enqueue(pool, slot, QUEUE_FILL);
	} else {
		slot_dequeue(pool, slot);
		timer_arm(pool, &slot->wait, now_ms + delay);
	}
}

/* Back in line, if the child still wants a successor and has none. */
void
slot_wanting(struct pool *pool, struct slot *slot)
{
	if (slot->child != NULL && slot->child->retire != WHY_NONE &&
	    slot->successor == NULL)
		slot_enqueue(pool, slot, QUEUE_RENEW);
}

void
slot_want_successor(struct pool *pool, struct slot *slot, enum pool_why why)
{
	if (slot->child->retire != WHY_NONE)
		return;
	slot->child->retire = why;
	child_touch(pool, slot->child);
	if (!slot->wait.armed)
		slot_wanting(pool, slot);
}

/* What was given up on in this slot is tried once more. */
static void
try_again(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	if (slot->parked) {
		slot_park(pool, slot, false);
		slot_refill(pool, slot, WHY_SCALE, now_ms);
	}
	if (!slot->barred)
		return;
	slot_bar(pool, slot, false);
	slot_wanting(pool, slot);
}

/* An operator scales, or wants a new generation. */
void
slot_unpark_all(struct pool *pool, int64_t now_ms)
{
	int	 i;

	if (pool->nparked == 0 && pool->nbarred == 0)
		return;
	for (i = 0; i < pool->nslots; i++)
		try_again(pool, pool->slots[i], now_ms);
}

/* Nobody serves the slot, and nobody is about to. */
void
slot_care(struct pool *pool, struct slot *slot)
{
	if (slot->child == NULL && slot->queued == QUEUE_NONE &&
	    !slot->care.armed)
		slot_enqueue(pool, slot, QUEUE_CARE);
}

