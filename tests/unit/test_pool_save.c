#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pool_rig.h"

/* Pools that go on in another process, and workers of another master. */
TestSuite(pool_save, .timeout = 60);
TestSuite(pool_adopt, .timeout = 10);

#define ROWS	16

static struct rig	 rig;

struct copy {
	struct pool_saved	 pool;
	struct slot_saved	 slots[ROWS];
	struct child_saved	 children[ROWS];
	size_t			 nslots, nchildren;
};

static struct copy
copy_of(struct pool *pool)
{
	struct copy	 copy;
	struct child	*child = NULL;

	memset(&copy, 0, sizeof(copy));
	pool_save(pool, &copy.pool);
	while (pool_save_slot(pool, (int)copy.nslots,
	    &copy.slots[copy.nslots]))
		copy.nslots++;
	while ((child = pool_next_child(pool, child)) != NULL)
		pool_save_child(child, &copy.children[copy.nchildren++]);
	return copy;
}

static void
no_tell(void *arg, const struct pool_tell *tell)
{
	(void)arg;
	(void)tell;
}

static struct pool *
pool_of(const struct copy *copy, struct err *err)
{
	struct pool_policy	 policy = rig_policy();
	struct pool_rows	 rows = { &copy->pool, copy->slots,
				    copy->nslots, copy->children,
				    copy->nchildren };

	return pool_restore(&policy, &rows, false, 1, no_tell, NULL,
	    rig.now_ms, err);
}

/* A pool in which there is one of everything. */
static void
begin_lively(void)
{
	struct pool_policy	 policy = rig_policy();

	policy.surge = 2;
	rig_ready(&rig, &policy, 5);
	pool_scale(rig.pool, -1, rig.now_ms);		/* a leaver */
	rig_turn(&rig);
	pool_caretake(rig.pool, 0);			/* a caretaker */
	rig_turn(&rig);
	rig_exit(&rig, rig_child(&rig, 1), 78);		/* parked */
	rig_exit(&rig, rig_child(&rig, 2), 1);
	rig_exit(&rig, rig_child(&rig, 2), 1);		/* waiting */
	pool_retire(rig.pool, rig_child(&rig, 3), WHY_RSS, rig.now_ms);
	rig_turn(&rig);					/* a successor */
	rig_fact(&rig, rig_child(&rig, 4), ON_STALE);	/* aborted */
}

/* ---- going on */

Test(pool_save, the_rows_of_a_restored_pool_are_the_same)
{
	struct copy	 before, after;

	begin_lively();
	before = copy_of(rig.pool);
	rig_anew(&rig, false);
	after = copy_of(rig.pool);
	cr_expect(eq(int, memcmp(&before, &after, sizeof(before)), 0));
	cr_expect(eq(int, pool_leavers(rig.pool), 3));
	rig_end(&rig);
}

Test(pool_save, a_restored_pool_goes_on_where_it_was)
{
	int	 before;

	begin_lively();
	rig_anew(&rig, false);
	before = rig.nsignals;
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, before), "nobody is told twice");
	rig_fact(&rig, rig_successor(&rig, 3), ON_READY);
	cr_expect(eq(int, rig.nsignals, before + 1));
	rig_pass(&rig, 5000);
	rig_all_ready(&rig);
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_ready(rig.pool), 3), "one is parked");
	rig_end(&rig);
}

Test(pool_save, a_renewal_goes_on_and_can_still_go_back)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_renew(rig.pool, rig.now_ms);
	rig_turn(&rig);
	rig_anew(&rig, false);
	cr_expect(pool_renewing(rig.pool));
	rig_exit(&rig, rig_successor(&rig, 0), 1);
	cr_expect(rig_last(&rig, TELL_RENEW_FAILED)->restored);
	cr_expect(eq(int, pool_generation(rig.pool), 1));
	rig_end(&rig);
}

Test(pool_save, a_stop_goes_on)
{
	struct pool_policy	 policy = rig_policy();

	policy.stop_delay = 1000;
	rig_ready(&rig, &policy, 2);
	pool_stop(rig.pool, false, rig.now_ms);
	rig_turn(&rig);
	rig_anew(&rig, false);
	rig_pass(&rig, 1000);
	cr_expect(eq(int, rig.refusals, 1));
	cr_expect(eq(int, rig.nsignals, 2));
	rig_all_gone(&rig);
	cr_expect(eq(int, pool_phase(rig.pool), POOL_ENDED));
	rig_end(&rig);
}

Test(pool_save, a_spawn_without_an_answer_is_asked_for_again)
{
	struct pool_policy	 policy = rig_policy();
	struct act		 act;

	rig_ready(&rig, &policy, 2);
	pool_exited(rig.pool, rig_child(&rig, 0), 1, rig.now_ms);
	pool_retire(rig.pool, rig_child(&rig, 1), WHY_RSS, rig.now_ms);
	pool_begin_turn(rig.pool);
	while (pool_next(rig.pool, rig.now_ms, &act))
		cr_assert(eq(int, act.kind, ACT_SPAWN));
	rig_anew(&rig, false);
	rig_turn(&rig);
	cr_expect(ne(ptr, rig_child(&rig, 0), NULL));
	cr_expect(ne(ptr, rig_successor(&rig, 1), NULL));
	rig_end(&rig);
}

