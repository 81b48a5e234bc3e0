#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/unit/pool_rig.h"

/* A renewal that fails, and what the pool goes back to. */
TestSuite(pool_undo, .timeout = 10);
TestSuite(pool_hopeless, .timeout = 10);

static struct rig	 rig;

/* Two workers serve, and the first successor of the next generation starts. */
static void
begin_renewal(const struct pool_policy *policy, int workers)
{
	rig_ready(&rig, policy, workers);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
}

static const struct pool_tell *
failed(void)
{
	const struct pool_tell	*tell = rig_last(&rig, TELL_RENEW_FAILED);

	cr_assert(tell != NULL, "the renewal has not failed");
	return tell;
}

static int
last_generation(void)
{
	return rig.spawns[rig.nspawns - 1].generation;
}

/*
 * A reload brings a program that cannot start. A worker that crashes later
 * must be replaced by one of the program that could.
 */
Test(pool_undo, goes_back_to_what_served_when_nothing_of_the_new_does)
{
	struct pool_policy	 policy = rig_policy();

	begin_renewal(&policy, 2);
	cr_expect(eq(int, pool_generation(rig.pool), 2));
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(failed()->restored);
	cr_expect(eq(i64, failed()->n, 2));
	cr_expect(eq(int, pool_generation(rig.pool), 1));
	cr_expect(not(pool_renewing(rig.pool)));
	rig_exit(&rig, rig_child(&rig, 1), 1);
	cr_expect(eq(int, last_generation(), 1));
	rig_end(&rig);
}

Test(pool_undo, stays_with_the_new_once_one_of_it_has_served)
{
	struct pool_policy	 policy = rig_policy();

	begin_renewal(&policy, 3);
	rig_fact(&rig, rig_successor(&rig, 0), ON_READY);
	rig_exit(&rig, rig_successor(&rig, 1), 1);
	cr_expect(not(failed()->restored));
	cr_expect(eq(int, pool_generation(rig.pool), 2));
	cr_expect(eq(int, pool_proven(rig.pool), 2));
	rig_exit(&rig, rig_child(&rig, 2), 1);
	cr_expect(eq(int, last_generation(), 2), "the new one is in force");
	rig_end(&rig);
}

Test(pool_undo, never_uses_a_number_twice)
{
	struct pool_policy	 policy = rig_policy();

	begin_renewal(&policy, 2);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, pool_generation(rig.pool), 3));
	rig_end(&rig);
}

Test(pool_undo, tells_successors_that_still_start_to_go)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 other;

	policy.surge = 2;
	begin_renewal(&policy, 3);
	other = child_info(rig_successor(&rig, 1))->pid;
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(rig_signalled(&rig, other, DO_STOP));
	cr_expect(eq(ptr, rig_successor(&rig, 1), NULL));
	cr_expect(eq(int, rig.nsignals, 1), "and nobody else");
	/* Too late to be taken back. */
	rig_fact(&rig, pool_find(rig.pool, other), ON_READY);
	cr_expect(eq(int, pool_proven(rig.pool), 1));
	rig_end(&rig);
}

/* A slot was empty: its first worker is of the new generation at once. */
Test(pool_undo, fills_anew_where_only_one_of_the_new_was_starting)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 starter;

	rig_ready(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 1), 1);
	rig_exit(&rig, rig_child(&rig, 1), 1);	/* now the slot waits */
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	starter = rig_pid(&rig, 1);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(rig_signalled(&rig, starter, DO_STOP));
	cr_expect(ne(int, rig_pid(&rig, 1), starter));
	cr_expect(eq(int, last_generation(), 1));
	rig_end(&rig);
}

Test(pool_undo, makes_no_slot_wait)
{
	struct pool_policy	 policy = rig_policy();
	struct slot_info	 slot;

	begin_renewal(&policy, 1);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	pool_slot(rig.pool, 0, &slot);
	cr_expect(eq(int, slot.failures, 0));
	cr_expect(ne(ptr, slot.child, NULL), "the first death is free");
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_WAIT), 0));
	rig_end(&rig);
}

Test(pool_undo, gives_who_is_over_a_limit_a_successor_of_the_old)
{
	struct pool_policy	 policy = rig_policy();

	policy.surge = 2;
	begin_renewal(&policy, 2);
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_RSS, rig.now_ms);
	rig_exit(&rig, rig_successor(&rig, 1), 1);
	cr_assert(ne(ptr, rig_successor(&rig, 0), NULL));
	cr_expect(eq(int, child_info(rig_successor(&rig, 0))->generation, 1));
	cr_expect(eq(ptr, rig_successor(&rig, 1), NULL));
	rig_end(&rig);
}

/* HUP, and another one before anybody of the first was ready. */
Test(pool_undo, of_a_second_renewal_skips_the_first_if_it_never_served)
{
	struct pool_policy	 policy = rig_policy();

	begin_renewal(&policy, 2);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, child_info(rig_successor(&rig, 0))->generation, 3));
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(failed()->restored);
	cr_expect(eq(int, pool_generation(rig.pool), 1));
	rig_end(&rig);
}

