#include "tests/sim/sim.h"

#include <sys/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Random schedules: who is born is of a random and mostly bad character, what
 * is wished comes at random, and the clock stands, creeps or leaps.
 */
struct play {
	const struct sim_temper	*temper;
	bool			 calm;
};

static const int	 fatal_codes[] = { 78, 66 };

/* ---- the policy */

/* Nothing, or from 1 to most. */
static int64_t
some(struct sim *sim, int64_t most)
{
	return sim_chance(sim, 500) ? 0 : sim_between(sim, 1, most);
}

static void
draw_limits(struct sim *sim, const struct sim_temper *temper,
    struct pool_policy *policy)
{
	policy->limits.ready = some(sim, 5000);
	if (policy->limits.ready != 0)
		policy->limits.ready += 100;
	policy->limits.graceful = some(sim, 5000);
	policy->limits.kill = some(sim, 2000);
	if (temper->zero_limits)
		policy->limits = (struct child_limits){ 0 };
	policy->stop_delay = some(sim, 2000);
	policy->door = some(sim, 200);
}

static void
draw_policy(struct sim *sim, const struct sim_temper *temper,
    struct pool_policy *policy)
{
	*policy = (struct pool_policy){ 0 };
	policy->min_workers = sim_chance(sim, 800) ? 1 :
	    (int)sim_between(sim, 1, temper->workers);
	policy->max_workers = (int)sim_between(sim, policy->min_workers,
	    temper->workers);
	policy->cull = (enum pool_cull)sim_between(sim, 0, 2);
	policy->spawn_batch = (int)sim_between(sim, 1, 16);
	policy->spawn_jitter = some(sim, 500);
	policy->backoff_min = sim_between(sim, 1, 1000);
	policy->backoff_max = policy->backoff_min * sim_between(sim, 1, 60);
	policy->min_uptime = some(sim, 2000);
	policy->boot_retries = (int)sim_between(sim, 1, 5);
	policy->surge_percent = sim_chance(sim, 500);
	policy->surge = (int)sim_between(sim, 1, policy->surge_percent ? 100 :
	    4);
	policy->max_requests = some(sim, 1000);
	policy->max_requests_jitter = some(sim, 100);
	policy->max_age = some(sim, 10000);
	if (policy->max_age != 0)
		policy->max_age += 500;
	policy->max_age_jitter = some(sim, 1000);
	policy->fatal_codes = fatal_codes;
	policy->nfatal_codes = sizeof(fatal_codes) / sizeof(fatal_codes[0]);
	if (sim_chance(sim, 200))
		policy->nfatal_codes--;
	policy->alive = sim_chance(sim, 700) ? -1 : some(sim, 3000);
	draw_limits(sim, temper, policy);
}

/* ---- characters */

static int64_t
after(struct sim *sim, int64_t since_ms, int64_t most)
{
	return since_ms + sim_between(sim, 0, most);
}

/* Now and then right behind one another. */
static void
draw_deeds(struct sim *sim, const struct sim_temper *temper,
    struct sim_proc *proc, int64_t ready_ms)
{
	if (sim_chance(sim, temper->twice))
		proc->at[DEED_TWICE] = after(sim, ready_ms, 1000);
	if (sim_chance(sim, temper->leaves))
		proc->at[DEED_LEAVE] = after(sim, ready_ms, 3000);
	if (sim_chance(sim, temper->stale))
		proc->at[DEED_STALE] = after(sim, proc->born_ms, 3000);
	if (sim_chance(sim, temper->retires))
		proc->at[DEED_REQUESTS] = after(sim, ready_ms, 2000);
	if (sim_chance(sim, temper->retires))
		proc->at[DEED_RSS] = after(sim, proc->born_ms, 2000);
	if (sim_chance(sim, temper->dies_early))
		proc->at[DEED_EXIT] = after(sim, proc->born_ms, 50);
	else if (sim_chance(sim, temper->dies_young))
		proc->at[DEED_EXIT] = after(sim, ready_ms,
		    sim->policy.min_uptime);
	else if (sim_chance(sim, temper->dies_late))
		proc->at[DEED_EXIT] = after(sim, ready_ms, 20000);
	proc->exit_code = (int)sim_between(sim, -1, 1);
	if (sim_chance(sim, temper->fatal))
		proc->exit_code = sim_chance(sim, 500) ? 78 : 66;
}

static void
born(struct sim *sim, struct sim_proc *proc)
{
	const struct play		*play = sim->arg;
	const struct sim_temper		*temper = play->temper;
	int64_t				 ready_ms;

	ready_ms = sim->now_ms + sim_between(sim, 0, 50);
	proc->hears_stop = proc->hears_hard = true;
	if (play->calm) {
		proc->at[DEED_READY] = ready_ms;
		return;
	}
	if (sim_chance(sim, 200))
		ready_ms = after(sim, ready_ms, 4000);
	if (!sim_chance(sim, temper->never_ready))
		proc->at[DEED_READY] = ready_ms;
	draw_deeds(sim, temper, proc, ready_ms);
	proc->hears_hard = !sim_chance(sim, temper->stone);
	proc->hears_stop = proc->hears_hard && !sim_chance(sim, temper->deaf);
	proc->slow_ms = sim_chance(sim, 700) ? sim_between(sim, 0, 50) :
	    sim_between(sim, 0, 4000);
}