/* A crash between the decision and the kill(2), or right behind it. */
Test(pool_save, after_a_crash_who_was_told_to_go_is_told_again)
{
	struct pool_policy	 policy = rig_policy();
	pid_t			 left, stale, told;

	rig_ready(&rig, &policy, 4);
	stale = rig_pid(&rig, 1);
	left = rig_pid(&rig, 2);
	rig_fact(&rig, rig_child(&rig, 1), ON_STALE);
	rig_fact(&rig, rig_child(&rig, 2), ON_LEAVING);
	told = rig_pid(&rig, 0);
	pool_retire(rig.pool, rig_child(&rig, 0), WHY_RSS, rig.now_ms);
	rig_turn(&rig);
	rig_fact(&rig, rig_successor(&rig, 0), ON_READY);
	cr_expect(rig_signalled(&rig, told, DO_STOP));
	rig.nsignals = 0;
	rig_anew(&rig, true);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 2));
	cr_expect(rig_signalled(&rig, told, DO_STOP));
	cr_expect(rig_signalled(&rig, stale, DO_ABORT));
	cr_expect(not(rig_signalled(&rig, left, DO_STOP)), "it goes anyhow");
	rig_end(&rig);
}

Test(pool_save, signals_that_were_due_are_sent_after_all)
{
	struct pool_policy	 policy = rig_policy();

	rig_ready(&rig, &policy, 2);
	pool_stop(rig.pool, true, rig.now_ms);	/* and no turn */
	rig_anew(&rig, false);
	rig_turn(&rig);
	cr_expect(eq(int, rig.nsignals, 2));
	rig_end(&rig);
}

/* ---- what has changed */

Test(pool_save, each_change_is_said_once)
{
	struct pool_policy	 policy = rig_policy();
	struct child		*child;

	rig_ready(&rig, &policy, 3);
	while (pool_next_changed(rig.pool) != NULL)
		continue;
	while (pool_next_changed_slot(rig.pool) != -1)
		continue;
	child = rig_child(&rig, 1);
	pool_retire(rig.pool, child, WHY_RSS, rig.now_ms);
	cr_expect(eq(ptr, pool_next_changed(rig.pool), child));
	cr_expect(eq(ptr, pool_next_changed(rig.pool), NULL));
	cr_expect(eq(int, pool_next_changed_slot(rig.pool), 1));
	cr_expect(eq(int, pool_next_changed_slot(rig.pool), -1));
	rig_end(&rig);
}

Test(pool_save, who_has_ended_has_not_changed)
{
	struct pool_policy	 policy = rig_policy();
	struct child		*child;
	pid_t			 gone;

	rig_ready(&rig, &policy, 2);
	gone = rig_pid(&rig, 0);
	rig_exit(&rig, rig_child(&rig, 0), 1);
	while ((child = pool_next_changed(rig.pool)) != NULL)
		cr_expect(ne(int, child_info(child)->pid, gone));
	rig_end(&rig);
}

/* ---- rows that nobody has written */

static void
refused(const struct copy *copy, const char *what)
{
	struct err	 err = { "" };
	struct pool	*pool = pool_of(copy, &err);

	cr_expect(pool == NULL, "%s", what);
	cr_expect(gt(sz, strlen(err.text), 0));
	pool_free(pool);
}

Test(pool_save, rows_that_contradict_each_other_are_refused)
{
	struct copy	 good, bad;

	begin_lively();
	good = bad = copy_of(rig.pool);
	bad.children[1].pid = bad.children[0].pid;
	refused(&bad, "a pid twice");
	bad = good;
	bad.slots[1].nr = 0;
	refused(&bad, "a slot twice");
	bad = good;
	bad.pool.generation = bad.pool.last_generation + 1;
	refused(&bad, "a generation that never was");
	bad = good;
	bad.children[0].slot = (int32_t)bad.nslots;
	refused(&bad, "a slot that is not");
	bad = good;
	bad.children[0].pid = 1;
	refused(&bad, "init");
	bad = good;
	bad.pool.phase = POOL_STOPPING;
	refused(&bad, "a stop that has not told everyone");
	bad = good;
	bad.nslots = 3;
	refused(&bad, "slots that are missing");
	bad = good;
	bad.children[0].cell = -7;	/* the shell's business */
	pool_free(pool_of(&bad, &(struct err){ "" }));
	rig_end(&rig);
}

/* Whatever is accepted must not make the pool stumble. */
static bool
lives_on(const struct copy *copy)
{
	struct err	 err;
	struct pool	*pool = pool_of(copy, &err);
	struct act	 act;
	int64_t		 now_ms = rig.now_ms;
	pid_t		 pid = 1 << 20;
	int		 turns;

	if (pool == NULL)
		return false;
	for (turns = 0; turns < 8; turns++) {
		pool_begin_turn(pool);
		while (pool_next(pool, now_ms, &act))
			if (act.kind == ACT_SPAWN)
				pool_spawned(pool, &act, pid++, 0, now_ms);
		if (turns == 2)
			pool_renew(pool, now_ms);
		if (turns == 4)
			pool_stop(pool, true, now_ms);
		if (turns % 2 == 0 && pool_next_child(pool, NULL) != NULL)
			pool_exited(pool, pool_next_child(pool, NULL), 1,
			    now_ms);
		now_ms += 1000;
	}
	pool_free(pool);
	return true;
}

Test(pool_save, any_bytes_are_refused_or_make_a_sound_pool)
{
	struct copy	 good, bad;
	size_t		 i, at, span = offsetof(struct copy, nslots);
	int		 accepted = 0;

	begin_lively();
	good = copy_of(rig.pool);
	cr_assert(lives_on(&good));
	srandom(1);
	for (i = 0; i < 20000; i++) {
		bad = good;
		do {
			at = (size_t)random() % span;
			((unsigned char *)&bad)[at] ^=
			    (unsigned char)(random() % 3 == 0 ? random() :
			    1 << random() % 8);
		} while (random() % 3 == 0);
		accepted += lives_on(&bad);
	}
	cr_expect(lt(int, accepted, 20000));
	rig_end(&rig);
}

/* ---- workers of a master that was killed */

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
