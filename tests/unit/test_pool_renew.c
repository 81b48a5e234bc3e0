#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/unit/pool_rig.h"

/* Replacing workers that serve, and the end of the pool. */
TestSuite(pool_renew, .timeout = 10);
TestSuite(pool_stop, .timeout = 10);

static struct rig	 rig;

static int
surge_of(int target, int surge, bool percent)
{
	struct pool_policy	 policy = rig_policy();
	int			 n;

	policy.surge = surge;
	policy.surge_percent = percent;
	rig_begin(&rig, &policy, target);
	n = pool_surge(rig.pool);
	rig_end(&rig);
	return n;
}

Test(pool_renew, surge_is_a_number_or_a_percent_rounded_up)
{
	cr_expect(eq(int, surge_of(10, 3, false), 3));
	cr_expect(eq(int, surge_of(10, 25, true), 3));
	cr_expect(eq(int, surge_of(10, 1, true), 1));
	cr_expect(eq(int, surge_of(10, 100, true), 10));
}

/* ---- retirement */

Test(pool_renew, a_successor_is_ready_before_who_retires_is_stopped)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 old;

	rig_ready(&rig, &policy, 2);
	old = rig_pid(&rig, 0);
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_REQUESTS, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig_last(&rig, TELL_RETIRE)->why, WHY_REQUESTS));
	cr_assert(ne(ptr, rig_successor(&rig, 0), NULL));
	cr_expect(eq(int, rig.nsignals, 0));
	rig_fact(&rig, rig_successor(&rig, 0), ON_READY);
	cr_expect(rig_signalled(&rig, old, DO_STOP));
	cr_expect(ne(int, rig_pid(&rig, 0), old));
	cr_expect(eq(int, pool_leavers(rig.pool), 1));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_leavers(rig.pool), 0));
	cr_expect(eq(int, pool_live(rig.pool), 2));
	rig_end(&rig);
}

Test(pool_renew, no_more_retire_at_once_than_surge_allows)
{
	struct pool_policy	 policy = rig_policy();
	int			 i;

	rig_ready(&rig, &policy, 4);
	for (i = 0; i < 4; i++)
		pool_retire(rig.pool, rig_child(&rig, i), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nspawns, 5));
	rig_all_ready(&rig);
	cr_expect(eq(int, rig.nspawns, 6));
	rig_end(&rig);
}

Test(pool_renew, age_retires_with_jitter)
{
	struct pool_policy	 policy = rig_policy();

	policy.max_age = 10000;
	policy.max_age_jitter = 5000;
	policy.surge = 20;
	rig_ready(&rig, &policy, 20);
	rig_pass(&rig, 9999);
	cr_expect(eq(int, rig_told(&rig, TELL_RETIRE), 0));
	rig_pass(&rig, 2500);
	cr_expect(gt(int, rig_told(&rig, TELL_RETIRE), 0));
	cr_expect(lt(int, rig_told(&rig, TELL_RETIRE), 20));
	rig_pass(&rig, 2501);
	cr_expect(eq(int, rig_told(&rig, TELL_RETIRE), 20));
	rig_end(&rig);
}

Test(pool_renew, request_limits_are_drawn_within_their_jitter)
{
	struct pool_policy	 policy = rig_policy();
	int			 i;

	policy.max_requests = 100;
	policy.max_requests_jitter = 10;
	rig_begin(&rig, &policy, 20);
	for (i = 0; i < rig.nspawns; i++) {
		cr_expect(ge(i64, rig.spawns[i].max_requests, 100));
		cr_expect(le(i64, rig.spawns[i].max_requests, 110));
	}
	rig_end(&rig);
}

Test(pool_renew, a_successor_that_dies_backs_off_and_the_old_one_serves)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 old;

	rig_ready(&rig, &policy, 2);
	old = rig_pid(&rig, 0);
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(eq(int, rig_pid(&rig, 0), old));
	cr_expect(eq(ptr, rig_successor(&rig, 0), NULL));
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_WAIT), 1));
	rig_pass(&rig, 1250);
	cr_expect(ne(ptr, rig_successor(&rig, 0), NULL));
	rig_end(&rig);
}

Test(pool_renew, a_successor_takes_over_when_the_old_one_dies_first)
{
	struct pool_policy	 policy = rig_policy();
	struct child		*successor;

	rig_ready(&rig, &policy, 2);
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	successor = rig_successor(&rig, 0);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(eq(ptr, rig_child(&rig, 0), successor));
	cr_expect(eq(int, rig.nspawns, 3), "nobody else is needed");
	rig_end(&rig);
}

/* ---- renewal */

