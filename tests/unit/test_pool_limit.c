#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/unit/pool_rig.h"

/* Limits that are extended or change, readiness by age, other policies. */
TestSuite(pool_alive, .timeout = 10);
TestSuite(pool_limit, .timeout = 10);
TestSuite(pool_policy, .timeout = 10);

static struct rig	 rig;

static struct pool_policy
alive_policy(int64_t alive)
{
	struct pool_policy	 policy = rig_policy();

	policy.alive = alive;
	return policy;
}

/* ---- ready by living on */

Test(pool_alive, a_worker_that_has_lived_long_enough_is_ready)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 2);
	rig_pass(&rig, 999);
	cr_expect(eq(int, pool_ready(rig.pool), 0));
	rig_pass(&rig, 1);
	cr_expect(eq(int, pool_ready(rig.pool), 2));
	cr_expect(eq(int, rig_told(&rig, TELL_ALIVE), 2));
	cr_expect(eq(int, rig_told(&rig, TELL_READY), 1));
	cr_expect(eq(int, pool_proven(rig.pool), 1));
	rig_end(&rig);
}

Test(pool_alive, is_cut_short_by_its_word)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 1);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	rig_pass(&rig, 2000);
	cr_expect(eq(int, rig_told(&rig, TELL_ALIVE), 0));
	cr_expect(eq(int, rig_told(&rig, TELL_SURPRISE), 0));
	rig_end(&rig);
}

/* A slow program says it when it has long been taken for ready. */
Test(pool_alive, a_word_that_comes_later_is_no_surprise)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 1);
	rig_pass(&rig, 1000);
	rig_fact(&rig, rig_child(&rig, 0), ON_READY);
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	cr_expect(eq(int, rig_told(&rig, TELL_SURPRISE), 0));
	rig_end(&rig);
}

Test(pool_alive, one_that_dies_before_has_failed)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 1);
	rig_pass(&rig, 999);
	rig_exit(&rig, rig_child(&rig, 0), 0);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_WAIT), 1));
	rig_end(&rig);
}

Test(pool_alive, needs_no_ready_timeout)
{
	struct pool_policy	 policy = alive_policy(90000);

	rig_begin(&rig, &policy, 1);
	rig_pass(&rig, 89999);
	cr_expect(eq(int, rig_told(&rig, TELL_LATE), 0));
	rig_pass(&rig, 1);
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	rig_end(&rig);
}

Test(pool_alive, does_not_count_the_time_in_which_we_were_away)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 1);
	rig.now_ms += 5000;
	pool_shift(rig.pool, 5000);
	rig_turn(&rig);
	cr_expect(eq(int, pool_ready(rig.pool), 0));
	rig_pass(&rig, 1000);
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	rig_end(&rig);
}

Test(pool_alive, makes_a_caretaker_ready_too)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 2);
	rig_pass(&rig, 1000);
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	rig_all_gone(&rig);
	pool_caretake(rig.pool, 0);
	rig_turn(&rig);
	rig_pass(&rig, 1000);
	cr_expect(eq(int, child_info(pool_find(rig.pool,
	    rig.last_pid))->state, CHILD_DRAINING));
	rig_end(&rig);
}

/* Held from within the tell, and by its word: it is told of once more. */
static struct {
	struct pool	*pool;
	int64_t		 until_ms;
	int		 told;
} holding;

static void
hold_once(void *arg, const struct pool_tell *tell)
{
	(void)arg;
	if (tell->kind != TELL_ALIVE || holding.told++ > 0)
		return;
	pool_hold(holding.pool, pool_find(holding.pool, tell->child->pid),
	    holding.until_ms);
}

Test(pool_alive, one_that_is_held_counts_later)
{
	struct pool_policy	 policy = alive_policy(1000);
	struct pool		*pool = pool_new(&policy, 1, 1, hold_once,
				    NULL, 0);
	struct act		 act;

	memset(&holding, 0, sizeof(holding));
	holding.pool = pool;
	holding.until_ms = 1700;
	pool_begin_turn(pool);
	cr_assert(pool_next(pool, 0, &act));
	pool_spawned(pool, &act, 100, 0, 0);
	cr_expect(not(pool_next(pool, 1000, &act)));
	cr_expect(eq(int, pool_ready(pool), 0));
	cr_expect(eq(i64, pool_deadline_ms(pool), 1700));
	cr_expect(not(pool_next(pool, 1700, &act)));
	cr_expect(eq(int, holding.told, 2));
	cr_expect(eq(int, pool_ready(pool), 1));
	pool_hold(pool, pool_find(pool, 100), 1800);	/* too late */
	cr_expect(eq(i64, pool_deadline_ms(pool), -1));
	pool_free(pool);
}

