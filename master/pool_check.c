#include "master/pool_priv.h"
#include "master/pool_rows.h"

/*
 * Rows that come from outside may hold anything: what a pool could never have
 * written is refused. What rows say of each other is pool_restore.c's.
 */
static bool
is_time(int64_t ms)
{
	return ms >= 0 && ms < SAVED_MOST;
}

static bool
is_past(int64_t ms, int64_t now_ms)
{
	return ms >= 0 && ms <= now_ms;
}

static bool
is_timer(const struct timer_saved *timer)
{
	return (timer->at_ms == -1 || is_time(timer->at_ms)) &&
	    timer->seq < (uint64_t)SAVED_MOST;
}

static bool
armed(const struct timer_saved *timer)
{
	return timer->at_ms != -1;
}

static bool
within(int64_t n, int64_t low, int64_t high)
{
	return n >= low && n <= high;
}

/* ---- the pool */

static bool
stop_is_timed(const struct pool_saved *row)
{
	return armed(&row->stop_wait) ==
	    (row->phase == POOL_STOP_DELAY || row->phase == POOL_DOOR);
}

const char *
pool_row_wrong(const struct pool_saved *row, int64_t now_ms)
{
	if (!is_time(now_ms))
		return "the clock";
	if (!within(row->phase, POOL_RUNNING, POOL_ENDED))
		return "phase";
	if ((row->flags & ~(uint32_t)POOL_FLAGS) != 0 ||
	    ((row->flags & POOL_REFUSE_DUE) != 0 && row->phase < POOL_DOOR))
		return "flags";
	if (!within(row->target, 0, POOL_SLOTS_MOST) ||
	    !within(row->remembered, 0, POOL_SLOTS_MOST) ||
	    ((row->flags & POOL_DRAINED) != 0 && row->target != 0))
		return "target";
	if (!within(row->last_generation, 1, POOL_GENERATIONS_MOST) ||
	    !within(row->generation, 1, row->last_generation) ||
	    !within(row->proven, 0, row->generation))
		return "generation";
	if (!within(row->fork_failures, 0, POOL_FAILURES_MOST))
		return "failures";
	if (!is_timer(&row->fork_wait) || !is_timer(&row->stop_wait) ||
	    !stop_is_timed(row) || row->seq >= (uint64_t)SAVED_MOST)
		return "times";
	return NULL;
}

/* ---- a slot */

static const char *
queue_wrong(const struct slot_saved *row)
{
	bool	 open = (row->flags & SLOT_OPEN) != 0;
	bool	 parked = (row->flags & SLOT_PARKED) != 0;

	if (row->queued >= QUEUES)
		return "queue";
	if (row->queued == QUEUE_NONE || row->queued == QUEUE_CARE)
		return NULL;
	return open && !parked && !armed(&row->wait) ? NULL : "queue";
}

const char *
slot_row_wrong(const struct slot_saved *row, size_t nslots)
{
	if (row->nr < 0 || (size_t)row->nr >= nslots)
		return "number";
	if ((row->flags & ~(uint32_t)SLOT_FLAGS) != 0 ||
	    ((row->flags & SLOT_OPEN) == 0 && row->flags != 0))
		return "flags";
	if (row->why >= WHYS)
		return "reason";
	if (!within(row->failures, 0, POOL_FAILURES_MOST) ||
	    !within(row->quick, 0, POOL_FAILURES_MOST) ||
	    !within(row->uncared, 0, POOL_FAILURES_MOST))
		return "failures";
	if (!is_timer(&row->wait) || !is_timer(&row->care) ||
	    row->queue_seq >= (uint64_t)SAVED_MOST ||
	    (armed(&row->wait) && (row->flags & SLOT_PARKED) != 0) ||
	    (armed(&row->wait) && (row->flags & SLOT_OPEN) == 0))
		return "times";
	return queue_wrong(row);
}

/* ---- a child */

static bool
may_be(const struct child_saved *row)
{
	bool	 told = row->why != WHY_NONE;

	switch (row->role) {
	case ROLE_CHILD:
		return !told && (row->state <= CHILD_READY ||
		    row->state == CHILD_KILLED);
	case ROLE_SUCCESSOR:
		return !told && (row->state == CHILD_STARTING ||
		    row->state == CHILD_KILLED);
	case ROLE_LEAVER:
		return told && row->state > CHILD_READY;
	case ROLE_CARETAKER:
		return told ? row->state > CHILD_READY :
		    row->state == CHILD_STARTING || row->state == CHILD_KILLED;
	}
	return false;
}

/* Behind the door's end, whom nobody has told to go would stay for ever. */
static bool
stops_too(const struct child_saved *row, const struct pool_saved *pool)
{
	if (pool->phase == POOL_ENDED)
		return false;
	return pool->phase != POOL_STOPPING || row->why != WHY_NONE ||
	    row->state == CHILD_KILLED;
}

static bool
why_is_known(const struct child_saved *row)
{
	if (row->why >= WHYS || row->retire >= WHYS || row->over >= WHYS)
		return false;
	if (row->role == ROLE_SUCCESSOR)
		return row->retire == WHY_NONE && row->over == WHY_NONE;
	return row->role != ROLE_CHILD || row->over == WHY_NONE ||
	    row->retire != WHY_NONE || row->state == CHILD_READY;
}

static bool
due_fits(const struct child_saved *row)
{
	switch (row->due) {
	case DO_NOTHING:
		return true;
	case DO_STOP:
		return row->state == CHILD_DRAINING;
	case DO_FAST:
	case DO_ABORT:
		return row->state == CHILD_ENDING;
	case DO_KILL:
		return row->state == CHILD_KILLED;
	}
	return false;
}

static bool
times_fit(const struct child_saved *row, int64_t now_ms)
{
	bool	 ready = row->state == CHILD_READY;
	bool	 starting = row->state == CHILD_STARTING;

	if (!is_timer(&row->limit) || !is_timer(&row->age) ||
	    !is_timer(&row->alive) || row->seq >= (uint64_t)SAVED_MOST ||
	    row->due_seq >= (uint64_t)SAVED_MOST)
		return false;
	if (!is_past(row->spawned_ms, now_ms) ||
	    !is_past(row->since_ms, now_ms) ||
	    !within(row->ready_ms, -1, now_ms) ||
	    !within(row->extended_ms, -1, SAVED_MOST) ||
	    !is_time(row->away_ms))
		return false;
	/* Without a limit it would not be killed when it does not go. */
	if (!starting && armed(&row->limit) == ready)
		return false;
	return (ready || !armed(&row->age)) &&
	    (starting || !armed(&row->alive)) &&
	    (!ready || row->ready_ms != -1) &&
	    (!starting || row->ready_ms == -1);
}

const char *
child_row_wrong(const struct child_saved *row, const struct pool_saved *pool,
    size_t nslots, int64_t now_ms)
{
	if (row->pid <= 1)
		return "pid";
	if (row->slot < 0 || (size_t)row->slot >= nslots)
		return "slot";
	if (!within(row->generation, 1, pool->last_generation))
		return "generation";
	if (row->state >= CHILD_STATES || row->role >= CHILD_ROLES ||
	    row->spare[0] != 0 || row->spare[1] != 0 || !may_be(row) ||
	    !stops_too(row, pool))
		return "state";
	if (!why_is_known(row))
		return "reason";
	if (!due_fits(row))
		return "signal";
	return times_fit(row, now_ms) ? NULL : "times";
}