static void
goes_by(struct sim_proc *proc, int64_t at_ms)
{
	if (at_ms < proc->at[DEED_EXIT])
		proc->at[DEED_EXIT] = at_ms;
}

static void
heard(struct sim *sim, struct sim_proc *proc)
{
	if (proc->told == TOLD_KILL)
		goes_by(proc, after(sim, sim->now_ms,
		    sim_chance(sim, 900) ? 20 : SIM_KILL_MS));
	else if (proc->told == TOLD_HARD ? proc->hears_hard : proc->hears_stop)
		goes_by(proc, sim->now_ms + proc->slow_ms);
}

static bool
fork_works(struct sim *sim)
{
	const struct play	*play = sim->arg;

	return play->calm || !sim_chance(sim, play->temper->fork_fails);
}

static bool
exec_works(struct sim *sim)
{
	const struct play	*play = sim->arg;

	return play->calm || !sim_chance(sim, play->temper->no_exec);
}

static bool
prepare_works(struct sim *sim)
{
	const struct play	*play = sim->arg;

	return play->calm || !sim_chance(sim, play->temper->unprepared);
}

/* ---- mischief */

static int64_t
draw_delta(struct sim *sim)
{
	if (sim_chance(sim, 50))
		return sim_between(sim, -10000, 10000);
	return sim_between(sim, -3, 3);
}

/* Many at once fall down dead, or one. */
static void
burst(struct sim *sim)
{
	int	 some_of = (int)sim_between(sim, 0, 1000), i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim_chance(sim, some_of))
			sim->procs[i].at[DEED_EXIT] = sim->now_ms;
}

static struct sim_proc *
anyone(struct sim *sim)
{
	return sim->nprocs == 0 ? NULL :
	    &sim->procs[sim_between(sim, 0, sim->nprocs - 1)];
}

/* Another policy, or the same pool in another process. */
static void
change(struct sim *sim, const struct sim_temper *temper)
{
	struct pool_policy	 policy;
	struct sim_proc		*proc;

	if (sim_chance(sim, temper->policy)) {
		draw_policy(sim, temper, &policy);
		sim_set_policy(sim, &policy);
	}
	if (sim_chance(sim, temper->extend) && (proc = anyone(sim)) != NULL)
		sim_extend(sim, proc, sim_between(sim, 0, 10000));
	if (sim_chance(sim, temper->anew))
		sim_anew(sim, sim_chance(sim, 300));
}

static void
wish(struct sim *sim, const struct sim_temper *temper)
{
	struct sim_proc	*proc;

	if (sim_chance(sim, temper->target))
		sim_set_target(sim, sim_between(sim, -1,
		    temper->workers + 1));
	if (sim_chance(sim, temper->undrain))
		sim_undrain(sim);
	if (sim_chance(sim, temper->scale))
		sim_scale(sim, draw_delta(sim));
	if (sim_chance(sim, temper->drain))
		sim_drain(sim);
	if (sim_chance(sim, temper->renew))
		sim_renew(sim);
	if (sim_chance(sim, temper->caretake))
		sim_caretake(sim, (int)sim_between(sim, -1,
		    pool_slots(sim->pool)));
	if (sim_chance(sim, temper->burst))
		burst(sim);
	if (sim_chance(sim, temper->stop))
		sim_stop(sim, false);
	if (sim_chance(sim, temper->fast))
		sim_stop(sim, true);
	if (sim_chance(sim, 100) && (proc = anyone(sim)) != NULL)
		pool_set_active(sim->pool, proc->child,
		    sim_between(sim, -1, 3));
}

static void
time_goes(struct sim *sim, const struct sim_temper *temper)
{
	int64_t	 next = sim_next_ms(sim);

	if (next == SIM_NEVER || next < sim->now_ms)
		next = sim->now_ms;
	if (sim_chance(sim, temper->shift))
		sim_pass(sim, sim_between(sim, 0, 20000), true);
	else if (sim_chance(sim, temper->jump))
		sim_pass(sim, sim_between(sim, 0, 5000), false);
	else if (sim_chance(sim, 700))
		sim_pass(sim, next - sim->now_ms, false);
	else if (sim_chance(sim, 700))
		sim_pass(sim, sim_between(sim, 0, next - sim->now_ms), false);
}

static void
mischief(struct sim *sim)
{
	const struct play	*play = sim->arg;

	/* Time only passes between turns. */
	if (!sim->hungry || sim_chance(sim, 100))
		time_goes(sim, play->temper);
	if (sim_chance(sim, 500))
		sim_deeds(sim);
	wish(sim, play->temper);
	sim_deeds(sim);
	change(sim, play->temper);
	sim_turn(sim);
}

/* ---- rest, and the end */

