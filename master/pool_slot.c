#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/*
 * Slots: the stable numbers. A slot is open while it is wanted, and then has
 * a child, stands in the fill queue, waits for its timer, or is parked.
 */
static struct slot *
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
	return slot;
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
	slot->open = true;
	slot->failures = slot->quick = 0;
	pool->nopen++;
	slot_refill(pool, slot, why, now_ms);
	return slot;
}

/* No further successor, until an operator scales. */
static void
bar(struct pool *pool, struct slot *slot, bool barred)
{
	if (slot->barred != barred)
		pool->nbarred += barred ? 1 : -1;
	slot->barred = barred;
}

static void
park(struct pool *pool, struct slot *slot, bool parked)
{
	if (slot->parked != parked)
		pool->nparked += parked ? 1 : -1;
	slot->parked = parked;
}

/* The slot is no longer wanted: whoever is in it is told to go. */
void
slot_close(struct pool *pool, struct slot *slot, enum pool_why why,
    int64_t now_ms)
{
	timer_disarm(pool, &slot->wait);
	slot_dequeue(pool, slot);
	park(pool, slot, false);
	bar(pool, slot, false);
	if (slot->successor != NULL)
		child_order(pool, slot->successor, ON_STOP, why, now_ms);
	if (slot->child != NULL)
		child_order(pool, slot->child, ON_STOP, why, now_ms);
	slot->open = false;
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
	slot->queued = queue;
	TAILQ_INSERT_TAIL(&pool->queues[queue], slot, link);
}

void
slot_dequeue(struct pool *pool, struct slot *slot)
{
	if (slot->queued != QUEUE_NONE)
		TAILQ_REMOVE(&pool->queues[slot->queued], slot, link);
	slot->queued = QUEUE_NONE;
}

/* Fill it as soon as can be; spawn_jitter spreads a herd of starts. */
void
slot_refill(struct pool *pool, struct slot *slot, enum pool_why why,
    int64_t now_ms)
{
	int64_t	 delay = random_below(pool, pool->policy.spawn_jitter + 1);

	slot->why = why;
	if (delay == 0) {
		slot_enqueue(pool, slot, QUEUE_FILL);
	} else {
		slot_dequeue(pool, slot);
		timer_arm(pool, &slot->wait, now_ms + delay);
	}
}

void
slot_want_successor(struct pool *pool, struct slot *slot, enum pool_why why)
{
	if (slot->child->retire != WHY_NONE)
		return;
	slot->child->retire = why;
	if (slot->successor == NULL && !slot->wait.armed)
		slot_enqueue(pool, slot, QUEUE_RENEW);
}

