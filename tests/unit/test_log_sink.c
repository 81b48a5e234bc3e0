#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/log_rig.h"

static struct err	 err;

TestSuite(log_sink, .timeout = 10, .init = log_rig_setup,
    .fini = log_rig_teardown);

/* ---- before and without opening */

Test(log_sink, before_opening_lines_go_to_stderr)
{
	int		 fd = log_rig_stderr();
	const char	*text;

	log_rig_say(1);
	log_event(EV_CONN_CLOSED, log_int("slot", 1));
	text = log_rig_take(fd);
	cr_expect_not_null(strstr(text, "Z info  reload.done gen=1\n"));
	cr_expect_null(strstr(text, "conn.closed"), "debug was written");
	cr_expect_eq(log_fd(), STDERR_FILENO);
}

Test(log_sink, before_opening_a_full_pipe_does_not_block)
{
	int	 fd = log_rig_stderr(), i;

	for (i = 0; i < 5000; i++)
		log_rig_say(i);
	cr_expect(log_lossy());
	cr_expect_gt(log_rig_count(log_rig_take(fd), "reload.done"), 100);
}

Test(log_sink, a_full_socket_as_stderr_does_not_block)
{
	int	 ends[2], i;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	cr_assert_eq(log_rig_open("stderr", &err), 0);
	for (i = 0; i < 20000; i++)
		log_rig_say(i);
	cr_expect(log_lossy());
	close(ends[0]);
	log_rig_say(1);		/* nobody is there, and SIGPIPE does not come */
}

/* ---- stderr */

Test(log_sink, a_full_pipe_never_blocks_and_its_losses_are_told)
{
	int		 fd = log_rig_stderr(), i, written, lost = -1;
	const char	*text;

	cr_assert_eq(log_rig_open("stderr", &err), 0);
	for (i = 0; i < 5000; i++)
		log_rig_say(i);
	cr_assert(log_lossy());
	written = log_rig_count(log_rig_take(fd), "reload.done");
	log_rig_say(9999);
	cr_expect(!log_lossy());
	text = log_rig_take(fd);
	cr_assert_not_null(strstr(text, "log.lost lines="), "%s", text);
	sscanf(strstr(text, "log.lost lines="), "log.lost lines=%d", &lost);
	cr_expect_eq(written + lost, 5000, "%d and %d", written, lost);
	cr_expect_not_null(strstr(strstr(text, "lost"), "gen=9999\n"));
}

Test(log_sink, a_retry_tells_of_losses_without_a_new_line)
{
	int	 fd = log_rig_stderr(), i;

	cr_assert_eq(log_rig_open("stderr", &err), 0);
	for (i = 0; i < 5000; i++)
		log_rig_say(i);
	log_retry();
	cr_expect(log_lossy(), "nobody has read yet");
	log_rig_take(fd);
	log_retry();
	cr_expect(!log_lossy());
	cr_expect_eq(log_rig_count(log_rig_take(fd), "log.lost"), 1);
	log_retry();
	cr_expect_str_eq(log_rig_take(fd), "", "there is nothing to tell");
}

Test(log_sink, flags_of_the_inherited_stderr_are_left_alone)
{
	int	 fd = log_rig_stderr();

	cr_assert_eq(log_rig_open("stderr", &err), 0);
	log_rig_say(1);
	cr_expect_neq(log_fd(), STDERR_FILENO);
	cr_expect_eq(fcntl(log_fd(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	cr_expect_eq(fcntl(log_fd(), F_GETFD), FD_CLOEXEC);
	cr_expect_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	cr_expect_eq(log_rig_count(log_rig_take(fd), "gen=1\n"), 1);
}

Test(log_sink, stderr_as_a_file_keeps_its_offset)
{
	int	 fd = open(log_rig_path, O_RDWR | O_CREAT, 0600);

	cr_assert_eq(write(fd, "before\n", 7), 7);
	dup2(fd, STDERR_FILENO);
	cr_assert_eq(log_rig_open("stderr", &err), 0);
	log_rig_say(1);
	cr_assert_eq(write(fd, "after\n", 6), 6);
	cr_expect_eq(strncmp(log_rig_take_file(log_rig_path), "before\n", 7), 0);
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path), "gen=1\nafter\n"));
}

/* ---- a terminal */

/* In the background of a session: what becomes of a write to its terminal? */
static int
write_in_background(bool through_log)
{
	int	 status;
	pid_t	 pid;

	if ((pid = fork()) == 0) {
		setpgid(0, 0);
		if (!through_log)
			_exit(write(STDERR_FILENO, "raw\n", 4) != 4);
		if (log_rig_open("stderr", &err) == -1)
			_exit(1);
		log_rig_say(77);
		_exit(log_lossy());
	}
	if (waitpid(pid, &status, WUNTRACED) == -1)
		return -1;
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return 1000 + WSTOPSIG(status);
	}
	return status;
}

/* valgrind carries signals itself, and stops no one for the terminal's. */
static bool
under_valgrind(void)
{
	const char	*preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "valgrind") != NULL;
}

/* A session leader on that terminal, with "stty tostop". */
static _Noreturn void
lead_session(const char *tty)
{
	struct termios	 t;
	int		 fd;

	setsid();
	if ((fd = open(tty, O_RDWR)) == -1 || tcgetattr(fd, &t) == -1)
		_exit(1);
	t.c_lflag |= TOSTOP;
	if (tcsetattr(fd, TCSANOW, &t) == -1)
		_exit(2);
	dup2(fd, STDERR_FILENO);
	if (write_in_background(false) != 1000 + SIGTTOU)
		_exit(3);	/* else this test would prove nothing */
	if (write_in_background(true) != 0)
		_exit(4);
	_exit(0);
}

