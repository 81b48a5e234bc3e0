#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/unit/pool_rig.h"

/* Workers of a master that was killed. */
TestSuite(pool_adopt, .timeout = 10);

static struct rig	 rig;

static void
no_tell(void *arg, const struct pool_tell *tell)
{
	(void)arg;
	(void)tell;
}

Test(pool_adopt, a_survivor_serves_in_its_slot_until_it_is_renewed)
{
	struct pool_policy	 policy = rig_policy();
	struct child		*child;

	rig_begin(&rig, &policy, 0);
	pool_set_target(rig.pool, 2, rig.now_ms);
	rig.forks_fail = 1;
	rig_turn(&rig);
	child = pool_adopt_child(rig.pool, 4711, 1, 7, 3, rig.now_ms);
	cr_assert(ne(ptr, child, NULL));
	cr_expect(eq(ptr, rig_child(&rig, 1), child));
	cr_expect(eq(int, child_info(child)->state, CHILD_READY));
	cr_expect(eq(int, child_info(child)->cell, 3));
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	pool_renew(rig.pool, rig.now_ms);
	cr_expect(eq(int, pool_generation(rig.pool), 8));
	rig_pass(&rig, 2000);
	rig_all_ready(&rig);
	rig_all_ready(&rig);
	cr_expect(rig_signalled(&rig, 4711, DO_STOP));
	rig_all_gone(&rig);
	cr_expect(eq(int, rig_told(&rig, TELL_RENEW_DONE), 1));
	rig_end(&rig);
}

Test(pool_adopt, takes_in_who_serves_rather_than_starting_another)
{
	struct pool_policy	 policy = rig_policy();
	struct pool		*pool;
	struct act		 act;

	pool = pool_new(&policy, 2, 1, no_tell, NULL, 1000);
	pool_adopt_child(pool, 100, 5, 1, 0, 1000);
	pool_adopt_child(pool, 101, 9, 1, 0, 1000);
	pool_begin_turn(pool);
	cr_expect(not(pool_next(pool, 1000, &act)), "nobody need be started");
	cr_expect(eq(int, pool_ready(pool), 2));
	pool_free(pool);
}

Test(pool_adopt, tells_to_go_who_has_no_place)
{
	struct pool_policy	 policy = rig_policy();
	struct child		*child;

	rig_ready(&rig, &policy, 2);
	pool_adopt_child(rig.pool, 4711, 0, 1, 0, rig.now_ms);
	pool_adopt_child(rig.pool, 4712, 30, 1, 0, rig.now_ms);
	rig_turn(&rig);
	cr_expect(rig_signalled(&rig, 4711, DO_STOP));
	cr_expect(rig_signalled(&rig, 4712, DO_STOP));
	cr_expect(eq(int, pool_leavers(rig.pool), 2));
	child = pool_adopt_child(rig.pool, 4711, 0, 1, 0, rig.now_ms);
	cr_expect(eq(ptr, child, NULL), "it is known");
	child = pool_adopt_child(rig.pool, 4713, 1 << 20, 1, 0, rig.now_ms);
	cr_expect(eq(ptr, child, NULL));
	rig_end(&rig);
}

/* What a master that crashed was about to start. */
Test(pool_adopt, tells_a_leaver_to_go_whatever_its_slot_has)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 1);
	cr_expect(ne(ptr, pool_adopt_leaver(rig.pool, 4711, 0, 1, 7,
	    rig.now_ms), NULL));
	cr_expect(ne(ptr, pool_adopt_leaver(rig.pool, 4712, 9, 1, 8,
	    rig.now_ms), NULL));
	cr_expect(eq(ptr, pool_adopt_leaver(rig.pool, 4712, 9, 1, 8,
	    rig.now_ms), NULL), "it is known");
	rig_turn(&rig);
	cr_expect(rig_signalled(&rig, 4711, DO_STOP));
	cr_expect(rig_signalled(&rig, 4712, DO_STOP));
	cr_expect(eq(int, pool_leavers(rig.pool), 2));
	cr_expect(eq(int, pool_ready(rig.pool), 1));
	rig_end(&rig);
}

/* The old master's configuration is gone: there is nothing to go back to. */
Test(pool_adopt, is_not_what_a_renewal_goes_back_to)
{
	struct pool_policy	 policy = rig_policy();

	rig_begin(&rig, &policy, 0);
	pool_set_target(rig.pool, 1, rig.now_ms);
	pool_adopt_child(rig.pool, 4711, 0, 3, 0, rig.now_ms);
	rig_turn(&rig);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(not(rig_last(&rig, TELL_RENEW_FAILED)->restored));
	cr_expect(eq(int, pool_generation(rig.pool), 4));
	cr_expect(eq(int, rig_pid(&rig, 0), 4711));
	cr_expect(not(pool_gave_up(rig.pool)), "for somebody serves");
	rig_end(&rig);
}
