#include "master/pool_save.h"

#include "master/pool_priv.h"
#include "master/pool_rows.h"

/* Rows have no gaps, and are the same for every compiler. */
_Static_assert(sizeof(struct pool_saved) == 72, "a gap in pool_saved");
_Static_assert(sizeof(struct slot_saved) == 64, "a gap in slot_saved");
_Static_assert(sizeof(struct child_saved) == 136, "a gap in child_saved");

/* The pool as rows, and which of them have changed. */
void
child_touch(struct pool *pool, struct child *child)
{
	if (child->changed)
		return;
	child->changed = true;
	TAILQ_INSERT_TAIL(&pool->changed, child, change);
}

void
child_untouch(struct pool *pool, struct child *child)
{
	if (child->changed)
		TAILQ_REMOVE(&pool->changed, child, change);
	child->changed = false;
}

void
slot_touch(struct pool *pool, struct slot *slot)
{
	if (slot->changed)
		return;
	slot->changed = true;
	TAILQ_INSERT_TAIL(&pool->changed_slots, slot, change);
}

struct child *
pool_next_changed(struct pool *pool)
{
	struct child	*child = TAILQ_FIRST(&pool->changed);

	if (child != NULL)
		child_untouch(pool, child);
	return child;
}

void
pool_changed(struct pool *pool, struct child *child)
{
	child_touch(pool, child);
}

int
pool_next_changed_slot(struct pool *pool)
{
	struct slot	*slot = TAILQ_FIRST(&pool->changed_slots);

	if (slot == NULL)
		return -1;
	TAILQ_REMOVE(&pool->changed_slots, slot, change);
	slot->changed = false;
	return slot->nr;
}

/* ---- rows */

static struct timer_saved
save_timer(const struct timer *timer)
{
	if (!timer->armed)
		return (struct timer_saved){ .at_ms = -1 };
	return (struct timer_saved){ .at_ms = timer->at_ms,
	    .seq = timer->seq };
}

void
pool_save(const struct pool *pool, struct pool_saved *out)
{
	*out = (struct pool_saved){
		.fork_wait = save_timer(&pool->fork_wait),
		.stop_wait = save_timer(&pool->stop_wait),
		.seq = pool->seq,
		.target = pool->target, .remembered = pool->remembered,
		.generation = pool->generation,
		.last_generation = pool->last_generation,
		.proven = pool->proven,
		.fork_failures = pool->fork_failures,
		.flags = (pool->gave_up ? POOL_GAVE_UP : 0) |
		    (pool->killed_any ? POOL_KILLED_ANY : 0) |
		    (pool->refuse_due ? POOL_REFUSE_DUE : 0) |
		    (pool->ever_ready ? POOL_EVER_READY : 0) |
		    (pool->announced ? POOL_ANNOUNCED : 0) |
		    (pool->drained ? POOL_DRAINED : 0) |
		    (pool->renewing ? POOL_RENEWING : 0),
		.phase = pool->phase,
	};
}

bool
pool_save_slot(const struct pool *pool, int nr, struct slot_saved *out)
{
	const struct slot	*slot;

	if (nr < 0 || nr >= pool->nslots)
		return false;
	slot = pool->slots[nr];
	*out = (struct slot_saved){
		.wait = save_timer(&slot->wait),
		.care = save_timer(&slot->care),
		.queue_seq = slot->queue_seq, .nr = nr,
		.failures = slot->failures, .quick = slot->quick,
		.uncared = slot->uncared,
		.flags = (slot->open ? SLOT_OPEN : 0) |
		    (slot->parked ? SLOT_PARKED : 0) |
		    (slot->barred ? SLOT_BARRED : 0) |
		    (slot->unsettled ? SLOT_UNSETTLED : 0),
		.why = (uint16_t)slot->why,
		.queued = (uint16_t)slot->queued,
	};
	return true;
}

static enum child_role
role_of(const struct child *child)
{
	if (child->info.caretaker)
		return ROLE_CARETAKER;
	if (child->slot == NULL)
		return ROLE_LEAVER;
	return child->slot->child == child ? ROLE_CHILD : ROLE_SUCCESSOR;
}

void
pool_save_child(const struct child *child, struct child_saved *out)
{
	const struct child_info	*info = &child->info;

	*out = (struct child_saved){
		.limit = save_timer(&child->limit),
		.age = save_timer(&child->age),
		.alive = save_timer(&child->alive),
		.spawned_ms = info->spawned_ms, .ready_ms = info->ready_ms,
		.since_ms = info->since_ms,
		.extended_ms = child->extended_ms, .away_ms = child->away_ms,
		.active = child->active,
		.seq = child->seq, .due_seq = child->due_seq,
		.pid = info->pid, .slot = info->slot,
		.generation = info->generation, .cell = info->cell,
		.state = (uint8_t)child->core.state,
		.role = (uint8_t)role_of(child),
		.why = (uint8_t)info->why,
		.retire = (uint8_t)child->retire,
		.over = (uint8_t)child->over,
		.due = (uint8_t)child->due,
	};
}