Test(log_sink, tostop_does_not_stop_a_job_in_the_background)
{
	char	 tty[64];
	int	 fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), status;
	pid_t	 pid;

	if (under_valgrind())
		cr_skip_test("valgrind does not stop for a terminal");
	cr_assert_neq(fd, -1);
	cr_assert_eq(grantpt(fd) | unlockpt(fd), 0);
	cr_assert_eq(ptsname_r(fd, tty, sizeof(tty)), 0);
	if ((pid = fork()) == 0)
		lead_session(tty);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "%#x", (unsigned int)status);
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=77"));
}

Test(log_sink, a_terminal_that_nobody_reads_does_not_block)
{
	char	 tty[64];
	int	 fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, i;

	cr_assert_eq(grantpt(fd) | unlockpt(fd), 0);
	cr_assert_eq(ptsname_r(fd, tty, sizeof(tty)), 0);
	slave = open(tty, O_RDWR | O_NOCTTY);
	dup2(slave, STDERR_FILENO);
	cr_assert_eq(log_rig_open("stderr", &err), 0);
	for (i = 0; i < 5000; i++)
		log_rig_say(i);
	cr_expect(log_lossy());
}

/* ---- files */

Test(log_sink, a_file_is_appended_to_and_not_for_all_to_read)
{
	struct stat	 st;

	umask(0);
	cr_assert_eq(log_rig_open(log_rig_path, &err), 0, "%s", err.text);
	log_rig_say(1);
	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	log_rig_say(2);
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path), "gen=1\n2"));
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path), "gen=2\n"));
	cr_assert_eq(stat(log_rig_path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0640);
	cr_expect_eq(fcntl(log_fd(), F_GETFD), FD_CLOEXEC);
}

Test(log_sink, after_a_rename_reopening_writes_to_a_new_file)
{
	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	log_rig_say(1);
	cr_assert_eq(rename(log_rig_path, log_rig_other), 0);
	log_rig_say(2);
	cr_expect_eq(log_reopen(&err), 0);
	log_rig_say(3);
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_other), "gen=2\n"));
	cr_expect_null(strstr(log_rig_take_file(log_rig_other), "gen=3"));
	cr_expect_null(strstr(log_rig_take_file(log_rig_path), "gen=2"));
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path), "gen=3\n"));
}

Test(log_sink, reopening_leaks_no_descriptor)
{
	int	 fd, i;

	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	fd = log_fd();
	for (i = 0; i < 20; i++)
		cr_assert_eq(log_reopen(&err), 0);
	cr_expect_leq(log_fd(), fd + 1);
}

Test(log_sink, when_reopening_fails_the_old_file_stays)
{
	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	rename(log_rig_path, log_rig_other);
	cr_assert_eq(mkdir(log_rig_path, 0700), 0);
	cr_expect_eq(log_reopen(&err), -1);
	cr_expect_not_null(strstr(err.text, log_rig_path));
	log_rig_say(1);
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_other), "gen=1\n"));
}

Test(log_sink, when_opening_fails_the_old_target_stays)
{
	int	 fd = log_rig_stderr();

	cr_assert_eq(log_rig_open("stderr", &err), 0);
	cr_expect_eq(log_rig_open("/nowhere/log", &err), -1);
	cr_expect_str_eq(err.text,
	    "cannot open log /nowhere/log: No such file or directory");
	log_rig_say(1);
	cr_expect_eq(log_rig_count(log_rig_take(fd), "gen=1\n"), 1);
}

Test(log_sink, a_symbolic_link_is_not_followed)
{
	cr_assert_eq(symlink(log_rig_other, log_rig_path), 0);
	cr_expect_eq(log_rig_open(log_rig_path, &err), -1);
	cr_expect_eq(access(log_rig_other, F_OK), -1);
}

Test(log_sink, a_full_disk_is_counted_and_ends_nothing)
{
	int	 fd = log_rig_stderr();

	cr_assert_eq(log_rig_open("/dev/full", &err), 0, "%s", err.text);
	log_rig_say(1);
	log_rig_say(2);
	cr_expect(log_lossy());
	errno = EDOM;
	log_rig_say(3);
	cr_expect_eq(errno, EDOM);
	cr_assert_eq(log_rig_open("stderr", &err), 0);
	log_rig_say(4);
	cr_expect_not_null(strstr(log_rig_take(fd), "log.lost lines=3\n"));
}

Test(log_sink, a_torn_line_is_ended_before_the_next)
{
	const struct rlimit	 tight = { 60, RLIM_INFINITY };
	const struct rlimit	 wide = { RLIM_INFINITY, RLIM_INFINITY };
	const char		*text;

	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
	log_rig_say(1);
	log_rig_say(2);		/* is cut at 60 bytes */
	log_rig_say(3);
	cr_expect(log_lossy());
	setrlimit(RLIMIT_FSIZE, &wide);
	log_rig_say(4);
	text = log_rig_take_file(log_rig_path);
	cr_expect_eq(text[60], '\n');
	cr_expect_not_null(strstr(text + 61, "log.lost lines=2\n"));
	cr_expect_not_null(strstr(text + 61, "reload.done gen=4\n"));
	cr_expect_eq(log_rig_count(text, "\n"), 4);
}

