#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "master/child.h"

/* One worker process, from its fork to its end, as the master sees it. */
TestSuite(child, .timeout = 10);

static const struct child_limits	 limits = { .ready = 60, .graceful = 30,
	.kill = 5 };
static const struct child_limits	 no_limits = { 0 };

static struct child_core
forked(void)
{
	struct child_core	 child;

	child_begin(&child, &limits, 100);
	return child;
}

static struct child_core
ready(void)
{
	struct child_core	 child = forked();

	child_step(&child, ON_READY, &limits, 110);
	return child;
}

Test(child, starts_with_the_ready_limit)
{
	struct child_core	 child = forked();

	cr_expect(eq(int, child.state, CHILD_STARTING));
	cr_expect(eq(i64, child.since_ms, 100));
	cr_expect(eq(i64, child.deadline_ms, 160));
}

Test(child, may_take_for_ever_to_become_ready_without_a_limit)
{
	struct child_core	 child;

	child_begin(&child, &no_limits, 100);
	cr_expect(eq(i64, child.deadline_ms, CHILD_NO_DEADLINE));
}

Test(child, that_is_ready_has_no_deadline)
{
	struct child_core	 child = forked();

	cr_expect(eq(int, child_step(&child, ON_READY, &limits, 110),
	    DO_NOTHING));
	cr_expect(eq(int, child.state, CHILD_READY));
	cr_expect(eq(i64, child.since_ms, 110));
	cr_expect(eq(i64, child.deadline_ms, CHILD_NO_DEADLINE));
}

Test(child, that_is_not_ready_in_time_is_killed)
{
	struct child_core	 child = forked();

	cr_expect(eq(int, child_step(&child, ON_DEADLINE, &limits, 160),
	    DO_KILL));
	cr_expect(eq(int, child.state, CHILD_KILLED));
}

Test(child, is_stopped_gracefully_then_killed)
{
	struct child_core	 child = ready();

	cr_expect(eq(int, child_step(&child, ON_STOP, &limits, 200), DO_STOP));
	cr_expect(eq(int, child.state, CHILD_DRAINING));
	cr_expect(eq(i64, child.deadline_ms, 230));
	cr_expect(eq(int, child_step(&child, ON_DEADLINE, &limits, 230),
	    DO_KILL));
	cr_expect(eq(int, child.state, CHILD_KILLED));
}

Test(child, is_stopped_fast_then_killed)
{
	struct child_core	 child = ready();

	cr_expect(eq(int, child_step(&child, ON_FAST, &limits, 200), DO_FAST));
	cr_expect(eq(int, child.state, CHILD_ENDING));
	cr_expect(eq(i64, child.deadline_ms, 205));
	cr_expect(eq(int, child_step(&child, ON_DEADLINE, &limits, 205),
	    DO_KILL));
}

Test(child, that_drains_may_still_be_stopped_fast)
{
	struct child_core	 child = ready();

	child_step(&child, ON_STOP, &limits, 200);
	cr_expect(eq(int, child_step(&child, ON_FAST, &limits, 210), DO_FAST));
	cr_expect(eq(i64, child.deadline_ms, 215));
}

Test(child, that_stops_by_itself_gets_no_signal_but_a_limit)
{
	struct child_core	 child = ready();

	cr_expect(eq(int, child_step(&child, ON_LEAVING, &limits, 200),
	    DO_NOTHING));
	cr_expect(eq(int, child.state, CHILD_DRAINING));
	cr_expect(eq(i64, child.deadline_ms, 230));
}

Test(child, that_hangs_is_aborted_then_killed)
{
	struct child_core	 child = ready();

	cr_expect(eq(int, child_step(&child, ON_STALE, &limits, 200),
	    DO_ABORT));
	cr_expect(eq(int, child.state, CHILD_ENDING));
	cr_expect(eq(int, child_step(&child, ON_DEADLINE, &limits, 205),
	    DO_KILL));
}