static void
calm_down(struct sim *sim)
{
	struct play	*play = sim->arg;
	struct sim_proc	*proc;
	int		 i;

	play->calm = true;
	for (i = 0; i < sim->nprocs; i++) {
		proc = &sim->procs[i];
		proc->at[DEED_LEAVE] = proc->at[DEED_STALE] = SIM_NEVER;
		proc->at[DEED_REQUESTS] = proc->at[DEED_RSS] = SIM_NEVER;
		if (proc->told != TOLD_NOTHING)
			continue;
		proc->at[DEED_EXIT] = SIM_NEVER;
		/* Who is not ready in time is replaced, if there is a time. */
		if (proc->state == CHILD_STARTING && proc->due_ms == SIM_NEVER)
			proc->at[DEED_READY] = after(sim, sim->now_ms, 50);
	}
}

static void
quiet_until(struct sim *sim, int64_t end_ms)
{
	int64_t	 next;

	while (!sim->violated && sim->now_ms < end_ms) {
		next = sim_next_ms(sim);
		if (next > end_ms)
			next = end_ms;
		if (next > sim->now_ms)
			sim_pass(sim, next - sim->now_ms, false);
		sim_deeds(sim);
		sim_settle(sim);
	}
}

static void
judge_renewed(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	if (sim->violated || pool_phase(sim->pool) != POOL_RUNNING)
		return;
	if (sim->renewing)
		sim_violation(sim, "the renewal does not end");
	for (i = 0; i < pool_slots(sim->pool); i++) {
		pool_slot(sim->pool, i, &slot);
		if (slot.child != NULL && child_info(slot.child)->generation !=
		    pool_generation(sim->pool))
			sim_violation(sim, "slot %d was not renewed", i);
	}
}

/* How long those who will never be ready may still take. */
static int64_t
last_limit(const struct sim *sim)
{
	int64_t	 last = sim->now_ms;
	int	 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].state == CHILD_STARTING &&
		    sim->procs[i].due_ms != SIM_NEVER &&
		    sim->procs[i].due_ms > last)
			last = sim->procs[i].due_ms;
	return last - sim->now_ms;
}

static void
rest(struct sim *sim)
{
	const struct pool_policy	*policy = &sim->policy;

	calm_down(sim);
	if (pool_target(sim->pool) == 0)
		sim_scale(sim, 1);
	sim_settle(sim);
	quiet_until(sim, sim->now_ms + sim->most_backoff * 5 / 4 +
	    last_limit(sim) + sim->most_jitter + SIM_KILL_MS + 100);
	sim_judge_full(sim);
	quiet_until(sim, sim->now_ms + 120 * (pool_target(sim->pool) + 1));
	sim_judge_retired(sim);
	if (sim_chance(sim, 500))
		return;
	sim_renew(sim);
	sim_settle(sim);
	quiet_until(sim, sim->now_ms + policy->spawn_jitter +
	    120 * (pool_target(sim->pool) + 1));
	judge_renewed(sim);
}

static void
the_end(struct sim *sim)
{
	struct play	*play = sim->arg;

	sim_stop(sim, sim_chance(sim, 300));
	sim_turn(sim);
	play->calm = false;
	while (!sim->violated && pool_phase(sim->pool) != POOL_ENDED) {
		if (sim_next_ms(sim) == SIM_NEVER)
			sim_violation(sim, "the stop waits for nothing");
		mischief(sim);
		if (sim_chance(sim, 20)) {
			sim_stop(sim, sim_chance(sim, 300));
			sim_turn(sim);
		}
	}
	sim_scale(sim, 3);
	sim_renew(sim);
	sim_drain(sim);
	sim_turn(sim);
	if (!sim->violated && pool_phase(sim->pool) != POOL_ENDED)
		sim_violation(sim, "it lives again");
}

unsigned long
sim_play(const char *name, const struct sim_temper *temper, uint64_t seed,
    unsigned long steps)
{
	struct play		 play = { .temper = temper };
	struct pool_policy	 policy;
	struct sim		*sim = calloc(1, sizeof(*sim));
	unsigned long		 done;

	if (sim == NULL)
		abort();
	*sim = (struct sim){ .name = name, .random = seed, .born = born,
	    .heard = heard, .fork_works = fork_works,
	    .exec_works = exec_works, .prepare_works = prepare_works,
	    .arg = &play };
	draw_policy(sim, temper, &policy);
	sim_begin(sim, &policy, (int)sim_between(sim, policy.min_workers,
	    policy.max_workers), seed);
	while (!sim->violated && sim->step < steps &&
	    sim->phase != POOL_ENDED)
		mischief(sim);
	rest(sim);
	the_end(sim);
	done = sim->violated ? 0 : sim->step;
	sim_end(sim);
	free(sim);
	return done;
}

/* ---- the environment */

uint64_t
sim_seed(void)
{
	const char	*text = getenv("MUSTER_SIM_SEED");
	uint64_t	 seed;

	if (text != NULL)
		return strtoull(text, NULL, 0);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed >> 32;
}

unsigned long
sim_steps(unsigned long usual)
{
	const char	*text = getenv("MUSTER_SIM_STEPS");

	if (text != NULL)
		return strtoul(text, NULL, 0);
	text = getenv("MUSTER_SOAK");
	return text != NULL && strcmp(text, "0") != 0 ? usual * 50 : usual;
}