Test(pool_alive, one_that_has_to_say_so_can_be_held_too)
{
	struct pool_policy	 policy = alive_policy(-1);

	rig_begin(&rig, &policy, 1);
	rig_turn(&rig);
	pool_hold(rig.pool, rig_child(&rig, 0), rig.now_ms + 300);
	rig_anew(&rig, false);
	rig_pass(&rig, 299);
	cr_expect(eq(int, pool_ready(rig.pool), 0));
	rig_pass(&rig, 1);
	cr_expect(eq(int, rig_told(&rig, TELL_ALIVE), 1));
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	rig_end(&rig);
}

Test(pool_alive, one_that_is_rejected_is_killed_and_ends_a_renewal)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 new;

	rig_ready(&rig, &policy, 2);
	pool_reject(rig.pool, rig_child(&rig, 0), rig.now_ms);
	cr_expect(eq(int, rig.nsignals, 0));	/* it is ready */
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	new = child_info(rig_successor(&rig, 0))->pid;
	pool_reject(rig.pool, rig_successor(&rig, 0), rig.now_ms);
	rig_turn(&rig);
	cr_expect(rig_signalled(&rig, new, DO_KILL));
	rig_exit(&rig, pool_find(rig.pool, new), -1);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_FAILED), 1));
	cr_expect(rig_last(&rig, TELL_RENEW_FAILED)->restored);
	rig_end(&rig);
}

Test(pool_alive, one_that_is_told_to_go_before_is_not_ready)
{
	struct pool_policy	 policy = alive_policy(1000);

	rig_begin(&rig, &policy, 1);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_pass(&rig, 2000);
	cr_expect(eq(int, rig_told(&rig, TELL_ALIVE), 0));
	rig_end(&rig);
}

/* ---- extended */

Test(pool_limit, of_a_start_can_be_extended)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 1);
	rig_pass(&rig, 59000);
	pool_extend(rig.pool, rig_child(&rig, 0), 10000, rig.now_ms);
	rig_pass(&rig, 9999);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_pass(&rig, 1);
	cr_expect(rig_signalled(&rig, rig.last_pid, DO_KILL));
	rig_end(&rig);
}

Test(pool_limit, is_never_made_shorter_by_an_extension)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 1);
	pool_extend(rig.pool, rig_child(&rig, 0), 10, rig.now_ms);
	rig_pass(&rig, 59999);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_end(&rig);
}

Test(pool_limit, extension_ends_with_the_state)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 1);
	pool_extend(rig.pool, rig_child(&rig, 0), 500000, rig.now_ms);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	rig_pass(&rig, 30000);
	cr_expect(rig_signalled(&rig, rig.last_pid, DO_KILL));
	rig_end(&rig);
}

Test(pool_limit, one_that_was_killed_gets_no_more_time)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 1);
	rig_pass(&rig, 60000);
	pool_extend(rig.pool, rig_child(&rig, 0), 100000, rig.now_ms);
	rig_pass(&rig, 1000);
	cr_expect(eq(int, rig.nsignals, 2), "KILL is repeated");
	rig_end(&rig);
}

Test(pool_limit, one_that_serves_has_none_to_extend)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 1);
	pool_extend(rig.pool, rig_child(&rig, 0), 1000, rig.now_ms);
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_end(&rig);
}

/* ---- another policy */

Test(pool_policy, limits_that_run_count_anew_from_their_beginning)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 1);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	rig_pass(&rig, 1000);
	policy.limits.graceful = 5000;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_pass(&rig, 3999);
	cr_expect(eq(int, rig.nsignals, 1));
	rig_pass(&rig, 1);
	cr_expect(eq(int, rig.signals[1].signal, DO_KILL));
	rig_end(&rig);
}

