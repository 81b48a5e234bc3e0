#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "tests/sim/sim.h"

/*
 * The pool must keep its word under whatever comes, in whatever order: a
 * million steps of random mischief, each judged. What fails prints its seed;
 * MUSTER_SIM_SEED=seed plays that world first.
 */
TestSuite(random, .timeout = 600);

#define STEPS		400000ul	/* a test */
#define WORLD_STEPS	1500		/* a world, at most */

static void
play_all(const char *name, const struct sim_temper *temper)
{
	unsigned long	 steps = sim_steps(STEPS), done = 0, n;
	uint64_t	 seed = sim_seed();

	fprintf(stderr, "sim: %s: MUSTER_SIM_SEED=%llu\n", name,
	    (unsigned long long)seed);
	for (; done < steps; seed++) {
		n = sim_play(name, temper, seed, WORLD_STEPS);
		if (n == 0)
			cr_fatal("the pool broke its word: seed %llu",
			    (unsigned long long)seed);
		done += n;
	}
}

Test(random, workers_that_mostly_live)
{
	static const struct sim_temper	 temper = { .dies_late = 300,
		.dies_young = 20, .scale = 20, .renew = 3, .retires = 50,
		.jump = 10, .shift = 5, .stop = 1, .workers = 8,
		.caretake = 5, .twice = 20, .drain = 2, .undrain = 10,
		.target = 5, .policy = 10, .extend = 20, .anew = 10 };

	play_all("mostly_live", &temper);
}

Test(random, workers_of_every_bad_character)
{
	static const struct sim_temper	 temper = { .never_ready = 100,
		.dies_early = 100, .dies_young = 100, .dies_late = 300,
		.fatal = 100, .leaves = 100, .stale = 100, .retires = 200,
		.twice = 100, .deaf = 200, .stone = 200, .fork_fails = 50,
		.scale = 50, .drain = 10, .renew = 20, .stop = 1,
		.caretake = 20, .jump = 20, .shift = 20, .burst = 20,
		.no_exec = 10, .unprepared = 10, .target = 10, .undrain = 20,
		.policy = 10, .extend = 50, .anew = 20, .workers = 12 };

	play_all("every_bad_character", &temper);
}

Test(random, a_crash_loop)
{
	static const struct sim_temper	 temper = { .never_ready = 100,
		.dies_early = 600, .dies_young = 900, .fatal = 20,
		.scale = 3, .renew = 2, .jump = 20, .shift = 10,
		.no_exec = 5, .anew = 5, .workers = 6 };

	play_all("crash_loop", &temper);
}

Test(random, renewals_without_end)
{
	static const struct sim_temper	 temper = { .never_ready = 30,
		.dies_early = 50, .dies_young = 50, .dies_late = 200,
		.fatal = 50, .retires = 600, .deaf = 100, .scale = 30,
		.renew = 100, .jump = 10, .burst = 10, .fork_fails = 20,
		.no_exec = 50, .unprepared = 20, .extend = 20, .policy = 5,
		.anew = 10, .workers = 10 };

	play_all("renewals", &temper);
}

Test(random, stops_at_any_moment)
{
	static const struct sim_temper	 temper = { .never_ready = 200,
		.dies_early = 100, .dies_late = 300, .stale = 100,
		.leaves = 100, .deaf = 300, .stone = 300, .fork_fails = 50,
		.scale = 50, .renew = 20, .stop = 30, .fast = 10,
		.caretake = 50, .jump = 20, .shift = 20, .extend = 50,
		.anew = 20, .workers = 8 };

	play_all("stops", &temper);
}

Test(random, no_time_for_anything)
{
	static const struct sim_temper	 temper = { .never_ready = 50,
		.dies_early = 100, .dies_young = 100, .dies_late = 300,
		.leaves = 100, .stale = 100, .retires = 200, .deaf = 300,
		.stone = 200, .scale = 50, .drain = 10, .renew = 20,
		.stop = 2, .caretake = 20, .burst = 20, .workers = 8,
		.zero_limits = true };

	play_all("no_time", &temper);
}

Test(random, a_kernel_that_will_not_fork)
{
	static const struct sim_temper	 temper = { .dies_late = 500,
		.dies_young = 100, .fork_fails = 600, .scale = 30,
		.renew = 10, .retires = 100, .caretake = 20, .jump = 10,
		.shift = 10, .burst = 30, .no_exec = 50, .unprepared = 200,
		.anew = 10, .workers = 10 };

	play_all("no_forks", &temper);
}

Test(random, many_workers)
{
	static const struct sim_temper	 temper = { .never_ready = 20,
		.dies_early = 20, .dies_young = 50, .dies_late = 300,
		.fatal = 50, .leaves = 20, .stale = 20, .retires = 100,
		.deaf = 50, .stone = 50, .fork_fails = 10, .scale = 60,
		.drain = 5, .renew = 10, .caretake = 10, .burst = 10,
		.jump = 10, .shift = 5, .anew = 5, .policy = 5, .extend = 10,
		.no_exec = 5, .workers = 60 };

	play_all("many_workers", &temper);
}
