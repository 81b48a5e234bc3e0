#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

/*
 * Every order of a few events, on a small pool: what random schedules miss by
 * chance, these cannot. The pool is not copied but begun anew for each
 * sequence; a sequence that repeats an impossible event is cut there.
 */
TestSuite(exhaustive, .timeout = 900);

enum event { READY_FIRST, READY_LAST, EXIT_0, EXIT_1, FAIL_0, FATAL_0,
	EXIT_SUCCESSOR, EXIT_LEAVER, LEAVE_0, STALE_0, RETIRE_0, RETIRE_1,
	NO_FORK, NO_EXEC, DEADLINE, LATER, MORE, FEWER, RENEW, DRAIN, CARETAKE,
	AWAY, ANEW, STOP, FAST, EVENTS };

#define DEPTH_MOST	16

struct trial {
	struct sim	 sim;
	bool		 no_fork, no_exec;	/* the next one fails */
	unsigned long	 sequences, steps;
};

/* ---- nobody does anything by himself */

static void
born(struct sim *sim, struct sim_proc *proc)
{
	(void)sim;
	(void)proc;
}

static bool
fork_works(struct sim *sim)
{
	struct trial	*trial = sim->arg;
	bool		 works = !trial->no_fork;

	trial->no_fork = false;
	return works;
}

static bool
exec_works(struct sim *sim)
{
	struct trial	*trial = sim->arg;
	bool		 works = !trial->no_exec;

	trial->no_exec = false;
	return works;
}

static bool
prepare_works(struct sim *sim)
{
	(void)sim;
	return true;
}

static struct sim_proc *
proc_of(struct sim *sim, const struct child *child)
{
	int	 i;

	for (i = 0; child != NULL && i < sim->nprocs; i++)
		if (sim->procs[i].child == child)
			return &sim->procs[i];
	return NULL;
}

static struct sim_proc *
in_slot(struct sim *sim, int nr)
{
	struct slot_info	 slot;

	return pool_slot(sim->pool, nr, &slot) ? proc_of(sim, slot.child) :
	    NULL;
}

static struct sim_proc *
a_successor(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	for (i = 0; pool_slot(sim->pool, i, &slot); i++)
		if (slot.successor != NULL)
			return proc_of(sim, slot.successor);
	return NULL;
}

static struct sim_proc *
a_starter(struct sim *sim, bool last)
{
	struct sim_proc	*found = NULL;
	int		 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].state == CHILD_STARTING &&
		    (found == NULL || last))
			found = &sim->procs[i];
	return found;
}

static struct sim_proc *
a_leaver(struct sim *sim)
{
	int	 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].state > CHILD_READY)
			return &sim->procs[i];
	return NULL;
}

/* ---- events; false: there is nobody to whom it could happen */

static struct sim_proc *
actor(struct sim *sim, enum event event)
{
	switch (event) {
	case READY_FIRST:
	case READY_LAST:
		return a_starter(sim, event == READY_LAST);
	case EXIT_1:
	case RETIRE_1:
		return in_slot(sim, 1);
	case EXIT_SUCCESSOR:
		return a_successor(sim);
	case EXIT_LEAVER:
		return a_leaver(sim);
	default:
		return in_slot(sim, 0);
	}
}

static bool
happens_to(struct sim *sim, enum event event)
{
	struct sim_proc	*proc = actor(sim, event);

	if (proc == NULL)
		return false;
	if (event == READY_FIRST || event == READY_LAST)
		sim_fact(sim, proc, ON_READY);
	else if (event == LEAVE_0)
		sim_fact(sim, proc, ON_LEAVING);
	else if (event == STALE_0)
		sim_fact(sim, proc, ON_STALE);
	else if (event == RETIRE_0 || event == RETIRE_1)
		sim_retire(sim, proc, WHY_REQUESTS);
	else
		sim_exit(sim, proc, event == FATAL_0 ? 78 : event == FAIL_0);
	return true;
}

/* Time passes, and with it all who were killed. */
static bool
time_goes(struct sim *sim, int64_t ms, bool shift)
{
	int	 i;

	sim_pass(sim, ms, shift);
	for (i = sim->nprocs - 1; i >= 0; i--)
		if (sim->procs[i].told == TOLD_KILL)
			sim_exit(sim, &sim->procs[i], -1);
	return true;
}

static bool
to_deadline(struct sim *sim, int64_t more)
{
	int64_t	 deadline = pool_deadline_ms(sim->pool);

	return deadline != -1 &&
	    time_goes(sim, deadline - sim->now_ms + more, false);
}

static bool
happens(struct trial *trial, enum event event)
{
	struct sim	*sim = &trial->sim;

	switch (event) {
	case NO_FORK:
		trial->no_fork = true;
		return true;
	case NO_EXEC:
		trial->no_exec = true;
		return true;
	case ANEW:
		sim_anew(sim, false);
		return true;
	case DEADLINE:
		return to_deadline(sim, 0);
	case LATER:	/* past several deadlines at once */
		return to_deadline(sim, 1000);
	case MORE:
	case FEWER:
		sim_scale(sim, event == MORE ? 1 : -1);
		return true;
	case RENEW:
		sim_renew(sim);
		return true;
	case DRAIN:
		sim_drain(sim);
		return true;
	case CARETAKE:
		sim_caretake(sim, 0);
		return true;
	case AWAY:
		return time_goes(sim, 500, true);
	case STOP:
	case FAST:
		sim_stop(sim, event == FAST);
		return true;
	default:
		return happens_to(sim, event);
	}
}

