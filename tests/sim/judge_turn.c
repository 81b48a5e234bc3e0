#include "tests/sim/sim.h"

/*
 * The judge of the whole: what must hold whenever the pool says that there is
 * nothing more to do for now.
 */
struct tally {
	int	 ready, untold, attached, open, successors;
};

/* What a process is for the pool is what it must be by our own books. */
static void
judge_proc(struct sim *sim, const struct sim_proc *proc, struct tally *tally)
{
	const struct child_info	*info = child_info(proc->child);

	if (info->pid != proc->pid || info->slot != proc->slot ||
	    info->cell != proc->slot || info->generation != proc->generation)
		sim_violation(sim, "pid %d is taken for %d", (int)proc->pid,
		    (int)info->pid);
	if (info->state != proc->state)
		sim_violation(sim, "pid %d is %s, must be %s", (int)proc->pid,
		    child_state_name(info->state),
		    child_state_name(proc->state));
	if (proc->alive_ms <= sim->now_ms)
		sim_violation(sim, "pid %d lives, and is not ready",
		    (int)proc->pid);
	if (proc->again)
		sim_violation(sim, "pid %d is not told again",
		    (int)proc->pid);
	if (proc->due_ms <= sim->now_ms)
		sim_violation(sim, "the limit of pid %d ran out at %lld",
		    (int)proc->pid, (long long)proc->due_ms);
	if (info->state == CHILD_DRAINING && info->why == WHY_NONE &&
	    !proc->caretaker)
		sim_violation(sim, "pid %d drains for no reason",
		    (int)proc->pid);
	tally->ready += proc->state == CHILD_READY;
	tally->untold += proc->state <= CHILD_READY && !proc->caretaker;
}

static void
judge_order(struct sim *sim)
{
	struct child	*child = NULL;
	pid_t		 last = 0;
	int		 n = 0;

	while ((child = pool_next_child(sim->pool, child)) != NULL) {
		if (child_info(child)->pid <= last)
			sim_violation(sim, "children in no order");
		last = child_info(child)->pid;
		n++;
	}
	if (n != sim->nprocs || pool_live(sim->pool) != n)
		sim_violation(sim, "%d live, knows %d, says %d", sim->nprocs,
		    n, pool_live(sim->pool));
}

/* Who asked for a successor once still does. */
static void
judge_wish(struct sim *sim, const struct sim_proc *proc)
{
	struct slot_info	 slot;

	if (proc->retired && proc->state == CHILD_READY &&
	    sim->phase == POOL_RUNNING && pool_slot(sim->pool, proc->slot,
	    &slot) && slot.child == proc->child &&
	    proc->saved.retire == WHY_NONE)
		sim_violation(sim, "pid %d asked to retire, and is forgotten",
		    (int)proc->pid);
}

/* ---- slots */

static void
judge_attached(struct sim *sim, int nr, const struct slot_info *slot)
{
	const struct child_info	*info = child_info(slot->child);

	if (!slot->open || slot->parked || info->slot != nr ||
	    info->caretaker || info->why != WHY_NONE)
		sim_violation(sim, "pid %d does not belong to slot %d",
		    (int)info->pid, nr);
	if (info->state == CHILD_STARTING && sim->phase < POOL_DOOR &&
	    info->generation > sim->generation)
		sim_violation(sim, "pid %d still starts, of generation %d",
		    (int)info->pid, info->generation);
	if (slot->successor == NULL)
		return;
	info = child_info(slot->successor);
	if (info->slot != nr || info->caretaker || info->why != WHY_NONE ||
	    info->state == CHILD_READY ||
	    info->generation != sim->generation)
		sim_violation(sim, "pid %d is not slot %d's successor",
		    (int)info->pid, nr);
}

/* Is there a date by which the empty slot gets its worker? */
static void
judge_waiting(struct sim *sim, int nr, const struct slot_info *slot)
{
	int64_t		 most = sim->most_backoff + sim->most_backoff / 4;
	int64_t		 until = sim->fork_wait_ms;
	int64_t		 deadline = pool_deadline_ms(sim->pool);

	if (most < sim->most_jitter)
		most = sim->most_jitter;
	if (slot->fill_at_ms > until)
		until = slot->fill_at_ms;
	if (until <= sim->now_ms)
		sim_violation(sim, "slot %d is empty and waits for nothing",
		    nr);
	else if (until > sim->now_ms + most)
		sim_violation(sim, "slot %d waits until %lld", nr,
		    (long long)until);
	else if (deadline == -1 || deadline > until)
		sim_violation(sim, "slot %d waits until %lld, deadline %lld",
		    nr, (long long)until, (long long)deadline);
}

static void
judge_slot(struct sim *sim, int nr, struct tally *tally, int *gap)
{
	struct sim_slot		*book = &sim->slots[nr];
	struct slot_info	 slot;

	pool_slot(sim->pool, nr, &slot);
	if (slot.open && !book->open && *gap != -1)
		sim_violation(sim, "opens slot %d, %d is free", nr, *gap);
	if (!slot.open && !book->open && *gap == -1)
		*gap = nr;
	if (!slot.open)
		*book = (struct sim_slot){ .saved = book->saved };
	book->open = slot.open;
	tally->open += slot.open;
	tally->attached += (slot.child != NULL) + (slot.successor != NULL);
	tally->successors += slot.successor != NULL;
	if (slot.child != NULL)
		judge_attached(sim, nr, &slot);
	else if (slot.successor != NULL)
		sim_violation(sim, "slot %d has a successor to none", nr);
	else if (slot.open && !slot.parked && !sim->hungry &&
	    sim->phase < POOL_DOOR)
		judge_waiting(sim, nr, &slot);
	if (slot.parked && !book->parked && slot.open)
		sim_violation(sim, "slot %d is parked, nobody knows", nr);
}

