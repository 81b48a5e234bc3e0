#include "tests/sim/sim.h"

#include <string.h>

/*
 * The world: its clock, its processes, and the shell that does the pool's
 * acts. What must hold is judge.c's business.
 */
uint64_t
sim_random(struct sim *sim)
{
	uint64_t	 z = sim->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int64_t
sim_between(struct sim *sim, int64_t low, int64_t high)
{
	return low + (int64_t)(sim_random(sim) % (uint64_t)(high - low + 1));
}

bool
sim_chance(struct sim *sim, int permille)
{
	return permille > 0 && sim_between(sim, 0, 999) < permille;
}

static void
on_tell(void *arg, const struct pool_tell *tell)
{
	struct sim	*sim = arg;

	if (!sim->muted)
		sim_judge_tell(sim, tell);
}

void
sim_begin(struct sim *sim, const struct pool_policy *policy, int target,
    uint64_t seed)
{
	sim->policy = *policy;
	sim->seed = seed;
	sim->now_ms = 1000;
	sim->stop_by_ms = SIM_NEVER;
	sim->generation = sim->last_generation = 1;
	sim->most_backoff = policy->backoff_max;
	sim->most_jitter = policy->spawn_jitter;
	sim->most_workers = policy->max_workers;
	sim->touched = true;
	sim->pool = pool_new(policy, target, seed, on_tell, sim, sim->now_ms);
	sim_turn(sim);
}

void
sim_end(struct sim *sim)
{
	pool_free(sim->pool);
	sim->pool = NULL;
}

/* ---- time and turns */

static int64_t
next_deed_ms(const struct sim_proc *proc)
{
	int64_t	 next = SIM_NEVER;
	int	 i;

	for (i = 0; i < SIM_DEEDS; i++)
		if (proc->at[i] < next)
			next = proc->at[i];
	return next;
}

int64_t
sim_next_ms(const struct sim *sim)
{
	int64_t	 next = pool_deadline_ms(sim->pool), deed;
	int	 i;

	if (next == -1)
		next = SIM_NEVER;
	for (i = 0; i < sim->nprocs; i++)
		if ((deed = next_deed_ms(&sim->procs[i])) < next)
			next = deed;
	return next;
}

static void
do_deed(struct sim *sim, struct sim_proc *proc, enum sim_deed deed)
{
	proc->at[deed] = SIM_NEVER;
	switch (deed) {
	case DEED_READY:
	case DEED_TWICE:
		sim_fact(sim, proc, ON_READY);
		break;
	case DEED_LEAVE:
		sim_fact(sim, proc, ON_LEAVING);
		break;
	case DEED_STALE:
		sim_fact(sim, proc, ON_STALE);
		break;
	case DEED_REQUESTS:
		sim_retire(sim, proc, WHY_REQUESTS);
		break;
	case DEED_RSS:
		sim_retire(sim, proc, WHY_RSS);
		break;
	case DEED_EXIT:
		sim_exit(sim, proc, proc->exit_code);
		break;
	case SIM_DEEDS:
		break;
	}
}

/* The first deed of the process that is due; false: none is. */
static bool
one_deed(struct sim *sim, struct sim_proc *proc)
{
	int	 i, first = -1;

	for (i = 0; i < SIM_DEEDS; i++)
		if (proc->at[i] <= sim->now_ms &&
		    (first == -1 || proc->at[i] < proc->at[first]))
			first = i;
	if (first == -1)
		return false;
	do_deed(sim, proc, first);
	return true;
}

void
sim_deeds(struct sim *sim)
{
	int	 i;

	/* Who exits gives his place to the last one: hence backwards. */
	for (i = sim->nprocs - 1; i >= 0; i--)
		while (i < sim->nprocs && one_deed(sim, &sim->procs[i]))
			continue;
}

struct sim_proc *
sim_proc_of(struct sim *sim, const struct child *child)
{
	int	 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].child == child)
			return &sim->procs[i];
	return NULL;
}

/* A pid that nobody has, in no order, and soon used again. */
static pid_t
new_pid(struct sim *sim)
{
	pid_t	 pid;
	int	 i;

	do {
		pid = (pid_t)sim_between(sim, 2, 4 * SIM_PROCS);
		for (i = 0; i < sim->nprocs; i++)
			if (sim->procs[i].pid == pid)
				break;
	} while (i < sim->nprocs);
	return pid;
}

static bool
do_spawn(struct sim *sim, const struct act *act)
{
	struct sim_proc	*proc;
	int		 i;

	if (sim->nprocs == SIM_PROCS || !sim->fork_works(sim)) {
		sim_note(sim, "fork fails", act->slot, act->generation, -1);
		pool_spawn_failed(sim->pool, act, sim->now_ms);
		return false;
	}
	if (!sim->exec_works(sim)) {
		sim_judge_hopeless(sim, act);
		return true;
	}
	proc = &sim->procs[sim->nprocs];
	*proc = (struct sim_proc){ .pid = new_pid(sim), .slot = act->slot,
	    .generation = act->generation, .caretaker = act->caretaker,
	    .state = CHILD_STARTING, .born_ms = sim->now_ms, .ready_ms = -1,
	    .since_ms = sim->now_ms, .extended_ms = -1,
	    .alive_ms = sim->policy.alive == -1 ? SIM_NEVER :
	    sim->now_ms + sim->policy.alive,
	    .due_ms = sim->policy.limits.ready == 0 ||
	    sim->policy.alive != -1 ? SIM_NEVER :
	    sim->now_ms + sim->policy.limits.ready };
	for (i = 0; i < SIM_DEEDS; i++)
		proc->at[i] = SIM_NEVER;
	sim->born(sim, proc);
	sim_note(sim, act->caretaker ? "spawn caretaker" : "spawn", act->slot,
	    proc->pid, act->generation);
	sim->nprocs++;
	proc->child = pool_spawned(sim->pool, act, proc->pid, act->slot,
	    sim->now_ms);
	return true;
}