Test(pool_undo, of_a_second_renewal_goes_back_to_the_first_if_it_served)
{
	struct pool_policy	 policy = rig_policy();

	begin_renewal(&policy, 2);
	rig_fact(&rig, rig_successor(&rig, 0), ON_READY);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(failed()->restored);
	cr_expect(eq(int, pool_generation(rig.pool), 2));
	rig_end(&rig);
}

Test(pool_undo, has_nothing_to_go_back_to_before_the_first_was_ready)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 1);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(not(failed()->restored));
	cr_expect(eq(int, pool_generation(rig.pool), 2));
	rig_end(&rig);
}

Test(pool_undo, follows_a_fatal_exit_of_a_first_worker_too)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig_exit(&rig, rig_child(&rig, 0), 78);	/* parked */
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_child(&rig, 0), 78);
	cr_expect(failed()->restored);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_PARKED), 1));
	cr_expect(eq(int, last_generation(), 1), "it is tried again");
	rig_end(&rig);
}

/* ---- an empty pool */

Test(pool_undo, a_drained_pool_is_renewed_at_once_and_keeps_what_is_new)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_drain(rig.pool);
	rig_turn(&rig);
	rig_all_gone(&rig);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 1));
	cr_expect(eq(int, pool_generation(rig.pool), 2));
	cr_expect(eq(int, pool_proven(rig.pool), 1), "nobody has served");
	cr_expect(pool_undrain(rig.pool, rig.now_ms));
	rig_turn(&rig);
	cr_expect(eq(int, pool_live(rig.pool), 2));
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_FAILED), 0));
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_WAIT), 1));
	rig_end(&rig);
}

/* ---- programs that cannot be executed */

Test(pool_hopeless, parks_the_slot_until_somebody_scales)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig.execs_fail = 1;
	rig_exit(&rig, rig_child(&rig, 0), 1);
	cr_assert(eq(int, rig_told(&rig, TELL_SLOT_PARKED), 1));
	cr_expect(eq(i64, rig_last(&rig, TELL_SLOT_PARKED)->n, -1));
	rig_pass(&rig, 100000);
	cr_expect(eq(ptr, rig_child(&rig, 0), NULL));
	pool_scale(rig.pool, 0, rig.now_ms);
	rig_turn(&rig);
	cr_expect(ne(ptr, rig_child(&rig, 0), NULL));
	rig_end(&rig);
}

Test(pool_hopeless, in_all_slots_of_the_first_start_gives_it_up)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 0);
	rig.execs_fail = 2;
	pool_set_target(rig.pool, 2, rig.now_ms);
	rig_turn(&rig);
	cr_expect(pool_gave_up(rig.pool));
	cr_expect(eq(int, pool_phase(rig.pool), POOL_ENDED));
	rig_end(&rig);
}

Test(pool_hopeless, bars_a_successor_and_leaves_the_old_one)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig.execs_fail = 1;
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_BARRED), 1));
	rig_pass(&rig, 100000);
	cr_expect(eq(int, rig.nspawns, 2));
	cr_expect(eq(int, pool_ready(rig.pool), 2));
	rig_end(&rig);
}

Test(pool_hopeless, ends_a_renewal_which_goes_back)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	rig.execs_fail = 1;
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	cr_expect(failed()->restored);
	cr_expect(failed()->child == NULL);
	cr_expect(eq(int, pool_ready(rig.pool), 2));
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_BARRED), 0));
	cr_expect(eq(int, rig_told(&rig, TELL_SLOT_PARKED), 0));
	rig_end(&rig);
}

Test(pool_hopeless, caretaker_is_waited_for)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	rig_all_gone(&rig);
	rig.execs_fail = 1;
	pool_caretake(rig.pool, 0);
	rig_turn(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_CARE_WAIT), 1));
	rig_end(&rig);
}

/*
 * Forks are made together and answered together: the second one of a renewal
 * is there by the time that the first one is known not to start.
 */
Test(pool_hopeless, takes_those_along_that_were_forked_with_it)
{
	struct pool_policy	 policy = rig_policy();
	struct act		 acts[2];
	struct child		*child;

	policy.surge = 2;
	rig_ready(&rig, &policy, 2);
	pool_renew(rig.pool, rig.now_ms);
	pool_begin_turn(rig.pool);
	cr_assert(pool_next(rig.pool, rig.now_ms, &acts[0]));
	cr_assert(pool_next(rig.pool, rig.now_ms, &acts[1]));
	pool_hopeless(rig.pool, &acts[0], rig.now_ms);
	child = pool_spawned(rig.pool, &acts[1], 4711, 0, rig.now_ms);
	cr_expect(eq(int, child_info(child)->why, WHY_RENEW));
	rig_turn(&rig);
	cr_expect(rig_signalled(&rig, 4711, DO_STOP));
	cr_expect(eq(int, pool_leavers(rig.pool), 1));
	rig_all_gone(&rig);
	pool_retire(rig.pool, rig_child(&rig, 1), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	cr_expect(ne(ptr, rig_successor(&rig, 1), NULL), "surge is free");
	rig_end(&rig);
}
