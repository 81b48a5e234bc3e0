#include "tests/sim/sim.h"

/* The judge of what the pool tells, and of how renewals go. */

static void
judge_wait(struct sim *sim, const struct pool_tell *tell)
{
	int64_t	 least = sim_least_wait(sim, tell->n);

	if (tell->n < 1 || tell->ms < least || tell->ms > least + least / 4)
		sim_violation(sim, "waits %lld ms after %lld failures",
		    (long long)tell->ms, (long long)tell->n);
	if (tell->kind == TELL_FORK_WAIT)
		sim->fork_wait_ms = sim->now_ms + tell->ms;
}

static void
judge_parked(struct sim *sim, const struct pool_tell *tell)
{
	struct sim_slot		*book = &sim->slots[tell->slot];
	struct slot_info	 slot;
	size_t			 i;

	for (i = 0; i < sim->policy.nfatal_codes; i++)
		if (sim->policy.fatal_codes[i] == tell->n)
			break;
	if (sim->hopeless ? tell->n != -1 : i == sim->policy.nfatal_codes)
		sim_violation(sim, "parked by code %lld", (long long)tell->n);
	if (!pool_slot(sim->pool, tell->slot, &slot))
		return;
	if (slot.child != NULL)
		sim_violation(sim, "parked, with a child");
	/* Nothing is held against it when it is tried again. */
	book->open = book->parked = true;
	book->failures = 0;
	book->quick = false;
	book->not_before_ms = 0;
}

/* There will be no other successor, until somebody scales. */
static void
judge_barred(struct sim *sim, const struct pool_tell *tell)
{
	struct slot_info	 slot;
	int			 i;

	if (!pool_slot(sim->pool, tell->slot, &slot) || slot.child == NULL) {
		sim_violation(sim, "barred, with nobody to succeed");
		return;
	}
	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].child == slot.child)
			sim->procs[i].heirless = true;
}

/* ---- renewals */

static void
judge_all_new(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	for (i = 0; pool_slot(sim->pool, i, &slot); i++)
		if (slot.open && !slot.parked && (slot.child == NULL ||
		    child_info(slot.child)->state != CHILD_READY ||
		    child_info(slot.child)->generation != sim->generation))
			sim_violation(sim, "renewed, but for slot %d", i);
}

static void
judge_renew_over(struct sim *sim, const struct pool_tell *tell)
{
	bool	 failed = tell->kind == TELL_RENEW_FAILED;
	bool	 back = failed && sim->proven > 0 &&
		    sim->proven < sim->generation;

	if (!sim->renewing || tell->n != sim->generation)
		sim_violation(sim, "a renewal to %lld is over",
		    (long long)tell->n);
	if (tell->restored != back)
		sim_violation(sim, "went back, or not");
	sim->renewing = false;
	if (back)
		sim->generation = sim->proven;
	/* The slot whose worker failed is not to blame. */
	if (back && sim->bereft == tell->slot)
		sim->slots[tell->slot] = sim->before;
	if (!failed)
		judge_all_new(sim);
}

bool
sim_is_verdict(const struct sim *sim, const struct sim_proc *proc)
{
	return sim->renewing && !proc->caretaker && proc->ready_ms == -1 &&
	    proc->generation == sim->generation &&
	    child_info(proc->child)->why == WHY_NONE &&
	    pool_phase(sim->pool) < POOL_DOOR;
}

static void
judge_alive(struct sim *sim, const struct pool_tell *tell)
{
	int	 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].pid == tell->child->pid)
			break;
	if (i == sim->nprocs || tell->child->state != CHILD_STARTING ||
	    sim->procs[i].state != CHILD_STARTING ||
	    sim->now_ms < sim->procs[i].alive_ms)
		sim_violation(sim, "pid %d has not lived that long",
		    (int)tell->child->pid);
	else
		sim_book_ready(sim, &sim->procs[i]);
}

/* Is there somebody of a newer generation who serves in its place? */
static void
judge_replaced(struct sim *sim, const struct sim_proc *proc)
{
	struct slot_info	 slot;
	const struct child_info	*info;

	pool_slot(sim->pool, proc->slot, &slot);
	info = slot.child == NULL ? NULL : child_info(slot.child);
	if (info == NULL || info->state != CHILD_READY ||
	    info->generation <= proc->generation)
		sim_violation(sim, "pid %d is renewed away, and nobody "
		    "serves in its place", (int)proc->pid);
}

void
sim_judge_renewed(struct sim *sim)
{
	struct sim_proc	*proc;
	int		 i;

	for (i = 0; i < sim->nprocs; i++) {
		proc = &sim->procs[i];
		if (proc->renewed || proc->caretaker ||
		    child_info(proc->child)->why != WHY_RENEW)
			continue;
		proc->renewed = true;
		if (proc->state == CHILD_READY)
			judge_replaced(sim, proc);
	}
}

static void
judge_gave_up(struct sim *sim)
{
	int64_t	 by = sim->now_ms + sim->policy.limits.kill + SIM_KILL_MS;

	if (sim->any_ready || sim->gave_up)
		sim_violation(sim, "gives up after a success");
	sim->gave_up = true;
	if (by < sim->stop_by_ms)
		sim->stop_by_ms = by;
}

void
sim_judge_tell(struct sim *sim, const struct pool_tell *tell)
{
	static const char *const names[] = {
		[TELL_READY] = "- ready", [TELL_GAVE_UP] = "- gave up",
		[TELL_SLOT_WAIT] = "- slot waits",
		[TELL_SLOT_PARKED] = "- slot parked",
		[TELL_SLOT_BARRED] = "- slot barred",
		[TELL_CARE_WAIT] = "- care waits",
		[TELL_FORK_WAIT] = "- forks wait",
		[TELL_RETIRE] = "- retires",
		[TELL_RENEW_DONE] = "- renewed",
		[TELL_RENEW_FAILED] = "- renew failed",
		[TELL_ALIVE] = "- alive",
		[TELL_SURPRISE] = "- surprise",
		[TELL_LATE] = "- late", [TELL_LEAVING] = "- leaves" };

	sim_note(sim, names[tell->kind], tell->slot,
	    tell->child == NULL ? -1 : tell->child->pid,
	    tell->ms == 0 ? tell->n : tell->ms);
	if (tell->kind == TELL_SLOT_WAIT || tell->kind == TELL_FORK_WAIT)
		judge_wait(sim, tell);
	else if (tell->kind == TELL_SLOT_PARKED)
		judge_parked(sim, tell);
	else if (tell->kind == TELL_SLOT_BARRED)
		judge_barred(sim, tell);
	else if (tell->kind == TELL_CARE_WAIT)
		sim->care_wait_ms[tell->slot] = sim->now_ms + tell->ms;
	else if (tell->kind == TELL_RENEW_DONE ||
	    tell->kind == TELL_RENEW_FAILED)
		judge_renew_over(sim, tell);
	else if (tell->kind == TELL_ALIVE)
		judge_alive(sim, tell);
	else if (tell->kind == TELL_GAVE_UP)
		judge_gave_up(sim);
	else if (tell->kind == TELL_SURPRISE && tell->event != ON_READY &&
	    tell->event != ON_LEAVING && tell->event != ON_STALE)
		sim_violation(sim, "surprised by itself");
	else if (tell->kind == TELL_READY && (sim->told_ready ||
	    pool_ready(sim->pool) == 0))
		sim_violation(sim, "it is not ready, or was before");
	sim->told_ready |= tell->kind == TELL_READY;
}
