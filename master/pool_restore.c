#include <stdlib.h>

#include "common/mem.h"
#include "master/pool_priv.h"
#include "master/pool_rows.h"

/*
 * A pool from rows. Counts are never read but made anew; a row that does not
 * fit the others ends it.
 */
struct restore {
	struct pool		*pool;
	const struct pool_rows	*rows;
	int64_t			 now_ms;
	bool			 again;
	struct err		*err;
};

static void
see_seq(struct pool *pool, uint64_t seq)
{
	if (seq > pool->seq)
		pool->seq = seq;
}

static bool
timer_from(struct pool *pool, struct timer *timer,
    const struct timer_saved *saved)
{
	see_seq(pool, saved->seq);
	return timer_restore(pool, timer, saved->at_ms, saved->seq);
}

/* ---- the pool's row */

static int
restore_pool(struct restore *r)
{
	const struct pool_saved	*row = r->rows->pool;
	struct pool		*pool = r->pool;
	const char		*wrong = pool_row_wrong(row, r->now_ms);

	if (wrong != NULL)
		return err_set(r->err, "the pool's row: %s", wrong);
	pool->phase = (enum pool_phase)row->phase;
	pool->target = row->target;
	pool->remembered = row->remembered;
	pool->generation = row->generation;
	pool->last_generation = row->last_generation;
	pool->proven = row->proven;
	pool->fork_failures = row->fork_failures;
	pool->gave_up = (row->flags & POOL_GAVE_UP) != 0;
	pool->killed_any = (row->flags & POOL_KILLED_ANY) != 0;
	pool->refuse_due = (row->flags & POOL_REFUSE_DUE) != 0;
	pool->ever_ready = (row->flags & POOL_EVER_READY) != 0;
	pool->announced = (row->flags & POOL_ANNOUNCED) != 0;
	pool->drained = (row->flags & POOL_DRAINED) != 0;
	pool->renewing = (row->flags & POOL_RENEWING) != 0;
	see_seq(pool, row->seq);
	if (!timer_from(pool, &pool->fork_wait, &row->fork_wait) ||
	    !timer_from(pool, &pool->stop_wait, &row->stop_wait))
		return err_set(r->err, "the pool's row: times");
	return 0;
}

/* ---- slots */

static int
restore_slot(struct restore *r, const struct slot_saved *row, bool *seen)
{
	const char	*wrong = slot_row_wrong(row, r->rows->nslots);
	struct pool	*pool = r->pool;
	struct slot	*slot;

	if (wrong == NULL && seen[row->nr])
		wrong = "a second one";
	if (wrong != NULL)
		return err_set(r->err, "the row of slot %ld: %s",
		    (long)row->nr, wrong);
	seen[row->nr] = true;
	slot = pool->slots[row->nr];
	slot->failures = row->failures;
	slot->quick = row->quick;
	slot->uncared = row->uncared;
	slot->why = (enum pool_why)row->why;
	slot->open = (row->flags & SLOT_OPEN) != 0;
	slot->unsettled = (row->flags & SLOT_UNSETTLED) != 0;
	pool->nopen += slot->open;
	pool->unsettled += slot->unsettled;
	slot_park(pool, slot, (row->flags & SLOT_PARKED) != 0);
	slot_bar(pool, slot, (row->flags & SLOT_BARRED) != 0);
	see_seq(pool, row->queue_seq);
	if (!timer_from(pool, &slot->wait, &row->wait) ||
	    !timer_from(pool, &slot->care, &row->care))
		return err_set(r->err, "the row of slot %d: times", slot->nr);
	return 0;
}

static int
restore_slots(struct restore *r)
{
	size_t	 n = r->rows->nslots, i;
	bool	*seen;
	int	 result = 0;

	if (n > POOL_SLOTS_MOST)
		return err_set(r->err, "%zu slots are too many", n);
	for (i = 0; i < n; i++)
		slot_new(r->pool);
	seen = xcalloc(n + 1, sizeof(*seen));
	for (i = 0; i < n && result == 0; i++)
		result = restore_slot(r, &r->rows->slots[i], seen);
	free(seen);
	return result;
}