Test(pool_policy, leaves_what_an_extension_and_an_absence_gave)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 2);
	pool_extend(rig.pool, rig_child(&rig, 0), 80000, rig.now_ms);
	rig.now_ms += 1000;
	pool_shift(rig.pool, 1000);
	policy.limits.ready = 10000;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_pass(&rig, 9999);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_pass(&rig, 1);
	cr_expect(rig_signalled(&rig, rig_pid(&rig, 1), DO_KILL));
	rig_pass(&rig, 69999);
	cr_expect(not(rig_signalled(&rig, rig_pid(&rig, 0), DO_KILL)));
	rig_pass(&rig, 1);
	cr_expect(rig_signalled(&rig, rig_pid(&rig, 0), DO_KILL));
	rig_end(&rig);
}

Test(pool_policy, a_limit_may_come_and_go)
{
	struct pool_policy	 policy = rig_policy();

	policy.limits.ready = 0;
	rig_begin(&rig, &policy, 1);
	rig_pass(&rig, 100000);
	policy.limits.ready = 200000;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_pass(&rig, 99999);
	cr_expect(eq(int, rig.nsignals, 0));
	policy.limits.ready = 0;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_end(&rig);
}

Test(pool_policy, moves_the_target_within_its_bounds)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	policy.min_workers = 3;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, pool_live(rig.pool), 3));
	policy.min_workers = policy.max_workers = 1;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, pool_target(rig.pool), 1));
	cr_expect(eq(int, pool_leavers(rig.pool), 2));
	rig_end(&rig);
}

Test(pool_policy, of_a_drained_pool_moves_what_it_goes_back_to)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 4);
	pool_drain(rig.pool);
	policy.max_workers = 2;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, pool_target(rig.pool), 0));
	pool_undrain(rig.pool, rig.now_ms);
	cr_expect(eq(int, pool_target(rig.pool), 2));
	rig_end(&rig);
}

Test(pool_policy, age_counts_anew_from_the_birth)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 1);
	rig_pass(&rig, 5000);
	policy.max_age = 6000;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	rig_pass(&rig, 999);
	cr_expect(eq(int, rig_told(&rig, TELL_RETIRE), 0));
	rig_pass(&rig, 1);
	cr_expect(eq(int, rig_told(&rig, TELL_RETIRE), 1));
	rig_end(&rig);
}

Test(pool_policy, keeps_fatal_codes_of_its_own)
{
	struct pool_policy	 policy = rig_policy();
	int			 codes[] = { 42 };

	policy.fatal_codes = codes;
	rig_ready(&rig, &policy, 2);
	codes[0] = 1;
	rig_exit(&rig, rig_child(&rig, 0), 42);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_PARKED), 1));
	codes[0] = 43;
	pool_set_policy(rig.pool, &policy, rig.now_ms);
	codes[0] = 1;
	rig_exit(&rig, rig_child(&rig, 1), 43);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_PARKED), 2));
	rig_end(&rig);
}

/* ---- targets */

Test(pool_policy, a_target_is_reached_and_ends_a_drain)
{
	struct pool_policy	 policy = rig_policy();
	struct pool_scaled	 scaled;

	rig_ready(&rig, &policy, 4);
	pool_drain(rig.pool);
	scaled = pool_set_target(rig.pool, 3, rig.now_ms);
	cr_expect(eq(int, scaled.to, 3));
	cr_expect(not(pool_drained(rig.pool)));
	scaled = pool_set_target(rig.pool, 5000, rig.now_ms);
	cr_expect(eq(i64, scaled.asked, 5000));
	cr_expect(eq(int, scaled.to, 100));
	pool_stop(rig.pool, false, rig.now_ms);
	cr_expect(pool_set_target(rig.pool, 3, rig.now_ms).ignored);
	rig_end(&rig);
}

Test(pool_policy, undrain_is_for_the_drained)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 3);
	cr_expect(not(pool_undrain(rig.pool, rig.now_ms)));
	pool_drain(rig.pool);
	rig_turn(&rig);
	cr_expect(pool_undrain(rig.pool, rig.now_ms));
	cr_expect(eq(int, pool_target(rig.pool), 3));
	cr_expect(not(pool_undrain(rig.pool, rig.now_ms)));
	rig_end(&rig);
}
