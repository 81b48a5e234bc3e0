#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/unit/pool_rig.h"

/* Starting, dying, backing off, scaling. The rest is in test_pool_renew.c. */
TestSuite(pool, .timeout = 10);

static struct rig	 rig;

static int64_t
last_wait(void)
{
	const struct pool_tell	*tell = rig_last(&rig, TELL_SLOT_WAIT);

	return tell == NULL ? 0 : tell->ms;
}

/* ---- the start */

Test(pool, starts_as_many_as_wanted_in_the_lowest_slots)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 3);
	cr_assert(eq(int, rig.nspawns, 3));
	cr_expect(eq(int, rig.spawns[0].slot, 0));
	cr_expect(eq(int, rig.spawns[2].slot, 2));
	cr_expect(eq(int, rig.spawns[0].generation, 1));
	cr_expect(eq(int, rig.spawns[0].why, WHY_START));
	cr_expect(eq(int, pool_live(rig.pool), 3));
	rig_end(&rig);
}

Test(pool, is_ready_once_when_all_first_workers_are)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 2);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	cr_expect(eq(int, rig_told(&rig, TELL_READY), 0));
	rig_fact(&rig, rig_child(&rig, 1), ON_READY);
	cr_expect(eq(int, rig_told(&rig, TELL_READY), 1));
	rig_exit(&rig, rig_child(&rig, 0), 0);
	rig_all_ready(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_READY), 1));
	rig_end(&rig);
}

Test(pool, is_ready_when_one_is_and_the_others_have_failed)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 2);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	rig_exit(&rig, rig_child(&rig, 1), 1);
	cr_expect(eq(int, rig_told(&rig, TELL_READY), 1));
	rig_end(&rig);
}

Test(pool, gives_up_when_the_first_workers_never_start)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 other;
	int			 i;

	rig_begin(&rig, &policy, 2);
	other = rig_pid(&rig, 1);
	for (i = 0; i < 3; i++) {
		cr_expect(not(pool_gave_up(rig.pool)));
		rig_exit(&rig, rig_child(&rig, 0), 1);
		if (i < 2)
			rig_pass(&rig, last_wait());
	}
	cr_expect(pool_gave_up(rig.pool));
	cr_expect(eq(i64, rig_last(&rig, TELL_GAVE_UP)->n, 3));
	cr_expect(rig_signalled(&rig, other, DO_FAST));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_phase(rig.pool), POOL_ENDED));
	rig_end(&rig);
}

Test(pool, gives_up_when_all_slots_are_parked_at_the_start)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 0), 78);
	cr_expect(not(pool_gave_up(rig.pool)));
	rig_exit(&rig, rig_child(&rig, 1), 78);
	cr_expect(pool_gave_up(rig.pool));
	rig_end(&rig);
}

Test(pool, never_gives_up_after_the_first_success)
{
	struct pool_policy	 policy = rig_policy();
	int			 i;

	rig_begin(&rig, &policy, 2);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	for (i = 0; i < 20; i++) {
		rig_exit(&rig, rig_child(&rig, 1), 1);
		rig_pass(&rig, last_wait());
	}
	cr_expect(not(pool_gave_up(rig.pool)));
	cr_expect(ne(ptr, rig_child(&rig, 1), NULL));
	rig_end(&rig);
}

/* ---- deaths */

Test(pool, waits_twice_as_long_after_each_failure_up_to_a_cap)
{
	static const int64_t	 least[] = { 1000, 2000, 4000, 8000, 8000 };
	struct pool_policy	 policy = rig_policy();
	int			 i, before;

	rig_ready(&rig, &policy, 2);
	rig_pass(&rig, 5000);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	for (i = 0; i < 5; i++) {
		rig_exit(&rig, rig_child(&rig, 0), 1);
		cr_expect(ge(i64, last_wait(), least[i]));
		cr_expect(le(i64, last_wait(), least[i] + least[i] / 4));
		before = rig.nspawns;
		rig_pass(&rig, last_wait() - 1);
		cr_expect(eq(int, rig.nspawns, before));
		rig_pass(&rig, 1);
		cr_assert(eq(int, rig.nspawns, before + 1));
	}
	rig_end(&rig);
}

Test(pool, spreads_its_waits)
{
	struct pool_policy	 policy = rig_policy();
	int			 i, different = 0;
	int64_t			 first;

	rig_begin(&rig, &policy, 20);
	rig_fact(&rig, rig_child(&rig, 19), ON_READY);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	first = last_wait();
	for (i = 1; i < 19; i++) {
		rig_exit(&rig, rig_child(&rig, i), 1);
		different += last_wait() != first;
	}
	cr_expect(gt(int, different, 10));
	rig_end(&rig);
}

Test(pool, replaces_the_first_death_after_ready_at_once)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_assert(eq(int, rig.nspawns, 3));
	cr_expect(eq(int, rig.spawns[2].slot, 0));
	cr_expect(eq(int, rig.spawns[2].why, WHY_DIED));
	rig_end(&rig);
}