Test(pool_renew, rolls_through_all_slots)
{
	struct pool_policy	 policy = rig_policy();
	int			 i;

	rig_ready(&rig, &policy, 3);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, pool_generation(rig.pool), 2));
	for (i = 1; i <= 3; i++) {
		cr_expect(eq(int, rig.nspawns, 3 + i), "one at a time");
		cr_expect(ge(int, pool_ready(rig.pool), 3));
		cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 0));
		rig_all_ready(&rig);
		rig_all_gone(&rig);
	}
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 1));
	for (i = 0; i < 3; i++)
		cr_expect(eq(int, child_info(rig_child(&rig, i))->generation,
		    2));
	rig_end(&rig);
}

Test(pool_renew, stops_when_a_successor_fails_and_keeps_the_old)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 old;

	rig_ready(&rig, &policy, 3);
	old = rig_pid(&rig, 0);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_FAILED), 1));
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nspawns, 4), "nobody tries again");
	cr_expect(eq(int, rig_pid(&rig, 0), old));
	cr_expect(eq(int, rig.nsignals, 0));
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nspawns, 5), "until one asks again");
	rig_end(&rig);
}

/* One serves by then; of the two successors left one fails, one is late. */
Test(pool_renew, that_failed_lets_the_successors_on_their_way_finish)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 old;

	policy.surge = 2;
	rig_ready(&rig, &policy, 3);
	old = rig_pid(&rig, 1);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_fact(&rig, rig_successor(&rig, 0), ON_READY);
	rig_exit(&rig, rig_successor(&rig, 2), 1);
	cr_expect(not(rig_last(&rig, TELL_RENEW_FAILED)->restored));
	rig_fact(&rig, rig_successor(&rig, 1), ON_READY);
	cr_expect(rig_signalled(&rig, old, DO_STOP));
	cr_expect(eq(int, rig.signals[1].why, WHY_RENEW));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_leavers(rig.pool), 0));
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_FAILED), 1));
	rig_end(&rig);
}

/* A worker says only once that it has reached a limit. */
Test(pool_renew, that_failed_does_not_forget_who_is_over_a_limit)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 3);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_fact(&rig, rig_successor(&rig, 0), ON_READY);
	pool_retire(rig.pool, rig_child(&rig, 1), WHY_RSS, rig.now_ms);
	pool_retire(rig.pool, rig_child(&rig, 2), WHY_REQUESTS, rig.now_ms);
	rig_exit(&rig, rig_successor(&rig, 1), 1);
	cr_expect(eq(ptr, rig_successor(&rig, 1), NULL), "it waits first");
	cr_expect(ne(ptr, rig_successor(&rig, 2), NULL));
	rig_all_ready(&rig);
	rig_pass(&rig, 1250);
	cr_expect(ne(ptr, rig_successor(&rig, 1), NULL));
	rig_end(&rig);
}

Test(pool_renew, again_gives_up_the_successors_of_the_one_before)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 middle;

	rig_ready(&rig, &policy, 1);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	middle = child_info(rig_successor(&rig, 0))->pid;
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(rig_signalled(&rig, middle, DO_STOP));
	rig_all_ready(&rig);
	cr_expect(eq(int, child_info(rig_child(&rig, 0))->generation, 3));
	rig_end(&rig);
}

/* ---- caretakers */

Test(pool_renew, a_caretaker_serves_a_slot_and_counts_as_a_leaver)
{
	struct pool_policy	 policy = rig_policy();
	struct child		*caretaker;

	rig_ready(&rig, &policy, 2);
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	rig_all_gone(&rig);
	pool_caretake(rig.pool, 0);
	rig_turn(&rig);
	cr_assert(eq(int, rig.nspawns, 3));
	cr_expect(rig.spawns[2].caretaker);
	cr_expect(eq(int, pool_leavers(rig.pool), 1));
	cr_expect(eq(int, pool_target(rig.pool), 1));
	caretaker = pool_find(rig.pool, rig.last_pid);
	rig_fact(&rig, caretaker, ON_READY);
	rig_exit(&rig, caretaker, 0);
	cr_expect(eq(int, rig.nspawns, 3), "nobody replaces it");
	rig_end(&rig);
}

/* ---- stopping */

Test(pool_stop, serves_on_for_stop_delay_then_refuses_then_drains)
{
	struct pool_policy	 policy = rig_policy();

	policy.stop_delay = 3000;
	policy.door = 100;
	rig_ready(&rig, &policy, 2);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, pool_phase(rig.pool), POOL_STOP_DELAY));
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(eq(int, rig.nspawns, 3), "it still serves");
	rig_pass(&rig, 2999);
	cr_expect(eq(int, rig.refusals, 0));
	rig_pass(&rig, 1);
	cr_expect(eq(int, rig.refusals, 1));
	cr_expect(eq(int, pool_phase(rig.pool), POOL_DOOR));
	cr_expect(eq(int, rig.nsignals, 0));
	rig_pass(&rig, 100);
	cr_expect(eq(int, pool_phase(rig.pool), POOL_STOPPING));
	cr_expect(eq(int, rig.nsignals, 2));
	cr_expect(eq(int, rig.signals[0].signal, DO_STOP));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_phase(rig.pool), POOL_ENDED));
	cr_expect(not(pool_killed_any(rig.pool)));
	rig_end(&rig);
}

