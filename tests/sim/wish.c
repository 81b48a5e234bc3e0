#include "tests/sim/sim.h"

#include <string.h>

/* Wishes of the pool, and what the judge makes of them in its books. */

/* What was given up on is tried again. */
static void
tried_again(struct sim *sim)
{
	int	 i;

	for (i = 0; i < SIM_SLOTS; i++)
		sim->slots[i].parked = false;
	for (i = 0; i < sim->nprocs; i++)
		sim->procs[i].heirless = false;
	sim_judge_tried(sim);
}

static void
judge_scaled(struct sim *sim, const struct pool_scaled *scaled)
{
	if (scaled->to != pool_target(sim->pool))
		sim_violation(sim, "scaled to %d, the target is %d",
		    scaled->to, pool_target(sim->pool));
	if (scaled->ignored)
		return;
	if (scaled->to < sim->policy.min_workers ||
	    scaled->to > sim->policy.max_workers)
		sim_violation(sim, "scaled to %d", scaled->to);
	if (pool_drained(sim->pool))
		sim_violation(sim, "scaled, and drained");
	tried_again(sim);
}

void
sim_scale(struct sim *sim, int64_t delta)
{
	struct pool_scaled	 scaled;

	sim->touched = true;
	scaled = pool_scale(sim->pool, delta, sim->now_ms);
	sim_note(sim, "scale", delta, scaled.from, scaled.to);
	judge_scaled(sim, &scaled);
}

void
sim_set_target(struct sim *sim, int64_t target)
{
	struct pool_scaled	 scaled;

	sim->touched = true;
	scaled = pool_set_target(sim->pool, target, sim->now_ms);
	sim_note(sim, "set target", target, scaled.from, scaled.to);
	judge_scaled(sim, &scaled);
	if (!scaled.ignored && scaled.to != target &&
	    target >= sim->policy.min_workers &&
	    target <= sim->policy.max_workers)
		sim_violation(sim, "%lld wanted, %d made of it",
		    (long long)target, scaled.to);
}

void
sim_undrain(struct sim *sim)
{
	bool	 was = pool_drained(sim->pool) &&
		    pool_phase(sim->pool) == POOL_RUNNING;

	sim_note(sim, "undrain", -1, -1, -1);
	sim->touched = true;
	if (pool_undrain(sim->pool, sim->now_ms) != was)
		sim_violation(sim, "undrained, or not");
	if (!was)
		return;
	if (pool_drained(sim->pool) ||
	    pool_target(sim->pool) < sim->policy.min_workers)
		sim_violation(sim, "undrained to %d", pool_target(sim->pool));
	tried_again(sim);
}

/* ---- limits */

static int64_t
limit_of(const struct pool_policy *policy, enum child_state state)
{
	switch (state) {
	case CHILD_STARTING:
		return policy->limits.ready == 0 || policy->alive != -1 ?
		    SIM_NEVER : policy->limits.ready;
	case CHILD_DRAINING:
		return policy->limits.graceful;
	case CHILD_ENDING:
		return policy->limits.kill;
	default:
		return SIM_NEVER;
	}
}

static void
proc_follows(struct sim *sim, struct sim_proc *proc)
{
	int64_t	 limit = limit_of(&sim->policy, proc->state);

	proc->alive_ms = proc->state != CHILD_STARTING ||
	    sim->policy.alive == -1 ? SIM_NEVER :
	    proc->born_ms + sim->policy.alive + proc->away_ms;
	if (proc->state == CHILD_KILLED)
		return;
	proc->due_ms = limit == SIM_NEVER ? SIM_NEVER :
	    proc->since_ms + limit + proc->away_ms;
	if (proc->due_ms < proc->extended_ms)
		proc->due_ms = proc->extended_ms;
}

static void
at_most(int64_t *most, int64_t n)
{
	if (n > *most)
		*most = n;
}