Test(child, is_killed_again_every_second_until_it_is_gone)
{
	struct child_core	 child = ready();

	child_step(&child, ON_FAST, &limits, 200);
	child_step(&child, ON_DEADLINE, &limits, 205);
	cr_expect(eq(i64, child.deadline_ms, 1205));
	cr_expect(eq(int, child_step(&child, ON_DEADLINE, &limits, 1205),
	    DO_KILL));
	cr_expect(eq(i64, child.deadline_ms, 2205));
	cr_expect(eq(i64, child.since_ms, 205), "the state is the same");
}

Test(child, has_no_time_at_all_with_limits_of_zero)
{
	struct child_core	 child = ready();

	child_step(&child, ON_STOP, &no_limits, 200);
	cr_expect(eq(i64, child.deadline_ms, 200));
}

/* What no state expects changes nothing, whatever comes. */
Test(child, is_not_moved_by_surprises)
{
	static const enum child_event	 to[CHILD_STATES] = {
		[CHILD_READY] = ON_READY, [CHILD_DRAINING] = ON_STOP,
		[CHILD_ENDING] = ON_FAST, [CHILD_KILLED] = ON_DEADLINE };
	static const bool	 expected[CHILD_STATES][CHILD_EVENTS] = {
		[CHILD_STARTING] = { [ON_READY] = true, [ON_STOP] = true,
		    [ON_FAST] = true, [ON_DEADLINE] = true },
		[CHILD_READY] = { [ON_LEAVING] = true, [ON_STOP] = true,
		    [ON_FAST] = true, [ON_STALE] = true },
		[CHILD_DRAINING] = { [ON_FAST] = true, [ON_DEADLINE] = true },
		[CHILD_ENDING] = { [ON_DEADLINE] = true },
		[CHILD_KILLED] = { [ON_DEADLINE] = true } };
	struct child_core	 child, before;
	enum child_act		 act;
	int			 state, event;

	for (state = 0; state < CHILD_STATES; state++)
		for (event = 0; event < CHILD_EVENTS; event++) {
			child = forked();
			if (state != CHILD_STARTING)
				child_step(&child, to[state], &limits, 110);
			cr_assert(eq(int, child.state, state));
			before = child;
			act = child_step(&child, event, &limits, 120);
			cr_expect(eq(int, act != DO_SURPRISE,
			    expected[state][event]), "%s on %s",
			    child_state_name(state), child_event_name(event));
			if (act != DO_SURPRISE)
				continue;
			cr_expect(eq(int, child.state, before.state));
			cr_expect(eq(i64, child.since_ms, before.since_ms));
			cr_expect(eq(i64, child.deadline_ms,
			    before.deadline_ms));
		}
}

Test(child, states_and_events_have_names)
{
	int	 i;

	for (i = 0; i < CHILD_STATES; i++)
		cr_expect(gt(sz, strlen(child_state_name(i)), 0));
	for (i = 0; i < CHILD_EVENTS; i++)
		cr_expect(gt(sz, strlen(child_event_name(i)), 0));
}

Test(child, counts_other_limits_from_when_the_state_began)
{
	static const struct child_limits	 longer = { 1000, 2000, 3000 };
	struct child_core			 child = forked();
	int64_t					 began = child.since_ms;

	child_relimit(&child, &longer);
	cr_expect(eq(i64, child.deadline_ms, began + 1000));
	child_step(&child, ON_STOP, &limits, 110);
	child_relimit(&child, &longer);
	cr_expect(eq(i64, child.deadline_ms, 110 + 2000));
	child_step(&child, ON_FAST, &limits, 120);
	child_relimit(&child, &longer);
	cr_expect(eq(i64, child.deadline_ms, 120 + 3000));
	child_step(&child, ON_DEADLINE, &limits, 130);
	child_relimit(&child, &longer);
	cr_expect(eq(i64, child.deadline_ms, 130 + 1000), "KILL's stays");
}
