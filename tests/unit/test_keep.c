#include <criterion/criterion.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/keep.h"
#include "master/mirror.h"
#include "master/saved.h"

static struct mirror	*mirror;
static struct err	 err;

static void
setup(void)
{
	mirror = mirror_new(&err);
	cr_assert_not_null(mirror, "%s", err.text);
	cr_assert_eq(keep_open(mirror, &err), 0, "%s", err.text);
}

static void
teardown(void)
{
	keep_open(NULL, &err);
	mirror_free(mirror);
}

TestSuite(keep, .timeout = 10, .init = setup, .fini = teardown);

static int
some_fd(void)
{
	int	 ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	return ends[0];
}

static bool
hidden(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static struct saved *
read_back(void)
{
	struct saved	*saved = saved_read(mirror_fd(mirror), getpid(), &err);

	cr_assert_not_null(saved, "%s", err.text);
	return saved;
}

Test(keep, has_what_was_added_until_it_is_dropped)
{
	int	 fd = some_fd();

	cr_expect_not(keep_has(fd, KEEP_LIFE));
	keep_add(fd, KEEP_LIFE);
	cr_expect(keep_has(fd, KEEP_LIFE));
	cr_expect_not(keep_has(fd, KEEP_BOARD));
	keep_drop(fd);
	cr_expect_not(keep_has(fd, KEEP_LIFE));
}

Test(keep, what_has_become_another_file_is_no_more_there)
{
	int	 fd = some_fd(), other = some_fd();

	keep_add(fd, KEEP_LIFE);
	cr_assert_eq(dup3(other, fd, O_CLOEXEC), fd);
	cr_expect_not(keep_has(fd, KEEP_LIFE));
	close(fd);
	cr_expect_not(keep_has(fd, KEEP_LIFE));
}

Test(keep, before_it_is_open_and_for_no_descriptor_it_does_nothing)
{
	int	 fd = some_fd();

	keep_add(-1, KEEP_LIFE);
	keep_drop(-1);
	cr_expect_not(keep_has(-1, KEEP_LIFE));
	keep_forget();
	keep_add(fd, KEEP_LIFE);
	keep_drop(fd);
	keep_expose();
	cr_expect(hidden(fd));
	cr_expect_not(keep_has(fd, KEEP_LIFE));
}

Test(keep, each_is_of_one_kind)
{
	int	 first = some_fd(), second = some_fd();

	keep_add(second, KEEP_ACK);
	keep_add(first, KEEP_MAIL);
	cr_expect(keep_has(first, KEEP_MAIL));
	cr_expect_not(keep_has(first, KEEP_ACK));
	cr_expect(keep_has(second, KEEP_ACK));
	keep_add(first, KEEP_ACK);
	cr_expect(keep_has(first, KEEP_ACK));
	keep_drop(first);
	cr_expect_not(keep_has(first, KEEP_ACK));
	cr_expect(keep_has(second, KEEP_ACK));
}

Test(keep, exposes_and_hides_its_own_alone)
{
	int	 kept = some_fd(), other = some_fd(), dropped = some_fd();

	keep_add(kept, KEEP_LIFE);
	keep_add(dropped, KEEP_LIFE);
	keep_drop(dropped);
	keep_expose();
	cr_expect_not(hidden(kept));
	cr_expect(hidden(other));
	cr_expect(hidden(dropped));
	keep_hide();
	cr_expect(hidden(kept));
}

Test(keep, the_next_image_finds_those_that_still_are_what_they_were)
{
	int		 same = some_fd(), closed = some_fd();
	int		 replaced = some_fd(), other = some_fd();
	struct saved	*saved;
	struct mirror	*next;

	keep_add(same, KEEP_LIFE);
	keep_add(closed, KEEP_BOARD);
	keep_add(replaced, KEEP_INBOX);
	keep_expose();
	saved = read_back();
	cr_assert_eq(saved->nkeeps, 3);
	close(closed);
	cr_assert_eq(dup3(other, replaced, 0), replaced);
	keep_forget();
	next = mirror_new(&err);
	cr_assert_eq(keep_open(next, &err), 0);
	cr_expect_eq(keep_check(saved->keeps, saved->nkeeps), 2);
	cr_expect(keep_has(same, KEEP_LIFE));
	cr_expect_not(keep_has(closed, KEEP_BOARD));
	cr_expect_not(keep_has(replaced, KEEP_INBOX));
	cr_expect(hidden(same));
	cr_expect_not(hidden(replaced), "a stranger is left alone");
	saved_free(saved);
	keep_open(NULL, &err);
	mirror_free(next);
}

Test(keep, moves_to_another_mirror)
{
	struct mirror	*next = mirror_new(&err);
	int		 fd = some_fd();

	keep_add(fd, KEEP_LIFE);
	cr_assert_eq(keep_open(next, &err), 0, "%s", err.text);
	mirror_free(mirror);
	mirror = next;
	cr_expect(keep_has(fd, KEEP_LIFE));
	keep_expose();
	cr_expect_not(hidden(fd));
}

Test(keep, a_high_number_is_kept_too)
{
	int	 low = some_fd(), high = fcntl(low, F_DUPFD_CLOEXEC, 1000);

	if (high == -1)
		cr_skip_test("not so many descriptors here");
	keep_add(high, KEEP_CAPTURE);
	cr_expect(keep_has(high, KEEP_CAPTURE));
	keep_expose();
	cr_expect_not(hidden(high));
}

/* What a turn that was cut off had opened is nobody's in the next image. */
Test(keep, closes_what_nobody_takes_up_again)
{
	struct saved	*saved;
	int		 taken = some_fd(), opened = some_fd();

	keep_add(taken, KEEP_LIFE);
	keep_add(opened, KEEP_MAIL);
	saved = read_back();
	cr_expect_eq(keep_check(saved->keeps, saved->nkeeps), 0);
	keep_add(taken, KEEP_LIFE);
	cr_expect_eq(keep_sweep(), 1);
	cr_expect(keep_has(taken, KEEP_LIFE));
	cr_expect_not(keep_has(opened, KEEP_MAIL));
	cr_expect_eq(fcntl(opened, F_GETFD), -1);
	cr_expect_eq(keep_sweep(), 0);
	saved_free(saved);
	close(taken);
}
