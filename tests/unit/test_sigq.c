#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "master/sigq.h"

static struct sigq_counters	*shared;
static struct sigq_taken	 taken;
static struct err		 err;

static void
setup(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(shared, MAP_FAILED);
	cr_assert_eq(sigq_open(&err), 0, "%s", err.text);
}

TestSuite(sigq, .timeout = 10, .init = setup, .fini = sigq_close);

/* What an image after us would have to do. */
static struct sigq_pending
left(const struct sigq_noted *noted)
{
	struct sigq_pending	 pending;

	cr_expect(sigq_left(shared, noted, &pending));
	return pending;
}

static int
scale_by(int n)
{
	union sigval	 value = { .sival_int = n };

	return sigqueue(getpid(), SIGRTMIN + 1, value);
}

Test(sigq, counts_go_along_when_the_counters_move)
{
	raise(SIGTERM);
	raise(SIGTTIN);
	sigq_move(shared);
	raise(SIGTTIN);
	cr_expect_eq(shared->kinds[SIGQ_TTIN].came[0], 2);
	sigq_take(&taken);
	cr_expect_eq(taken.sent[SIGQ_TERM], 1);
	cr_expect_eq(taken.sent[SIGQ_TTIN], 2);
	sigq_take(&taken);
	cr_expect_eq(taken.sent[SIGQ_TERM], 0);
	cr_expect_eq(taken.sent[SIGQ_TTIN], 0);
}

Test(sigq, counters_can_come_home_again)
{
	sigq_move(shared);
	raise(SIGTERM);
	sigq_move(NULL);
	cr_assert_eq(munmap(shared, sizeof(*shared)), 0);
	raise(SIGTERM);
	sigq_take(&taken);
	cr_expect_eq(taken.sent[SIGQ_TERM], 2);
}

Test(sigq, what_is_not_taken_is_left)
{
	struct sigq_noted	 noted = { 0 };
	struct sigq_pending	 pending;

	sigq_move(shared);
	raise(SIGHUP);
	raise(SIGTTOU);
	raise(SIGTTOU);
	raise(SIGTERM);
	cr_assert_eq(scale_by(7), 0);
	cr_assert_eq(scale_by(-9), 0);
	pending = left(&noted);
	cr_expect_eq(pending.came[SIGQ_HUP][0], 1);
	cr_expect_eq(pending.came[SIGQ_TTOU][0], 2);
	cr_expect_eq(pending.came[SIGQ_TERM][0], 1);
	cr_expect_eq(pending.scales, 2);
	cr_expect_eq(pending.scale_sum, -2);
}

/* A HUP that crashes us once must not crash us for ever. */
Test(sigq, reloads_and_scalings_are_gone_once_they_are_taken)
{
	struct sigq_noted	 noted = { 0 };
	struct sigq_pending	 pending;

	sigq_move(shared);
	raise(SIGHUP);
	raise(SIGUSR2);
	raise(SIGTTIN);
	cr_assert_eq(scale_by(7), 0);
	sigq_take(&taken);
	pending = left(&noted);
	cr_expect_eq(pending.came[SIGQ_HUP][0], 0);
	cr_expect_eq(pending.came[SIGQ_USR2][0], 0);
	cr_expect_eq(pending.came[SIGQ_TTIN][0], 0);
	cr_expect_eq(pending.scales, 0);
	cr_expect_eq(pending.scale_sum, 0);
}

Test(sigq, a_stop_is_left_until_it_is_noted_and_then_no_more)
{
	struct sigq_noted	 noted = { 0 };
	struct sigq_pending	 pending;

	sigq_move(shared);
	raise(SIGTERM);
	sigq_take(&taken);
	cr_expect_eq(taken.sent[SIGQ_TERM], 1);
	cr_expect_eq(left(&noted).came[SIGQ_TERM][0], 1);
	sigq_noted(&noted);
	cr_expect_eq(left(&noted).came[SIGQ_TERM][0], 0);
	raise(SIGTERM);
	pending = left(&noted);
	cr_expect_eq(pending.came[SIGQ_TERM][0], 1, "the second one");
}

