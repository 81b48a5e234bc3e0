#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/* Who goes when the pool shrinks. */

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