/* What was given up on in this slot is tried once more. */
static void
try_again(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	if (slot->parked) {
		park(pool, slot, false);
		slot_refill(pool, slot, WHY_SCALE, now_ms);
	}
	if (!slot->barred)
		return;
	bar(pool, slot, false);
	if (slot->child != NULL && slot->child->retire != WHY_NONE &&
	    slot->successor == NULL)
		slot_enqueue(pool, slot, QUEUE_RENEW);
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

static bool
fatal(const struct pool *pool, int code)
{
	size_t	 i;

	for (i = 0; i < pool->policy.nfatal_codes; i++)
		if (pool->policy.fatal_codes[i] == code)
			return true;
	return false;
}

static void
slot_wait(struct pool *pool, struct slot *slot, int64_t now_ms)
{
	int64_t	 delay = backoff(pool, slot->failures);

	timer_arm(pool, &slot->wait, now_ms + delay);
	pool_say(pool, (struct pool_tell){ .kind = TELL_SLOT_WAIT,
	    .slot = slot->nr, .n = slot->failures, .ms = delay });
}

static void
slot_park(struct pool *pool, struct slot *slot, int code, int64_t now_ms)
{
	park(pool, slot, true);
	pool_say(pool, (struct pool_tell){ .kind = TELL_SLOT_PARKED,
	    .slot = slot->nr, .n = code });
	slot_settled(pool, slot);
	if (!pool->ever_ready && pool->nparked == pool->nopen)
		pool_give_up(pool, slot, now_ms);
}

static void
renew_failed(struct pool *pool, struct slot *slot)
{
	bool		 renewing = pool->renewing;
	struct child	*child;
	int		 i;

	pool->renewing = false;
	for (i = 0; i < pool->nslots; i++) {
		child = pool->slots[i]->child;
		/* Successors on their way may still make it. */
		if (child == NULL || child->retire != WHY_RENEW ||
		    pool->slots[i]->successor != NULL)
			continue;
		child->retire = WHY_NONE;
		if (pool->slots[i]->queued == QUEUE_RENEW)
			slot_dequeue(pool, pool->slots[i]);
		/* Who is over a limit needs a successor all the same. */
		if (pool->slots[i] == slot)
			child->retire = child->over;	/* after a wait */
		else if (child->over != WHY_NONE)
			slot_want_successor(pool, pool->slots[i], child->over);
	}
	if (!renewing)
		return;
	pool_say(pool, (struct pool_tell){ .kind = TELL_RENEW_FAILED,
	    .slot = slot->nr, .n = pool->generation });
}

/*
 * The slot's child has left without being told to (code -1: by a signal, or
 * it still runs but does not count any more), and the slot is empty. The first
 * death after it served is made good at once; one before, or a second in a
 * row too young, is a failure, and the slot waits.
 */
void
slot_judge(struct pool *pool, struct slot *slot, const struct child *child,
    int code, int64_t now_ms)
{
	bool	 was_ready = child->info.ready_ms != -1;

	/* It may have stood in line for a successor, or waited for one. */
	timer_disarm(pool, &slot->wait);
	slot_dequeue(pool, slot);
	if (was_ready && now_ms - child->info.ready_ms >=
	    pool->policy.min_uptime)
		slot->failures = slot->quick = 0;
	else
		slot->quick++;
	if (code != -1 && fatal(pool, code)) {
		slot_park(pool, slot, code, now_ms);
		return;
	}
	if (slot->quick == 0 || (was_ready && slot->quick == 1)) {
		slot_refill(pool, slot, child->info.why, now_ms);
		return;
	}
	slot->failures++;
	slot->why = child->info.why;
	slot_settled(pool, slot);
	if (pool->renewing && !was_ready &&
	    child->info.generation == pool->generation)
		renew_failed(pool, slot);
	if (!pool->ever_ready && pool->phase == POOL_RUNNING &&
	    slot->failures >= pool->policy.boot_retries)
		pool_give_up(pool, slot, now_ms);
	else
		slot_wait(pool, slot, now_ms);
}

/*
 * A successor has left before it served; the slot's child serves on. For a
 * renewal that is the verdict. A child over its limits gets another successor
 * after a while, unless the exit code says that there is no use.
 */
void
slot_successor_failed(struct pool *pool, struct slot *slot, int code,
    int64_t now_ms)
{
	slot->failures++;
	slot->quick++;
	if (slot->child->retire == WHY_RENEW)
		renew_failed(pool, slot);
	if (slot->child->retire == WHY_NONE)
		return;
	if (code == -1 || !fatal(pool, code)) {
		slot_wait(pool, slot, now_ms);
		return;
	}
	bar(pool, slot, true);
	pool_say(pool, (struct pool_tell){ .kind = TELL_SLOT_BARRED,
	    .slot = slot->nr, .n = code });
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

/* Nobody serves the slot, and nobody is about to. */
void
slot_care(struct pool *pool, struct slot *slot)
{
	if (slot->child == NULL && slot->queued == QUEUE_NONE &&
	    !slot->care.armed)
		slot_enqueue(pool, slot, QUEUE_CARE);
}

/* ---- who goes when the pool shrinks */

/* Slots that serve nobody first; among equals by cull. */
static int
rank(const struct slot *slot)
{
	if (slot->parked)
		return 0;
	if (slot->child == NULL)
		return 1;
	return slot->child->core.state != CHILD_READY ? 2 : 3;
}

/* As qsort_r(3) wants it: negative if a goes first. */
static int
compare_going(const void *x, const void *y, void *arg)
{
	const struct slot	*a = *(struct slot *const *)x;
	const struct slot	*b = *(struct slot *const *)y;
	const struct pool	*pool = arg;
	const struct child	*c = a->child, *d = b->child;
	bool			 older;

	if (rank(a) != rank(b))
		return rank(a) - rank(b);
	if (c == NULL || d == NULL)
		return b->nr - a->nr;
	if (pool->policy.cull == POOL_CULL_IDLEST && c->active != d->active &&
	    c->active != -1 && d->active != -1)
		return c->active < d->active ? -1 : 1;
	older = c->seq < d->seq;
	return older == (pool->policy.cull != POOL_CULL_NEWEST) ? -1 : 1;
}

/* The one that goes first, to the front: no need to sort for one. */
static void
first_to_front(struct pool *pool, struct slot **open, int count)
{
	struct slot	*first;
	int		 i, best = 0;

	for (i = 1; i < count; i++)
		if (compare_going(&open[i], &open[best], pool) < 0)
			best = i;
	first = open[best];
	open[best] = open[0];
	open[0] = first;
}

/* Close those that go first, as many as there are too many. */
void
slot_close_surplus(struct pool *pool, enum pool_why why, int64_t now_ms)
{
	struct slot	**open = xcalloc((size_t)pool->nopen, sizeof(*open));
	int		 surplus = pool->nopen - pool->target, count = 0, i;

	for (i = 0; i < pool->nslots; i++)
		if (pool->slots[i]->open)
			open[count++] = pool->slots[i];
	if (surplus == 1)
		first_to_front(pool, open, count);
	else
		qsort_r(open, (size_t)count, sizeof(*open), compare_going,
		    pool);
	for (i = 0; i < surplus; i++)
		slot_close(pool, open[i], why, now_ms);
	free(open);
}
