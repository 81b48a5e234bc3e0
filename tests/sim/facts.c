#include "tests/sim/sim.h"

/* What happens to processes: told to the pool, and entered in our books. */

void
sim_enter(struct sim *sim, struct sim_proc *proc, enum child_state state,
    int64_t limit)
{
	if (proc->state != state) {
		proc->since_ms = sim->now_ms;
		proc->extended_ms = -1;
		proc->away_ms = 0;
	}
	proc->state = state;
	proc->due_ms = limit == SIM_NEVER ? SIM_NEVER : sim->now_ms + limit;
	if (proc->due_ms < proc->extended_ms)
		proc->due_ms = proc->extended_ms;
	proc->alive_ms = SIM_NEVER;
}

void
sim_book_ready(struct sim *sim, struct sim_proc *proc)
{
	proc->ready_ms = sim->now_ms;
	sim_enter(sim, proc, CHILD_READY, SIM_NEVER);
	if (proc->caretaker) {	/* on its way out from the start */
		sim_enter(sim, proc, CHILD_DRAINING,
		    sim->policy.limits.graceful);
		return;
	}
	sim->any_ready = true;
	if (proc->generation > sim->proven)
		sim->proven = proc->generation;
}

void
sim_fact(struct sim *sim, struct sim_proc *proc, enum child_event event)
{
	enum child_state	 before = child_info(proc->child)->state;
	struct child		*child = proc->child;

	sim_note(sim, child_event_name(event), proc->slot, proc->pid, -1);
	sim->touched = true;
	if (before < proc->state)
		before = proc->state;	/* else it has an order on its way */
	if (event == ON_READY && before == CHILD_STARTING)
		sim_book_ready(sim, proc);
	if (event != ON_READY && before == CHILD_READY)
		sim_judge_bereft(sim, proc);
	if (event == ON_LEAVING && before == CHILD_READY)
		sim_enter(sim, proc, CHILD_DRAINING,
		    sim->policy.limits.graceful);
	if (event == ON_STALE && before == CHILD_READY)	/* ABRT follows */
		sim_enter(sim, proc, CHILD_ENDING, sim->policy.limits.kill);
	pool_fact(sim->pool, child, event, sim->now_ms);
	sim_judge_renewed(sim);
}

void
sim_retire(struct sim *sim, struct sim_proc *proc, enum pool_why why)
{
	struct slot_info	 slot;

	sim_note(sim, "retire", proc->slot, proc->pid, why);
	sim->touched = true;
	if (proc->state == CHILD_READY &&
	    pool_phase(sim->pool) == POOL_RUNNING &&
	    pool_slot(sim->pool, proc->slot, &slot) &&
	    slot.child == proc->child)
		proc->retired = true;
	pool_retire(sim->pool, proc->child, why, sim->now_ms);
}

void
sim_exit(struct sim *sim, struct sim_proc *proc, int code)
{
	struct child	*child = proc->child;
	bool		 verdict = sim_is_verdict(sim, proc);

	if (proc->told == TOLD_KILL)
		code = -1;
	sim_note(sim, "exit", proc->slot, proc->pid, code);
	sim->touched = true;
	if (pool_find(sim->pool, proc->pid) != child)
		sim_violation(sim, "pid %d is not found", (int)proc->pid);
	sim_judge_bereft(sim, proc);
	*proc = sim->procs[--sim->nprocs];
	pool_exited(sim->pool, child, code, sim->now_ms);
	if (verdict && sim->renewing)
		sim_violation(sim, "the renewal goes on after a failure");
	sim_judge_renewed(sim);
}