Test(pool_stop, replaces_nobody_any_more)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	rig_all_gone(&rig);
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nspawns, 2));
	cr_expect(pool_scale(rig.pool, 1, rig.now_ms).ignored);
	rig_end(&rig);
}

Test(pool_stop, a_second_one_is_fast)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 4));
	cr_expect(eq(int, rig.signals[3].signal, DO_FAST));
	pool_stop(rig.pool, true, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 4), "a third one adds nothing");
	rig_end(&rig);
}

Test(pool_stop, fast_needs_no_delay)
{
	struct pool_policy	 policy = rig_policy();

	policy.stop_delay = 3000;
	rig_ready(&rig, &policy, 2);
	pool_stop(rig.pool, true, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 2));
	cr_expect(eq(int, rig.signals[0].signal, DO_FAST));
	rig_pass(&rig, 5000);
	cr_expect(eq(int, rig.signals[2].signal, DO_KILL));
	cr_expect(pool_killed_any(rig.pool));
	rig_end(&rig);
}

Test(pool_stop, kills_who_does_not_go_and_says_so)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 1);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	rig_pass(&rig, 29999);
	cr_expect(eq(int, rig.nsignals, 1));
	rig_pass(&rig, 1);
	cr_expect(eq(int, rig.signals[1].signal, DO_KILL));
	rig_pass(&rig, 1000);
	cr_expect(eq(int, rig.nsignals, 3), "KILL is repeated");
	cr_expect(pool_killed_any(rig.pool));
	rig_end(&rig);
}

Test(pool_stop, with_limits_of_zero_kills_at_once)
{
	struct pool_policy	 policy = rig_policy();

	policy.limits = (struct child_limits){ 0 };
	rig_ready(&rig, &policy, 1);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 2));
	cr_expect(eq(int, rig.signals[0].signal, DO_STOP));
	cr_expect(eq(int, rig.signals[1].signal, DO_KILL));
	rig_end(&rig);
}

Test(pool_stop, who_is_starting_goes_too)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 2);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 2));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_phase(rig.pool), POOL_ENDED));
	rig_end(&rig);
}

/* ---- time in which the shell was not there */

Test(pool_stop, time_away_counts_against_no_one)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 2);
	rig_pass(&rig, 1000);
	rig.now_ms += 100000;
	pool_shift(rig.pool, 100000);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_pass(&rig, 58999);
	cr_expect(eq(int, rig.nsignals, 0));
	rig_pass(&rig, 1);
	cr_expect(eq(int, rig.nsignals, 2));
	rig_end(&rig);
}

/* ---- what a renewal is */

Test(pool_renew, is_not_done_while_a_slot_has_nobody_who_serves)
{
	struct pool_policy	 policy = rig_policy();

	policy.min_uptime = 0;
	rig_ready(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	rig_turn(&rig);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 0));
	rig_all_ready(&rig);
	rig_turn(&rig);
	rig_all_gone(&rig);
	rig_all_ready(&rig);
	rig_turn(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 1));
	rig_end(&rig);
}

Test(pool_renew, fails_with_a_first_worker_that_never_serves)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	rig_exit(&rig, rig_child(&rig, 0), 1);	/* now the slot waits */
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, child_info(rig_child(&rig, 0))->generation, 2));
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_FAILED), 1));
	rig_end(&rig);
}

/* ---- caretakers and successors that are no use */

Test(pool_renew, a_caretaker_that_dies_before_it_serves_backs_off)
{
	struct pool_policy	 policy = rig_policy();
	int			 before;

	rig_ready(&rig, &policy, 2);
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	rig_all_gone(&rig);
	pool_caretake(rig.pool, 0);
	rig_turn(&rig);
	rig_exit(&rig, pool_find(rig.pool, rig.last_pid), 71);
	before = rig.nspawns;
	pool_caretake(rig.pool, 0);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nspawns, before));
	rig_pass(&rig, policy.backoff_min * 5 / 4 + 1);
	cr_expect(eq(int, rig.nspawns, before + 1), "it never comes");
	rig_end(&rig);
}

Test(pool_renew, a_successor_barred_by_its_exit_code_is_tried_again_by_scaling)
{
	struct pool_policy	 policy = rig_policy();
	int			 before;

	rig_ready(&rig, &policy, 2);
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_successor(&rig, 0), 78);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_BARRED), 1));
	before = rig.nspawns;
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nspawns, before));
	pool_scale(rig.pool, 0, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nspawns, before + 1));
	rig_end(&rig);
}
