#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/keep.h"
#include "master/saved.h"
#include "master/sigq.h"
#include "tests/unit/state_rig.h"

static struct mirror	*mirror;
static struct err	 err;

static void
setup(void)
{
	mirror = mirror_new(&err);
	cr_assert_not_null(mirror, "%s", err.text);
}

static void
teardown(void)
{
	mirror_free(mirror);
}

TestSuite(mirror, .timeout = 20, .init = setup, .fini = teardown);

static long
kib_held(int fd)
{
	struct stat	 st;

	cr_assert_eq(fstat(fd, &st), 0);
	return (long)st.st_blocks / 2;
}

static struct saved *
read_back(void)
{
	struct saved	*saved = saved_read(mirror_fd(mirror), getpid(), &err);

	cr_assert_not_null(saved, "%s", err.text);
	return saved;
}

static void
put_child(int cell, int pid)
{
	struct child_row	 row = state_rig_child(cell, pid);

	mirror_child(mirror, &row);
}

Test(mirror, cannot_be_cut_off_or_sealed_against_us)
{
	int	 fd = mirror_fd(mirror);

	cr_expect_eq(ftruncate(fd, 4096), -1);
	cr_expect_eq(ftruncate(fd, INT64_C(1) << 30), -1);
	cr_expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

Test(mirror, of_two_workers_costs_little)
{
	struct pool_saved	 pool = { .target = 2 };
	struct slot_saved	 slot = { .nr = 0 };

	mirror_pool(mirror, &pool);
	mirror_slot(mirror, &slot);
	slot.nr = 1;
	mirror_slot(mirror, &slot);
	put_child(0, 100);
	put_child(1, 101);
	cr_expect_lt(kib_held(mirror_fd(mirror)), 200);
}

Test(mirror, grows_to_ten_thousand_workers)
{
	struct slot_saved	 slot = { .nr = 0 };
	struct saved		*saved;
	int			 i;

	for (i = 0; i < 10000; i++) {
		slot.nr = i;
		mirror_slot(mirror, &slot);
		put_child(i, 1000 + i);
	}
	cr_expect_eq(mirror_lost(mirror), 0);
	saved = read_back();
	cr_expect_eq(saved->nslots, 10000);
	cr_assert_eq(saved->nchildren, 10000);
	cr_expect_eq(saved->children[9999].pool.pid, 10999);
	cr_expect_eq(saved->torn, 0);
	saved_free(saved);
}

Test(mirror, what_has_no_row_is_counted_as_lost)
{
	struct slot_saved	 slot = { .nr = MIRROR_SLOTS };

	mirror_slot(mirror, &slot);
	put_child(MIRROR_CELLS, 100);
	put_child(-1, 101);
	mirror_child_gone(mirror, -1);
	cr_expect_eq(mirror_lost(mirror), 4);
	put_child(MIRROR_CELLS - 1, 102);
	cr_expect_eq(mirror_lost(mirror), 4);
}

Test(mirror, a_child_is_born_lives_and_is_gone)
{
	struct saved	*saved;

	mirror_birth(mirror, 3, 7, 2, 0);
	saved = read_back();
	cr_expect_eq(saved->nchildren, 0);
	cr_assert_eq(saved->nbirths, 1);
	cr_expect_eq(saved->births[0].cell, 3);
	cr_expect_eq(saved->births[0].slot, 7);
	cr_expect_eq(saved->births[0].generation, 2);
	saved_free(saved);
	put_child(3, 100);
	saved = read_back();
	cr_assert_eq(saved->nchildren, 1);
	cr_expect_eq(saved->nbirths, 0);
	cr_expect_eq(saved->children[0].pool.pid, 100);
	cr_expect_eq(saved->pool_children[0].pid, 100);
	saved_free(saved);
	mirror_child_gone(mirror, 3);
	saved = read_back();
	cr_expect_eq(saved->nchildren + saved->nbirths, 0);
	saved_free(saved);
}

static void
put_slot(int failures)
{
	struct slot_saved	 slot = { .nr = 0, .failures = failures };

	mirror_slot(mirror, &slot);
}

/* A turn that a crash cuts off: workers ended in it, and others began. */
static void
begin_turn(void)
{
	put_slot(2);
	put_slot(3);
	mirror_child_gone(mirror, 0);
	mirror_birth(mirror, 1, 1, 9, 0);
	mirror_birth(mirror, 2, 2, 9, 0);
	mirror_birth(mirror, 2, 2, 9, 202);
	mirror_birth(mirror, 3, 3, 9, 203);
	put_child(3, 203);
}

static void
expect_turn_before(void)
{
	struct saved	*saved = read_back();

	cr_assert_eq(saved->nslots, 1);
	cr_expect_eq(saved->slots[0].failures, 1);
	cr_assert_eq(saved->nchildren, 1);
	cr_expect_eq(saved->children[0].pool.pid, 100);
	cr_assert_eq(saved->nbirths, 3);
	cr_expect_eq(saved->births[0].pid, 0);
	cr_expect_eq(saved->births[1].pid, 202);
	cr_expect_eq(saved->births[1].generation, 9);
	cr_expect_eq(saved->births[2].cell, 3);
	cr_expect_eq(saved->births[2].pid, 203);
	saved_free(saved);
}

Test(mirror, a_turn_counts_once_it_is_whole)
{
	struct pool_saved	 pool = { .target = 2 };
	struct saved		*saved;

	put_slot(1);
	put_child(0, 100);
	mirror_pool(mirror, &pool);
	begin_turn();
	expect_turn_before();
	mirror_pool(mirror, &pool);	/* itself it is as it was */
	saved = read_back();
	cr_expect_eq(saved->slots[0].failures, 3);
	cr_assert_eq(saved->nchildren, 1);
	cr_expect_eq(saved->children[0].pool.pid, 203);
	cr_expect_eq(saved->torn, 0);
	saved_free(saved);
}

/* Each turn writes the pool; what is the same must not wear out a half. */
Test(mirror, what_is_the_same_is_not_written)
{
	unsigned char	*before, *after;
	size_t		 len;

	put_child(0, 100);
	before = state_rig_bytes(mirror, &len);
	put_child(0, 100);
	after = state_rig_bytes(mirror, &len);
	cr_expect_eq(memcmp(before, after, len), 0);
	put_child(0, 101);
	free(after);
	after = state_rig_bytes(mirror, &len);
	cr_expect_neq(memcmp(before, after, len), 0);
	free(before);
	free(after);
}

Test(mirror, a_copy_is_the_same_and_can_change_no_more)
{
	unsigned char	*original, *copied;
	struct stat	 st;
	size_t		 len;
	int		 copy;

	put_child(0, 100);
	copy = mirror_copy(mirror, &err);
	cr_assert_neq(copy, -1, "%s", err.text);
	original = state_rig_bytes(mirror, &len);
	cr_assert_eq(fstat(copy, &st), 0);
	cr_assert_eq((size_t)st.st_size, len);
	copied = malloc(len);
	cr_assert_eq(pread(copy, copied, len, 0), (ssize_t)len);
	cr_expect_eq(memcmp(original, copied, len), 0);
	cr_expect_eq(pwrite(copy, "x", 1, 0), -1);
	cr_expect_lt(kib_held(copy), 200);
	free(original);
	free(copied);
	close(copy);
}

Test(mirror, a_forked_child_does_not_have_it)
{
	struct sigq_counters	*counters = mirror_signals(mirror);
	int			 status;
	pid_t			 pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit((int)counters->valid);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_not(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect_eq(counters->valid, 0);
}

/* What sigq has taken goes with the pool that stops. */
Test(mirror, a_stop_is_left_until_the_pool_is_written)
{
	struct pool_saved	 pool = { .target = 2 };
	struct sigq_taken	 taken;
	struct saved		*saved;

	cr_assert_eq(sigq_open(&err), 0);
	sigq_move(mirror_signals(mirror));
	mirror_pool(mirror, &pool);
	raise(SIGTERM);
	raise(SIGHUP);
	sigq_take(&taken);
	saved = read_back();
	cr_expect_eq(saved->signals.came[SIGQ_TERM][0], 1);
	cr_expect_eq(saved->signals.came[SIGQ_HUP][0], 0);
	saved_free(saved);
	mirror_pool(mirror, &pool);
	saved = read_back();
	cr_expect_eq(saved->signals.came[SIGQ_TERM][0], 0);
	saved_free(saved);
	sigq_move(NULL);
	sigq_close();
}

Test(mirror, takes_the_crashes_of_those_before)
{
	struct crash_saved	 crashes[CRASHES] = { { 0 } };
	struct saved		*saved;
	int			 i;

	for (i = 0; i < CRASHES; i++) {
		crashes[i].nr = 20 + (uint64_t)i;
		crashes[i].signal = SIGSEGV;
	}
	mirror_crashes(mirror, crashes, CRASHES);
	saved = read_back();
	cr_assert_eq(saved->ncrashes, CRASHES);
	cr_expect_eq(saved->crashes[0].nr, 20);
	cr_expect_eq(saved->crashes[CRASHES - 1].nr, 27);
	cr_expect_eq(saved->torn, 0);
	saved_free(saved);
}