static void
do_signal(struct sim *sim, const struct act *act)
{
	static const char *const names[] = { [DO_STOP] = "signal STOP",
		[DO_FAST] = "signal FAST", [DO_ABORT] = "signal ABRT",
		[DO_KILL] = "signal KILL", [DO_SURPRISE] = "?" };
	struct sim_proc	*proc = sim_proc_of(sim, act->child);

	if (proc == NULL) {
		sim_violation(sim, "a signal for a child that is gone");
		return;
	}
	sim_note(sim, names[act->signal], proc->slot, proc->pid, -1);
	sim_judge_signal(sim, proc, act->signal);
	sim->heard(sim, proc);
}

/*
 * As the shell does: forks are made together, and told of together; when one
 * fails, those behind it are not tried.
 */
static bool
flush_spawns(struct sim *sim)
{
	int	 i, count = sim->nopen;
	bool	 works = true;

	sim->nopen = 0;
	for (i = 0; i < count; i++) {
		if (works)
			works = do_spawn(sim, &sim->open[i]);
		else
			pool_spawn_failed(sim->pool, &sim->open[i],
			    sim->now_ms);
	}
	return count > 0;
}

/* What cannot even be tried comes after those before it. */
static void
refused(struct sim *sim, const struct act *act)
{
	flush_spawns(sim);
	sim_note(sim, "not prepared", act->slot, act->generation, -1);
	pool_spawn_failed(sim->pool, act, sim->now_ms);
}

static void
do_act(struct sim *sim, const struct act *act)
{
	if (act->kind != ACT_SPAWN)
		flush_spawns(sim);
	switch (act->kind) {
	case ACT_SPAWN:
		sim_judge_spawn(sim, act);
		if (!sim->prepare_works(sim)) {
			refused(sim, act);
			break;
		}
		sim->open[sim->nopen++] = *act;
		if (sim->nopen == SIM_OPEN)
			flush_spawns(sim);
		break;
	case ACT_SIGNAL:
		do_signal(sim, act);
		break;
	case ACT_REFUSE:
		sim_note(sim, "refuse", -1, -1, -1);
		sim->refusals++;
		break;
	}
}

void
sim_turn(struct sim *sim)
{
	struct act	 act;
	int		 acts = 0;
	int		 most = 64 + 8 * (sim->nprocs + SIM_SLOTS);

	sim->step++;
	sim->spawns = 0;
	pool_begin_turn(sim->pool);
	do {
		while (!sim->violated &&
		    pool_next(sim->pool, sim->now_ms, &act)) {
			if (++acts > most)
				sim_violation(sim, "the turn does not end");
			if (!sim->touched && sim->now_ms < sim->quiet_until_ms)
				sim_violation(sim,
				    "an act before the deadline");
			do_act(sim, &act);
		}
	} while (!sim->violated && flush_spawns(sim));
	if (!sim->violated)
		sim_judge_turn(sim);
}

void
sim_settle(struct sim *sim)
{
	int	 turns = 0;

	do {
		sim_turn(sim);
		if (++turns > 4 * SIM_SLOTS)
			sim_violation(sim, "hungry for ever");
	} while (!sim->violated && sim->hungry);
}

static void
proc_away(struct sim_proc *proc, int64_t ms)
{
	proc->away_ms += ms;
	if (proc->due_ms != SIM_NEVER)
		proc->due_ms += ms;
	if (proc->extended_ms != -1)
		proc->extended_ms += ms;
	if (proc->alive_ms != SIM_NEVER)
		proc->alive_ms += ms;
}

void
sim_pass(struct sim *sim, int64_t ms, bool shift)
{
	int64_t	 deadline = pool_deadline_ms(sim->pool);
	int	 i;

	sim->now_ms += ms;
	if (!shift) {	/* a late shell makes a late end */
		if (deadline != -1 && deadline < sim->now_ms &&
		    sim->stop_by_ms != SIM_NEVER)
			sim->stop_by_ms += sim->now_ms - deadline;
		return;
	}
	sim_note(sim, "away", ms, -1, -1);
	pool_shift(sim->pool, ms);
	sim->quiet_until_ms = 0;
	sim->touched = true;
	for (i = 0; i < sim->nprocs; i++)
		proc_away(&sim->procs[i], ms);
	if (sim->stop_by_ms != SIM_NEVER)
		sim->stop_by_ms += ms;
}

/* ---- facts */

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