/* Whatever state it is in, it can be stopped, and ends. */
static void
must_end(struct sim *sim)
{
	int	 rounds = 0;

	if (pool_phase(sim->pool) == POOL_RUNNING)
		sim_stop(sim, false);
	sim_settle(sim);
	while (!sim->violated && pool_phase(sim->pool) != POOL_ENDED) {
		if (!to_deadline(sim, 0) || ++rounds > 100)
			sim_violation(sim, "the stop waits for nothing");
		sim_settle(sim);
	}
}

/* ---- sequences */

static const int	 fatal_codes[] = { 78 };

static const struct pool_policy	 policies[] = {
	{ .min_workers = 1, .max_workers = 3, .cull = POOL_CULL_OLDEST,
	    .spawn_batch = 16, .backoff_min = 100, .backoff_max = 400,
	    .min_uptime = 50, .boot_retries = 2, .surge = 1, .alive = -1,
	    .stop_delay = 30, .door = 10,
	    .limits = { .ready = 300, .graceful = 200, .kill = 70 },
	    .fatal_codes = fatal_codes, .nfatal_codes = 1 },
	{ .min_workers = 1, .max_workers = 3, .cull = POOL_CULL_NEWEST,
	    .spawn_batch = 1, .backoff_min = 100, .backoff_max = 400,
	    .min_uptime = 0, .boot_retries = 3, .surge = 2, .alive = -1,
	    .max_age = 600, .fatal_codes = fatal_codes, .nfatal_codes = 1 },
};

static void
play(struct trial *trial, const struct pool_policy *policy,
    const enum event *events, int depth, int *made)
{
	struct sim	*sim = &trial->sim;

	*sim = (struct sim){ .name = "exhaustive", .born = born,
	    .heard = born, .fork_works = fork_works,
	    .exec_works = exec_works, .prepare_works = prepare_works,
	    .arg = trial };
	trial->no_fork = trial->no_exec = false;
	sim_begin(sim, policy, 2, 1);
	for (*made = 0; *made < depth && !sim->violated; ++*made) {
		if (!happens(trial, events[*made]))
			break;
		if (pool_phase(sim->pool) == POOL_ENDED)
			break;
		if (!sim->violated)
			sim_turn(sim);
	}
	if (*made == depth && !sim->violated)
		must_end(sim);
	trial->sequences++;
	trial->steps += sim->step;
	pool_free(sim->pool);
}

static void
print_sequence(const enum event *events, int n)
{
	int	 i;

	fprintf(stderr, "  events:");
	for (i = 0; i < n; i++)
		fprintf(stderr, " %d", (int)events[i]);
	fputc('\n', stderr);
}

/*
 * Count through all sequences after the first fixed ones: an odometer, whose
 * wheel at the place of an impossible event is turned on at once.
 */
static void
play_all(const struct pool_policy *policy, const enum event *start, int fixed,
    int depth)
{
	struct trial	*trial = calloc(1, sizeof(*trial));
	enum event	 events[DEPTH_MOST] = { 0 };
	int		 i, made, length = fixed + depth;

	for (i = 0; i < fixed; i++)
		events[i] = start[i];
	for (;;) {
		play(trial, policy, events, length, &made);
		if (trial->sim.violated) {
			print_sequence(events, length);
			cr_fatal("the pool broke its word");
		}
		if (made < fixed)
			cr_fatal("start: event %d is impossible", made);
		for (i = made < length ? made : length - 1; i >= fixed; i--) {
			if (++events[i] < EVENTS)
				break;
			events[i] = 0;
		}
		if (i < fixed)
			break;
		while (++i < length)
			events[i] = 0;
	}
	cr_log_info("%lu sequences, %lu steps", trial->sequences,
	    trial->steps);
	free(trial);
}

static int
deep(void)
{
	const char	*text = getenv("MUSTER_SIM_DEPTH");

	if (text != NULL)
		return atoi(text);
	return (SIM_SANITIZED ? 3 : 4) + (getenv("MUSTER_SOAK") != NULL);
}

static const enum event	 both_ready[] = { READY_FIRST, READY_FIRST };
static const enum event	 renewing[] = { READY_FIRST, READY_FIRST, RENEW };
static const enum event	 backing_off[] = { READY_FIRST, FAIL_0, READY_FIRST,
	FAIL_0 };
static const enum event	 retiring[] = { READY_FIRST, READY_FIRST, RETIRE_0,
	RETIRE_1 };

#define START(a)	a, (int)(sizeof(a) / sizeof((a)[0]))

Test(exhaustive, from_the_first_fork)
{
	play_all(&policies[0], NULL, 0, deep());
}

Test(exhaustive, from_the_first_fork_without_limits)
{
	play_all(&policies[1], NULL, 0, deep());
}

Test(exhaustive, once_all_are_ready)
{
	play_all(&policies[0], START(both_ready), deep());
}

Test(exhaustive, in_the_midst_of_a_renewal)
{
	play_all(&policies[0], START(renewing), deep());
}

Test(exhaustive, in_the_midst_of_a_renewal_by_two)
{
	play_all(&policies[1], START(renewing), deep());
}

Test(exhaustive, while_a_slot_backs_off)
{
	play_all(&policies[0], START(backing_off), deep());
}

Test(exhaustive, while_two_retire)
{
	play_all(&policies[0], START(retiring), deep());
}

Test(exhaustive, while_two_retire_without_limits)
{
	play_all(&policies[1], START(retiring), deep());
}