/* ---- children */

/* In its slot, if it is in one. False: the slot has another one, or none. */
static bool
take_place(struct pool *pool, struct child *child, enum child_role role)
{
	struct slot	*slot = pool->slots[child->info.slot];
	struct child	**place;

	if (role == ROLE_LEAVER || role == ROLE_CARETAKER)
		return true;
	place = role == ROLE_CHILD ? &slot->child : &slot->successor;
	if (!slot->open || slot->parked || *place != NULL)
		return false;
	*place = child;
	child->slot = slot;
	return true;
}

static struct child *
child_from(const struct child_saved *row)
{
	struct child	*child = child_new(row->pid, row->slot,
			    row->generation, row->cell, row->spawned_ms);

	child->core = (struct child_core){ .state = row->state,
	    .since_ms = row->since_ms, .deadline_ms = CHILD_NO_DEADLINE };
	if (row->limit.at_ms != -1)
		child->core.deadline_ms = row->limit.at_ms;
	child->info.state = row->state;
	child->info.since_ms = row->since_ms;
	child->info.ready_ms = row->ready_ms;
	child->info.why = row->why;
	child->info.caretaker = row->role == ROLE_CARETAKER;
	child->extended_ms = row->extended_ms;
	child->away_ms = row->away_ms;
	child->active = row->active;
	child->seq = row->seq;
	child->retire = row->retire;
	child->over = row->over;
	child->due = row->due;
	child->due_seq = row->due_seq;
	return child;
}

static void
count_child(struct pool *pool, const struct child *child)
{
	see_seq(pool, child->seq);
	see_seq(pool, child->due_seq);
	pool->ready += child->core.state == CHILD_READY;
	pool->ever_ready |= child->core.state == CHILD_READY;
	pool->caretaking += child->info.caretaker;
	pool->leavers += !child->info.caretaker &&
	    child->info.why != WHY_NONE;
}

static int
restore_child(struct restore *r, const struct child_saved *row)
{
	struct pool	*pool = r->pool;
	struct child	*child;
	const char	*wrong;

	wrong = child_row_wrong(row, r->rows->pool, r->rows->nslots,
	    r->now_ms);
	if (wrong != NULL)
		return err_set(r->err, "the row of pid %ld: %s",
		    (long)row->pid, wrong);
	child = child_from(row);
	if (pool_insert(pool, child) != NULL) {
		free(child);
		return err_set(r->err, "pid %ld has two rows",
		    (long)row->pid);
	}
	count_child(pool, child);
	if (!take_place(pool, child, row->role))
		return err_set(r->err, "pid %ld has no place in slot %ld",
		    (long)row->pid, (long)row->slot);
	if (!timer_from(pool, &child->limit, &row->limit) ||
	    !timer_from(pool, &child->age, &row->age) ||
	    !timer_from(pool, &child->alive, &row->alive))
		return err_set(r->err, "the row of pid %ld: times",
		    (long)row->pid);
	return 0;
}

static int
restore_children(struct restore *r)
{
	size_t	 i;

	for (i = 0; i < r->rows->nchildren; i++)
		if (restore_child(r, &r->rows->children[i]) == -1)
			return -1;
	return 0;
}

/* ---- queues */

