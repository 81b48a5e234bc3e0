#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "master/pool_priv.h"

/*
 * The pool's second life: it is saved, freed, and made anew of its rows. Those
 * must be what the marks of change have said all along, the new pool must have
 * the same ones, and it must do what the old one would have done.
 */
#define ACTS	512

struct shelf {
	struct pool_saved	 pool;
	struct slot_saved	 slots[SIM_SLOTS];
	struct child_saved	 children[SIM_PROCS];
	struct pool_rows	 rows;
};

/* ---- the marks of change */

void
sim_mirror(struct sim *sim)
{
	struct child	*child;
	struct sim_proc	*proc;
	int		 nr;

	while ((child = pool_next_changed(sim->pool)) != NULL) {
		if ((proc = sim_proc_of(sim, child)) == NULL)
			sim_violation(sim, "a child that is gone has changed");
		else
			pool_save_child(child, &proc->saved);
	}
	while ((nr = pool_next_changed_slot(sim->pool)) != -1)
		pool_save_slot(sim->pool, nr, &sim->slots[nr].saved);
}

static void
judge_mirror(struct sim *sim)
{
	struct slot_saved	 slot;
	struct child_saved	 child;
	int			 i;

	sim_mirror(sim);
	for (i = 0; i < sim->nprocs; i++) {
		pool_save_child(sim->procs[i].child, &child);
		if (memcmp(&child, &sim->procs[i].saved, sizeof(child)) != 0)
			sim_violation(sim, "pid %d changed, and nobody knows",
			    (int)sim->procs[i].pid);
	}
	for (i = 0; i < pool_slots(sim->pool); i++) {
		pool_save_slot(sim->pool, i, &slot);
		if (memcmp(&slot, &sim->slots[i].saved, sizeof(slot)) != 0)
			sim_violation(sim, "slot %d changed, and nobody knows",
			    i);
	}
}

/* ---- saving */

static void
save(struct sim *sim, struct pool *pool, struct shelf *shelf)
{
	int	 i;

	memset(shelf, 0, sizeof(*shelf));
	shelf->rows = (struct pool_rows){ &shelf->pool, shelf->slots,
	    (size_t)pool_slots(pool), shelf->children, (size_t)sim->nprocs };
	pool_save(pool, &shelf->pool);
	for (i = 0; i < pool_slots(pool); i++)
		pool_save_slot(pool, i, &shelf->slots[i]);
	for (i = 0; i < sim->nprocs; i++)
		pool_save_child(pool_find(pool, sim->procs[i].pid),
		    &shelf->children[i]);
}

/* In any order. */
static void
shuffle(struct sim *sim, struct shelf *shelf)
{
	struct slot_saved	 slot;
	struct child_saved	 child;
	int			 i, j;

	for (i = (int)shelf->rows.nslots - 1; i > 0; i--) {
		j = (int)sim_between(sim, 0, i);
		slot = shelf->slots[i];
		shelf->slots[i] = shelf->slots[j];
		shelf->slots[j] = slot;
	}
	for (i = (int)shelf->rows.nchildren - 1; i > 0; i--) {
		j = (int)sim_between(sim, 0, i);
		child = shelf->children[i];
		shelf->children[i] = shelf->children[j];
		shelf->children[j] = child;
	}
}

static void
on_tell(void *arg, const struct pool_tell *tell)
{
	struct sim	*sim = arg;

	if (!sim->muted)
		sim_judge_tell(sim, tell);
}

static struct pool *
restore(struct sim *sim, const struct shelf *shelf, bool again)
{
	struct err	 err;
	struct pool	*pool;

	pool = pool_restore(&sim->policy, &shelf->rows, again, 0, on_tell,
	    sim, sim->now_ms, &err);
	if (pool == NULL)
		sim_violation(sim, "not restored: %s", err.text);
	else
		pool->random = sim->pool->random;
	return pool;
}

/* ---- would they do the same? */

/* The acts of a turn, none of them answered; the pool is spent then. */
static int
dry_turn(struct sim *sim, struct pool *pool, struct act *acts)
{
	int	 n = 0;

	pool_begin_turn(pool);
	while (n < ACTS && pool_next(pool, sim->now_ms, &acts[n]))
		n++;
	return n;
}

static bool
same(const struct act *a, const struct act *b)
{
	if (a->kind != b->kind || a->slot != b->slot ||
	    a->generation != b->generation || a->why != b->why)
		return false;
	if (a->kind == ACT_SIGNAL)
		return a->signal == b->signal &&
		    child_info(a->child)->pid == child_info(b->child)->pid;
	return a->kind != ACT_SPAWN || (a->caretaker == b->caretaker &&
	    a->max_requests == b->max_requests);
}

/* Of two pools of the same rows; both are spent. */
static void
judge_twins(struct sim *sim, struct pool *one, struct pool *other)
{
	struct act	*acts = calloc(2 * ACTS, sizeof(*acts));
	int		 n, m, i;

	if (acts == NULL)
		abort();
	sim->muted = true;
	n = dry_turn(sim, one, acts);
	m = dry_turn(sim, other, acts + ACTS);
	sim->muted = false;
	if (n != m)
		sim_violation(sim, "%d acts, %d once restored", n, m);
	for (i = 0; i < n && i < m; i++)
		if (!same(&acts[i], &acts[ACTS + i]))
			sim_violation(sim, "another act %d once restored", i);
	if (n == m && pool_deadline_ms(one) != pool_deadline_ms(other))
		sim_violation(sim, "another deadline once restored");
	free(acts);
}

/* ---- the second life */

static void
adopt(struct sim *sim, struct pool *pool, bool again)
{
	struct sim_proc	*proc;
	int		 i;

	sim->pool = pool;
	for (i = 0; i < sim->nprocs; i++) {
		proc = &sim->procs[i];
		proc->child = pool_find(pool, proc->pid);
		if (again && proc->told != TOLD_NOTHING &&
		    child_info(proc->child)->state == proc->state)
			proc->again = true;
	}
	sim->touched = true;
}

void
sim_anew(struct sim *sim, bool again)
{
	struct shelf	*before = malloc(sizeof(*before));
	struct shelf	*after = malloc(sizeof(*after));
	struct pool	*old = sim->pool, *twin, *fresh;

	if (before == NULL || after == NULL)
		abort();
	sim_note(sim, "anew", again, -1, -1);
	judge_mirror(sim);
	save(sim, old, before);
	memcpy(after, before, sizeof(*after));
	after->rows = (struct pool_rows){ &after->pool, after->slots,
	    before->rows.nslots, after->children, before->rows.nchildren };
	shuffle(sim, after);
	twin = restore(sim, after, false);
	fresh = restore(sim, after, again);
	if (twin != NULL && fresh != NULL) {
		save(sim, twin, after);
		if (memcmp(before, after,
		    offsetof(struct shelf, rows)) != 0)
			sim_violation(sim, "other rows once restored");
		judge_twins(sim, old, twin);
		adopt(sim, fresh, again);
		fresh = old;
	}
	pool_free(twin);
	pool_free(fresh);
	free(before);
	free(after);
}
