#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"

TestSuite(fd, .timeout = 10);

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

Test(fd, cloexec_goes_on_and_off)
{
	int	 fd = open("/dev/null", O_RDONLY);

	cr_expect_eq(fd_cloexec(fd, true), 0);
	cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(fd_cloexec(fd, false), 0);
	cr_expect_eq(fcntl(fd, F_GETFD), 0);
	close(fd);
}

Test(fd, nonblock_goes_on_and_off_and_leaves_the_other_flags)
{
	int	 fd = open("/dev/null", O_WRONLY | O_APPEND);

	cr_expect_eq(fd_nonblock(fd, true), 0);
	cr_expect_eq(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND),
	    O_NONBLOCK | O_APPEND);
	cr_expect_eq(fd_nonblock(fd, false), 0);
	cr_expect_eq(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND), O_APPEND);
	close(fd);
}

Test(fd, a_closed_one_is_an_error)
{
	cr_expect_eq(fd_cloexec(-1, true), -1);
	cr_expect_eq(errno, EBADF);
	errno = 0;
	cr_expect_eq(fd_nonblock(-1, true), -1);
	cr_expect_eq(errno, EBADF);
}

/*
 * Closing all descriptors would break the test's own channel: children do it.
 * They open 40 to 59, keep some and answer with the number of mistakes.
 */
enum { LOW = 40, HIGH = 60 };

static int
in_child(int (*body)(void))
{
	int	 status;
	pid_t	 pid;

	if ((pid = fork()) == 0) {
		int	 fd, null = open("/dev/null", O_RDWR);

		for (fd = LOW; fd < HIGH; fd++)
			if (dup2(null, fd) == -1)
				_exit(99);
		_exit(body());
	}
	if (waitpid(pid, &status, 0) == -1 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int
wrong_ones(const int *kept, size_t count)
{
	int	 fd, wrong = 0;
	size_t	 i;
	bool	 want;

	for (fd = 3; fd < HIGH + 10; fd++) {
		want = false;
		for (i = 0; i < count; i++)
			want |= kept[i] == fd;
		wrong += is_open(fd) != want;
	}
	for (fd = 0; fd < 3; fd++)
		wrong += !is_open(fd);
	return wrong;
}

static int
keep_some(void)
{
	int	 keep[] = { 55, -1, 42, 43, 55, 1, -1, 40 };
	int	 kept[] = { 40, 42, 43, 55 };

	dup2(40, 0);	/* the runner's may be closed */
	if (fd_close_except(keep, 8) == -1)
		return 98;
	return wrong_ones(kept, 4);
}

static int
keep_none(void)
{
	dup2(40, 0);
	if (fd_close_except(NULL, 0) == -1)
		return 98;
	return wrong_ones(NULL, 0);
}

static int
keep_the_first(void)
{
	int	 keep[] = { 3 }, kept[] = { 3 };

	dup2(40, 0);
	dup2(40, 3);
	if (fd_close_except(keep, 1) == -1)
		return 98;
	return wrong_ones(kept, 1);
}

Test(fd, close_except_keeps_exactly_what_is_named)
{
	cr_expect_eq(in_child(keep_some), 0);
}

Test(fd, close_except_nothing_closes_all_but_the_standard_ones)
{
	cr_expect_eq(in_child(keep_none), 0);
}

Test(fd, close_except_may_begin_with_the_first)
{
	cr_expect_eq(in_child(keep_the_first), 0);
}

static bool
is_null(int fd)
{
	struct stat	 st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 &&
	    S_ISCHR(st.st_mode) && st.st_rdev == null.st_rdev;
}

static int
open_count(void)
{
	int	 fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += is_open(fd);
	return n;
}

Test(fd, null_replaces_what_was_there_and_survives_exec)
{
	int	 fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int	 before = open_count();

	cr_expect_eq(fd_null(fd), 0);
	cr_expect(is_null(fd));
	cr_expect_eq(fcntl(fd, F_GETFD), 0);
	cr_expect_eq(open_count(), before, "a descriptor was leaked");
}

Test(fd, null_fills_a_closed_one)
{
	int	 fd = dup(0);

	close(fd);
	cr_expect_eq(fd_null(fd), 0);
	cr_expect(is_null(fd));
	cr_expect_eq(fcntl(fd, F_GETFD), 0);
}