static int
compare_seq(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_queued(const void *x, const void *y)
{
	const struct slot_saved	*const *a = x, *const *b = y;

	return compare_seq((*a)->queue_seq, (*b)->queue_seq);
}

static int
compare_due(const void *x, const void *y)
{
	const struct child	*const *a = x, *const *b = y;

	return compare_seq((*a)->due_seq, (*b)->due_seq);
}

/*
 * Does what the slot holds fit the queue that it stands in? Once the end has
 * begun the queues do not move any more, and nobody cares.
 */
static bool
slot_fits(const struct pool *pool, const struct slot *slot,
    enum slot_queue queue)
{
	const struct child	*child = slot->child;

	if (slot->successor != NULL &&
	    (child == NULL || child->retire == WHY_NONE))
		return false;
	if (pool->phase >= POOL_DOOR)
		return true;
	if (queue == QUEUE_FILL || queue == QUEUE_CARE)
		return child == NULL;
	return queue != QUEUE_RENEW || (child != NULL &&
	    child->retire != WHY_NONE && slot->successor == NULL);
}

/* A spawn was asked for and not answered, or its answer is not in the rows. */
static void
ask_anew(struct pool *pool, struct slot *slot)
{
	if (pool->phase >= POOL_DOOR || !slot->open || slot->parked ||
	    slot->wait.armed || slot->queued == QUEUE_FILL)
		return;
	if (slot->child == NULL)
		slot_enqueue(pool, slot, QUEUE_FILL);
	else if (slot->queued == QUEUE_NONE && !slot->barred)
		slot_wanting(pool, slot);
}

static void
line_up(struct pool *pool, const struct slot_saved *row)
{
	struct slot	*slot = pool->slots[row->nr];

	if (row->queued == QUEUE_NONE)
		return;
	slot->queued = (enum slot_queue)row->queued;
	slot->queue_seq = row->queue_seq;
	TAILQ_INSERT_TAIL(&pool->queues[slot->queued], slot, link);
}

static int
restore_queues(struct restore *r)
{
	const struct slot_saved	**line;
	struct pool		*pool = r->pool;
	size_t			 n = r->rows->nslots, i;
	int			 result = 0;

	line = xcalloc(n + 1, sizeof(*line));
	for (i = 0; i < n; i++)
		line[i] = &r->rows->slots[i];
	qsort(line, n, sizeof(*line), compare_queued);
	for (i = 0; i < n && result == 0; i++) {
		if (slot_fits(pool, pool->slots[line[i]->nr],
		    line[i]->queued))
			line_up(pool, line[i]);
		else
			result = err_set(r->err, "the row of slot %ld: queue",
			    (long)line[i]->nr);
	}
	free(line);
	for (i = 0; i < n && result == 0; i++) {
		pool->in_flight += pool->slots[i]->successor != NULL;
		ask_anew(pool, pool->slots[i]);
	}
	return result;
}

/* The signal that its state came with. */
static enum child_act
signal_of(const struct child *child)
{
	switch (child->core.state) {
	case CHILD_DRAINING:	/* some do so by themselves */
		return child->info.why == WHY_LEFT ||
		    child->info.why == WHY_CARETAKER ? DO_NOTHING : DO_STOP;
	case CHILD_ENDING:
		return child->info.why == WHY_WATCHDOG ? DO_ABORT : DO_FAST;
	case CHILD_KILLED:
		return DO_KILL;
	default:
		return DO_NOTHING;
	}
}

static void
restore_signals(struct restore *r)
{
	struct pool	*pool = r->pool;
	struct child	**line, *child = NULL;
	size_t		 n = 0, i;

	line = xcalloc((size_t)pool->live + 1, sizeof(struct child *));
	while ((child = pool_next_child(pool, child)) != NULL) {
		if (child->due == DO_NOTHING && r->again &&
		    (child->due = signal_of(child)) != DO_NOTHING)
			child->due_seq = ++pool->seq;
		if (child->due != DO_NOTHING)
			line[n++] = child;
	}
	qsort(line, n, sizeof(struct child *), compare_due);
	for (i = 0; i < n; i++)
		TAILQ_INSERT_TAIL(&pool->signals, line[i], link);
	free(line);
}

struct pool *
pool_restore(const struct pool_policy *policy, const struct pool_rows *rows,
    bool again, uint64_t seed, pool_tell_fn *tell, void *arg, int64_t now_ms,
    struct err *err)
{
	struct restore	 r = { .rows = rows, .now_ms = now_ms,
			    .again = again, .err = err };

	r.pool = pool_make(policy, seed, tell, arg);
	if (restore_pool(&r) == -1 || restore_slots(&r) == -1 ||
	    restore_children(&r) == -1 || restore_queues(&r) == -1) {
		pool_free(r.pool);
		return NULL;
	}
	restore_signals(&r);
	return r.pool;
}