/* ---- the whole */

static void
judge_numbers(struct sim *sim, const struct tally *tally)
{
	struct pool	*pool = sim->pool;
	int		 surge = pool_surge(pool);

	/* A percentage shrinks with the target; who is there may stay. */
	if (surge < sim->successors)
		surge = sim->successors;
	if (tally->successors > surge)
		sim_violation(sim, "%d successors", tally->successors);
	sim->successors = tally->successors;
	if (sim->phase < POOL_DOOR && tally->untold > pool_target(pool) + surge)
		sim_violation(sim, "%d workers", tally->untold);
	if (sim->phase < POOL_DOOR && tally->open != pool_target(pool))
		sim_violation(sim, "%d slots open", tally->open);
	if (tally->ready != pool_ready(pool))
		sim_violation(sim, "%d ready, says %d", tally->ready,
		    pool_ready(pool));
	if (sim->nprocs - tally->attached != pool_leavers(pool))
		sim_violation(sim, "%d leavers, says %d",
		    sim->nprocs - tally->attached, pool_leavers(pool));
	if (pool_slots(pool) > sim->most_workers)
		sim_violation(sim, "%d slots", pool_slots(pool));
	if (pool_generation(pool) != sim->generation ||
	    pool_proven(pool) != sim->proven ||
	    pool_renewing(pool) != sim->renewing)
		sim_violation(sim, "generation %d, proven %d, must be %d, %d",
		    pool_generation(pool), pool_proven(pool), sim->generation,
		    sim->proven);
}

static void
judge_phase(struct sim *sim)
{
	enum pool_phase	 phase = pool_phase(sim->pool);

	if (phase < sim->phase)
		sim_violation(sim, "back to phase %d", (int)phase);
	sim->phase = phase;
	if (phase == POOL_ENDED && sim->nprocs != 0)
		sim_violation(sim, "ended, but not alone");
	if (phase == POOL_STOPPING && sim->nprocs == 0)
		sim_violation(sim, "does not end");
	if (phase != POOL_ENDED && sim->now_ms > sim->stop_by_ms)
		sim_violation(sim, "should have ended by %lld",
		    (long long)sim->stop_by_ms);
	if (phase >= POOL_DOOR && !sim->fast && !sim->gave_up &&
	    sim->refusals != 1)
		sim_violation(sim, "drains, refused %d times", sim->refusals);
	if (phase < POOL_DOOR && sim->refusals != 0)
		sim_violation(sim, "refuses, but serves");
	if (pool_gave_up(sim->pool) != sim->gave_up)
		sim_violation(sim, "gave up, or not");
	if (pool_killed_any(sim->pool) != sim->killed)
		sim_violation(sim, "killed, or not");
}

static void
judge_deadline(struct sim *sim)
{
	int64_t	 deadline = pool_deadline_ms(sim->pool);

	if (deadline != -1 && deadline <= sim->now_ms && !sim->hungry)
		sim_violation(sim, "the deadline %lld has passed",
		    (long long)deadline);
	sim->quiet_until_ms = deadline == -1 ? SIM_NEVER : deadline;
	sim->touched = sim->hungry;
}

void
sim_judge_turn(struct sim *sim)
{
	struct tally	 tally = { 0 };
	int		 i, gap = -1;

	sim->hungry = pool_hungry(sim->pool);
	if (sim->hungry && sim->spawns < sim->policy.spawn_batch)
		sim_violation(sim, "hungry after %d spawns", sim->spawns);
	judge_phase(sim);
	for (i = 0; i < sim->nprocs; i++)
		judge_proc(sim, &sim->procs[i], &tally);
	judge_order(sim);
	for (i = 0; i < pool_slots(sim->pool) && i < SIM_SLOTS; i++)
		judge_slot(sim, i, &tally, &gap);
	judge_numbers(sim, &tally);
	judge_deadline(sim);
	sim_mirror(sim);
	for (i = 0; i < sim->nprocs; i++)
		judge_wish(sim, &sim->procs[i]);
}

void
sim_judge_tried(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	for (i = 0; pool_slot(sim->pool, i, &slot); i++)
		if (slot.parked)
			sim_violation(sim, "slot %d is parked for ever", i);
}

void
sim_judge_full(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	if (sim->violated || pool_phase(sim->pool) != POOL_RUNNING)
		return;
	for (i = 0; i < pool_slots(sim->pool); i++) {
		pool_slot(sim->pool, i, &slot);
		if (slot.open && !slot.parked && !pool_slot_ready(sim->pool, i))
			sim_violation(sim, "slot %d does not serve, though "
			    "all was quiet", i);
	}
	if (!sim->told_ready && pool_ready(sim->pool) > 0)
		sim_violation(sim, "ready, but it did not say so");
}

void
sim_judge_retired(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	if (sim->violated || pool_phase(sim->pool) != POOL_RUNNING)
		return;
	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].retired && !sim->procs[i].heirless &&
		    pool_slot(sim->pool, sim->procs[i].slot, &slot) &&
		    slot.child == sim->procs[i].child)
			sim_violation(sim, "pid %d asked to retire, and still "
			    "serves", (int)sim->procs[i].pid);
}