Test(sigq, which_kinds_are_stops_can_be_said)
{
	struct sigq_noted	 noted = { 0 };

	sigq_move(shared);
	sigq_set_stops(1U << SIGQ_USR2);
	raise(SIGTERM);
	raise(SIGUSR2);
	sigq_take(&taken);
	cr_expect_eq(left(&noted).came[SIGQ_TERM][0], 0);
	cr_expect_eq(left(&noted).came[SIGQ_USR2][0], 1);
}

Test(sigq, what_was_left_is_taken_in_the_next_turn)
{
	struct sigq_pending	 pending = { .scales = 2, .scale_sum = -3 };

	pending.came[SIGQ_TERM][0] = 1;
	pending.came[SIGQ_HUP][1] = 1;
	sigq_move(shared);
	sigq_restore(&pending);
	raise(SIGTERM);
	sigq_take(&taken);
	cr_expect_eq(taken.sent[SIGQ_TERM], 2);
	cr_expect_eq(taken.kernel[SIGQ_HUP], 1);
	cr_expect_eq(taken.scales, 2);
	cr_expect_eq(taken.scale, -3);
}

Test(sigq, counts_may_run_over)
{
	struct sigq_noted	 noted = { 0 };

	shared->kinds[SIGQ_TERM].came[0] = 3;
	shared->kinds[SIGQ_TERM].taken[0] = UINT32_MAX - 5;
	noted.taken[SIGQ_TERM][0] = UINT32_MAX;
	cr_expect_eq(left(&noted).came[SIGQ_TERM][0], 4);
}

Test(sigq, absurd_counts_are_left_out)
{
	struct sigq_noted	 noted = { 0 };
	struct sigq_pending	 pending;

	shared->kinds[SIGQ_TTIN].came[0] = 1U << 31;
	shared->kinds[SIGQ_TERM].came[0] = 1;
	shared->valid = 2;
	shared->scale_sum = 20001;
	cr_expect_not(sigq_left(shared, &noted, &pending));
	cr_expect_eq(pending.came[SIGQ_TTIN][0], 0);
	cr_expect_eq(pending.came[SIGQ_TERM][0], 1);
	cr_expect_eq(pending.scales, 0);
	cr_expect_eq(pending.scale_sum, 0);
}

Test(sigq, a_pipe_can_be_taken_over_with_what_came_while_all_was_blocked)
{
	struct sigq_record	 record;
	sigset_t		 old;
	int			 fds[2], copy[2];

	cr_assert_eq(sigq_fds(fds), 0);
	copy[0] = dup(fds[0]);
	copy[1] = dup(fds[1]);
	sigq_close();
	cr_expect_eq(sigq_fds(fds), -1);
	sigq_block(&old);
	raise(SIGTERM);
	cr_assert_eq(sigq_reopen(copy, &err), 0, "%s", err.text);
	sigq_take(&taken);
	cr_expect_eq(taken.sent[SIGQ_TERM], 1);
	cr_assert(sigq_next(&record));
	cr_expect_eq(record.kind, SIGQ_TERM);
}

Test(sigq, what_is_no_pipe_is_not_taken_over)
{
	int	 fds[2], other[2], wrong[2];
	int	 null = open("/dev/null", O_RDWR | O_CLOEXEC);

	cr_assert_eq(sigq_fds(fds), 0);
	cr_assert_eq(pipe2(other, O_CLOEXEC), 0);
	wrong[0] = fds[1];
	wrong[1] = fds[0];
	cr_expect_eq(sigq_reopen(wrong, &err), -1, "the wrong way round");
	wrong[0] = fds[0];
	wrong[1] = other[1];
	cr_expect_eq(sigq_reopen(wrong, &err), -1, "two pipes");
	wrong[1] = null;
	cr_expect_eq(sigq_reopen(wrong, &err), -1, "no pipe");
	wrong[1] = 999;
	cr_expect_eq(sigq_reopen(wrong, &err), -1, "nothing");
}