void
sim_set_policy(struct sim *sim, const struct pool_policy *policy)
{
	struct pool_policy	 given = *policy;
	int			 codes[8], i;

	if (pool_phase(sim->pool) != POOL_RUNNING)
		return;		/* the end has its dates by now */
	sim_note(sim, "policy", policy->min_workers, policy->max_workers, -1);
	sim->touched = true;
	sim->policy = *policy;
	at_most(&sim->most_backoff, policy->backoff_max);
	at_most(&sim->most_jitter, policy->spawn_jitter);
	if (policy->max_workers > sim->most_workers)
		sim->most_workers = policy->max_workers;
	memcpy(codes, policy->fatal_codes,
	    policy->nfatal_codes * sizeof(codes[0]));
	given.fatal_codes = codes;
	pool_set_policy(sim->pool, &given, sim->now_ms);
	memset(codes, 0xff, sizeof(codes));	/* it has a copy */
	for (i = 0; i < sim->nprocs; i++)
		proc_follows(sim, &sim->procs[i]);
	if (!pool_drained(sim->pool) &&
	    (pool_target(sim->pool) < policy->min_workers ||
	    pool_target(sim->pool) > policy->max_workers))
		sim_violation(sim, "the target %d is not within %d..%d",
		    pool_target(sim->pool), policy->min_workers,
		    policy->max_workers);
}

/* A fast stop may come just before it is killed, and gives it time again. */
static int64_t
gone_by(const struct sim *sim, const struct sim_proc *proc)
{
	return proc->due_ms + SIM_KILL_MS + (proc->state < CHILD_ENDING ?
	    sim->policy.limits.kill : 0);
}

/* Whoever has an order on its way is left alone: the shell would not know. */
void
sim_extend(struct sim *sim, struct sim_proc *proc, int64_t ms)
{
	if (child_info(proc->child)->state != proc->state)
		return;
	sim_note(sim, "extend", proc->slot, proc->pid, ms);
	sim->touched = true;
	pool_extend(sim->pool, proc->child, ms, sim->now_ms);
	if (proc->state == CHILD_KILLED || proc->due_ms == SIM_NEVER ||
	    sim->now_ms + ms <= proc->due_ms)
		return;
	proc->extended_ms = proc->due_ms = sim->now_ms + ms;
	if (sim->stop_by_ms != SIM_NEVER)
		at_most(&sim->stop_by_ms, gone_by(sim, proc));
}

/* ---- the rest */

void
sim_drain(struct sim *sim)
{
	sim_note(sim, "drain", -1, -1, -1);
	sim->touched = true;
	pool_drain(sim->pool);
}

void
sim_renew(struct sim *sim)
{
	int	 i;

	sim_note(sim, "renew", -1, -1, -1);
	sim->touched = true;
	if (pool_phase(sim->pool) == POOL_RUNNING) {
		sim->generation = ++sim->last_generation;
		sim->renewing = true;
	}
	pool_renew(sim->pool, sim->now_ms);
	if (pool_phase(sim->pool) != POOL_RUNNING)
		return;
	for (i = 0; i < SIM_SLOTS; i++) {
		sim->slots[i].failures = 0;
		sim->slots[i].quick = false;
		sim->slots[i].not_before_ms = sim->now_ms;
	}
	tried_again(sim);
	sim_judge_renewed(sim);
}

/* When those who are on their way out already must be gone. */
static int64_t
leavers_by(const struct sim *sim, bool fast)
{
	int64_t	 by = 0;
	int	 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].state >= (fast ? CHILD_ENDING :
		    CHILD_DRAINING))
			at_most(&by, gone_by(sim, &sim->procs[i]));
	return by;
}

void
sim_stop(struct sim *sim, bool fast)
{
	const struct pool_policy	*policy = &sim->policy;
	int64_t				 by;

	sim_note(sim, fast ? "stop fast" : "stop", -1, -1, -1);
	sim->touched = true;
	fast |= pool_phase(sim->pool) != POOL_RUNNING;
	by = sim->now_ms + policy->limits.kill + SIM_KILL_MS;
	if (!fast)
		by += policy->stop_delay + policy->door +
		    policy->limits.graceful;
	at_most(&by, leavers_by(sim, fast));
	if (by < sim->stop_by_ms)
		sim->stop_by_ms = by;
	sim->fast |= fast;
	pool_stop(sim->pool, fast, sim->now_ms);
}

void
sim_caretake(struct sim *sim, int slot)
{
	sim_note(sim, "caretake", slot, -1, -1);
	sim->touched = true;
	pool_caretake(sim->pool, slot);
}
