#include <criterion/criterion.h>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "master/daemon.h"

TestSuite(daemon, .timeout = 20);

static int	 report[2];			/* from the background */
static struct daemon_parent	*volatile kept;	/* not lost, for valgrind */

static void
die_with_us(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void
sleep_ms(int ms)
{
	struct timespec	 t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* Run body as what the user started: its child's body, in effect. */
static pid_t
start(void (*body)(struct daemon_parent *))
{
	struct daemon_parent	*parent;
	struct err		 err;
	pid_t			 pid;

	if (report[1] == 0 && pipe(report) == -1)
		return -1;
	pid = fork();
	if (pid != 0)
		return pid;
	die_with_us();
	parent = daemon_start(&err);
	if (parent == NULL)
		_exit(99);
	alarm(10);
	body(parent);
	_exit(98);
}

static int
wait_for(pid_t pid)
{
	int	 status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
}

static void
get_ready(struct daemon_parent *parent)
{
	sleep_ms(50);
	daemon_ready(parent);
	sleep_ms(50);
	_exit(7);
}

Test(daemon, lets_the_command_end_with_0_once_it_is_ready)
{
	cr_expect_eq(wait_for(start(get_ready)), 0);
}

static void
fail_with_69(struct daemon_parent *parent)
{
	kept = parent;
	_exit(69);
}

static void
exit_with_0(struct daemon_parent *parent)
{
	(void)parent;
	_exit(0);
}

Test(daemon, passes_on_the_exit_code_of_a_start_that_failed)
{
	cr_expect_eq(wait_for(start(fail_with_69)), 69);
}

Test(daemon, an_end_before_ready_is_no_success_even_with_0)
{
	cr_expect_eq(wait_for(start(exit_with_0)), 75);
}

Test(daemon, knows_the_exit_code_where_child_was_ignored)
{
	pid_t	 pid = fork();

	if (pid == 0) {
		signal(SIGCHLD, SIG_IGN);
		fail_with_69(daemon_start(&(struct err){ "" }));
	}
	cr_expect_eq(wait_for(pid), 69);
}

static void
be_killed(struct daemon_parent *parent)
{
	(void)parent;
	raise(SIGKILL);
}

Test(daemon, says_71_when_a_signal_ended_the_start)
{
	cr_expect_eq(wait_for(start(be_killed)), 71);
}

/* A worker that outlives its master holds the channel's other end open. */
static void
leave_a_child(struct daemon_parent *parent)
{
	(void)parent;
	if (fork() == 0) {
		close(report[1]);
		sleep_ms(3000);
		_exit(0);
	}
	_exit(42);
}

Test(daemon, learns_of_the_failure_while_a_grandchild_lives)
{
	time_t	 before = time(NULL);

	cr_expect_eq(wait_for(start(leave_a_child)), 42);
	cr_expect_leq(time(NULL) - before, 2);
}

static void
on_signal(int signo)
{
	(void)signo;
}

static void
get_ready_late(struct daemon_parent *parent)
{
	sleep_ms(300);
	daemon_ready(parent);
	_exit(0);
}

Test(daemon, waits_on_when_a_signal_interrupts_it)
{
	struct sigaction	 act = { .sa_handler = on_signal };
	pid_t			 pid;

	sigaction(SIGUSR1, &act, NULL);		/* no SA_RESTART */
	pid = start(get_ready_late);
	for (int i = 0; i < 10; i++) {
		sleep_ms(10);
		kill(pid, SIGUSR1);
	}
	cr_expect_eq(wait_for(pid), 0);
}

static void
read_link(int fd, char out[64])
{
	char	 path[32];
	ssize_t	 len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, out, 63);
	out[len == -1 ? 0 : len] = '\0';
}

static void
tell_who_we_are(struct daemon_parent *parent)
{
	char	 line[512], in[64], out[64], new_out[64];

	read_link(0, in);
	read_link(1, out);
	daemon_ready(parent);
	read_link(1, new_out);
	snprintf(line, sizeof(line), "%d %d %s %d %s", getsid(0) == getpid(),
	    getpgrp() == getpid(), in, strcmp(out, "/dev/null") == 0, new_out);
	_exit(write(report[1], line, strlen(line)) < 0);
}

Test(daemon, leads_a_session_and_keeps_its_output_until_it_is_ready)
{
	char	 line[512];
	ssize_t	 len;
	int	 known = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(dup2(known, STDOUT_FILENO), STDOUT_FILENO);
	cr_expect_eq(wait_for(start(tell_who_we_are)), 0);
	len = read(report[0], line, sizeof(line) - 1);
	line[len > 0 ? len : 0] = '\0';
	cr_expect_str_eq(line, "1 1 /dev/null 0 /dev/null");
}

static void
outlive_the_parent(struct daemon_parent *parent)
{
	pid_t	 pid = getppid();

	kill(pid, SIGKILL);
	while (getppid() == pid)
		sleep_ms(2);
	daemon_ready(parent);
	_exit(write(report[1], "alive", 5) < 0);
}

Test(daemon, goes_on_when_the_waiting_command_was_killed)
{
	char	 text[8] = "";

	cr_expect_eq(wait_for(start(outlive_the_parent)), 128 + SIGKILL);
	cr_expect_eq(read(report[0], text, sizeof(text) - 1), 5);
	cr_expect_str_eq(text, "alive");
}

static void
tell_listen_pid(struct daemon_parent *parent)
{
	const char	*pid = getenv("LISTEN_PID");

	kept = parent;
	_exit(pid != NULL && atoi(pid) == (int)getpid() ? 3 : 1);
}

Test(daemon, takes_the_sockets_that_its_command_was_passed)
{
	char	 text[16];
	pid_t	 pid;

	pid = fork();
	if (pid == 0) {
		die_with_us();
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("LISTEN_PID", text, 1);
		tell_listen_pid(daemon_start(&(struct err){ "" }));
	}
	cr_expect_eq(wait_for(pid), 3);
	setenv("LISTEN_PID", "1", 1);
	cr_expect_eq(wait_for(start(tell_listen_pid)), 1);
}