Test(pool, takes_a_second_quick_death_in_a_row_as_a_failure)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	rig_all_ready(&rig);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(eq(int, rig.nspawns, 3));
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_WAIT), 1));
	rig_end(&rig);
}

Test(pool, forgives_a_slot_whose_worker_lasts)
{
	struct pool_policy	 policy = rig_policy();
	int			 i;

	rig_ready(&rig, &policy, 2);
	for (i = 0; i < 4; i++) {
		rig_exit(&rig, rig_child(&rig, 0), 1);
		rig_pass(&rig, last_wait());
	}
	rig_all_ready(&rig);
	rig_pass(&rig, 1000);
	i = rig.nspawns;
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(eq(int, rig.nspawns, i + 1), "replaced at once");
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(le(i64, last_wait(), 1250), "and counted from one again");
	rig_end(&rig);
}

Test(pool, replaces_who_leaves_by_himself_before_he_is_gone)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig_fact(&rig, rig_child(&rig, 0), ON_LEAVING);
	cr_expect(eq(int, rig.nspawns, 3));
	cr_expect(eq(int, pool_leavers(rig.pool), 1));
	cr_expect(eq(int, rig.nsignals, 0));
	rig_end(&rig);
}

Test(pool, aborts_and_replaces_who_is_stale)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 pid;

	rig_ready(&rig, &policy, 2);
	pid = rig_pid(&rig, 1);
	rig_fact(&rig, rig_child(&rig, 1), ON_STALE);
	cr_expect(rig_signalled(&rig, pid, DO_ABORT));
	cr_expect(eq(int, rig.nspawns, 3));
	rig_pass(&rig, 5000);
	cr_expect(rig_signalled(&rig, pid, DO_KILL));
	rig_end(&rig);
}

Test(pool, kills_who_is_never_ready_and_backs_off)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 pid;

	rig_begin(&rig, &policy, 2);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	pid = rig_pid(&rig, 1);
	rig_pass(&rig, 59999);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_pass(&rig, 1);
	cr_expect(rig_signalled(&rig, pid, DO_KILL));
	rig_exit(&rig, pool_find(rig.pool, pid), -1);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_WAIT), 1));
	rig_end(&rig);
}

Test(pool, ignores_a_second_ready_with_surprise)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	cr_expect(eq(int, rig_told(&rig, TELL_SURPRISE), 1));
	cr_expect(eq(int, pool_ready(rig.pool), 2));
	rig_end(&rig);
}

/* ---- parking */

Test(pool, parks_a_slot_by_a_fatal_code_and_scaling_tries_again)
{
	struct pool_policy	 policy = rig_policy();
	struct slot_info	 slot;

	rig_ready(&rig, &policy, 3);
	rig_exit(&rig, rig_child(&rig, 1), 78);
	cr_expect(eq(i64, rig_last(&rig, TELL_SLOT_PARKED)->n, 78));
	pool_slot(rig.pool, 1, &slot);
	cr_expect(slot.parked);
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nspawns, 3));
	pool_scale(rig.pool, 1, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nspawns, 5));
	cr_expect(ne(ptr, rig_child(&rig, 1), NULL));
	rig_end(&rig);
}

/* Its slot stood in line for a successor, which there can no longer be. */
Test(pool, parks_a_slot_that_awaits_its_renewal)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_child(&rig, 1), 78);
	rig_all_ready(&rig);
	cr_expect(eq(ptr, rig_child(&rig, 1), NULL));
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 1));
	rig_end(&rig);
}

/* ---- scaling */

Test(pool, scales_within_its_bounds)
{
	struct pool_policy	 policy = rig_policy();
	struct pool_scaled	 scaled;

	policy.min_workers = 2;
	policy.max_workers = 5;
	rig_ready(&rig, &policy, 3);
	scaled = pool_scale(rig.pool, 10, rig.now_ms);
	cr_expect(eq(int, scaled.from, 3));
	cr_expect(eq(int, scaled.to, 5));
	cr_expect(eq(int, scaled.asked, 13));
	scaled = pool_scale(rig.pool, -10, rig.now_ms);
	cr_expect(eq(int, scaled.to, 2));
	cr_expect(eq(int, pool_target(rig.pool), 2));
	rig_end(&rig);
}

/* Which slot goes first of three, their workers born in order? */
static int
who_goes(enum pool_cull cull)
{
	struct pool_policy	 policy = rig_policy();
	int			 i;

	policy.cull = cull;
	rig_ready(&rig, &policy, 3);
	for (i = 0; i < 3; i++)
		pool_set_active(rig.pool, rig_child(&rig, i), i == 1 ? 0 : 5);
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	for (i = 0; i < 3 && rig_child(&rig, i) != NULL; i++)
		continue;
	cr_expect(eq(int, rig.nsignals, 1));
	rig_end(&rig);
	return i;
}

Test(pool, culls_the_oldest_newest_or_idlest)
{
	cr_expect(eq(int, who_goes(POOL_CULL_OLDEST), 0));
	cr_expect(eq(int, who_goes(POOL_CULL_NEWEST), 2));
	cr_expect(eq(int, who_goes(POOL_CULL_IDLEST), 1));
}

/* Slots 0 to 3: waiting, killed by its limit, starting, ready and oldest. */
Test(pool, culls_who_serves_nobody_first)
{
	struct pool_policy	 policy = rig_policy();
	struct slot_info	 slot;
	int			 i;

	rig_begin(&rig, &policy, 4);
	rig_fact(&rig, rig_child(&rig, 3), ON_READY);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	rig_pass(&rig, 59000);
	rig_exit(&rig, rig_child(&rig, 2), 1);
	rig_pass(&rig, 1250);
	cr_assert(ne(ptr, rig_child(&rig, 2), NULL));
	rig_exit(&rig, rig_child(&rig, 0), 1);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	for (i = 0; i < 3; i++) {
		pool_scale(rig.pool, -1, rig.now_ms);
		rig_turn(&rig);
		pool_slot(rig.pool, i, &slot);
		cr_expect(not(slot.open), "slot %d goes", i);
	}
	cr_expect(ne(ptr, rig_child(&rig, 3), NULL));
	rig_end(&rig);
}

Test(pool, culls_a_parked_slot_before_one_that_serves)
{
	struct pool_policy	 policy = rig_policy();
	struct slot_info	 slot;

	rig_ready(&rig, &policy, 3);
	rig_exit(&rig, rig_child(&rig, 1), 78);
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	pool_slot(rig.pool, 1, &slot);
	cr_expect(not(slot.open));
	cr_expect(eq(int, rig.nspawns, 3));
	cr_expect(eq(int, rig.nsignals, 0));
	rig_end(&rig);
}

Test(pool, fills_the_lowest_gap_first)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 4);
	pool_scale(rig.pool, -2, rig.now_ms);	/* 0 and 1 */
	rig_turn(&rig);
	rig_all_gone(&rig);
	pool_scale(rig.pool, 1, rig.now_ms);
	rig_turn(&rig);
	cr_expect(ne(ptr, rig_child(&rig, 0), NULL));
	cr_expect(eq(ptr, rig_child(&rig, 1), NULL));
	cr_expect(eq(int, pool_slots(rig.pool), 4));
	rig_end(&rig);
}

Test(pool, drains_and_is_restored_by_scaling_up_alone)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 3);
	pool_drain(rig.pool);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 3));
	cr_expect(eq(int, pool_target(rig.pool), 0));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_live(rig.pool), 0));
	cr_expect(eq(int, pool_phase(rig.pool), POOL_RUNNING));
	cr_expect(pool_scale(rig.pool, -1, rig.now_ms).ignored);
	cr_expect(eq(int, pool_scale(rig.pool, 1, rig.now_ms).to, 4));
	rig_turn(&rig);
	cr_expect(eq(int, pool_live(rig.pool), 4));
	rig_end(&rig);
}

/* ---- forks */

Test(pool, forks_a_batch_a_turn_and_is_hungry_for_more)
{
	struct pool_policy	 policy = rig_policy();
	struct act		 act;
	int			 n = 0;

	policy.spawn_batch = 4;
	rig_ready(&rig, &policy, 1);
	pool_scale(rig.pool, 5, rig.now_ms);
	pool_begin_turn(rig.pool);
	while (pool_next(rig.pool, rig.now_ms, &act))
		pool_spawned(rig.pool, &act, 1000 + n++, 0, rig.now_ms);
	cr_expect(eq(int, n, 4));
	cr_expect(pool_hungry(rig.pool));
	pool_begin_turn(rig.pool);
	while (pool_next(rig.pool, rig.now_ms, &act))
		pool_spawned(rig.pool, &act, 1000 + n++, 0, rig.now_ms);
	cr_expect(eq(int, n, 5));
	cr_expect(not(pool_hungry(rig.pool)));
	rig_end(&rig);
}

Test(pool, spreads_a_herd_of_starts_by_spawn_jitter)
{
	struct pool_policy	 policy = rig_policy();

	policy.spawn_jitter = 1000;
	rig_begin(&rig, &policy, 50);
	cr_expect(lt(int, rig.nspawns, 10));
	rig_pass(&rig, 1000);
	cr_expect(eq(int, rig.nspawns, 50));
	rig_end(&rig);
}

Test(pool, waits_for_all_slots_when_the_kernel_will_not_fork)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 1);
	rig.forks_fail = 2;
	pool_scale(rig.pool, 3, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_FORK_WAIT), 1),
	    "no use to try the others");
	rig_pass(&rig, 1250);
	cr_expect(eq(int, rig_told(&rig, TELL_FORK_WAIT), 2));
	cr_expect(ge(i64, rig_last(&rig, TELL_FORK_WAIT)->ms, 2000));
	cr_expect(eq(int, pool_live(rig.pool), 1));
	rig_pass(&rig, 2500);
	cr_expect(eq(int, pool_live(rig.pool), 4));
	cr_expect(not(pool_gave_up(rig.pool)));
	rig_end(&rig);
}
