#include <criterion/criterion.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <dirent.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/proc.h"
#include "tests/unit/program_rig.h"

/* What a program starts with is what it was given, and nothing else. */

static struct rig	 rig;

static void
setup(void)
{
	prog_open(&rig);
}

static void
teardown(void)
{
	prog_close(&rig);
}

TestSuite(program, .init = setup, .fini = teardown, .timeout = 30);

#define NO_SIGNALS	"0000000000000000"

static bool
is_socket(const char *key, int fd)
{
	char		 text[64];
	struct stat	 st;

	if (fstat(fd, &st) == -1)
		return false;
	snprintf(text, sizeof(text), "socket:[%lu]", (unsigned long)st.st_ino);
	return prog_says(&rig, key, text);
}

/* ---- arguments */

Test(program, arguments_are_taken_as_they_are)
{
	prog_command(&rig, prog_show(), "a b", "", "$HOME", "{", "{}", "{fd}",
	    "{fd:0", "{{name}}", NULL);
	prog_run(&rig);
	cr_expect(prog_says(&rig, "arg.0", prog_show()));
	cr_expect(prog_says(&rig, "arg.1", "a b"));
	cr_expect(prog_says(&rig, "arg.2", ""));
	cr_expect(prog_says(&rig, "arg.3", "$HOME"));
	cr_expect(prog_says(&rig, "arg.4", "{"));
	cr_expect(prog_says(&rig, "arg.5", "{}"));
	cr_expect(prog_says(&rig, "arg.6", "{fd}"));
	cr_expect(prog_says(&rig, "arg.7", "{fd:0"));
	cr_expect(prog_says(&rig, "arg.8", "{{name}}"));
	cr_expect_eq(prog_count(&rig, "arg."), 9);
}

Test(program, placeholders_stand_for_descriptors_and_addresses)
{
	prog_inherit(&rig, prog_socket(&rig, "web"), "admin-1",
	    "unix:/run/a b.sock");
	rig.sockets[1].fd = dup(rig.sockets[0].fd);
	prog_command(&rig, prog_show(), "{fd:0}", "fd://{fd:web},{fd:admin-1}",
	    "tcp://{addr:0}?{addr:1}{fd:1}", "{{fd:1}}", NULL);
	prog_run(&rig);
	cr_expect(prog_says(&rig, "arg.1", "3"));
	cr_expect(prog_says(&rig, "arg.2", "fd://3,4"));
	cr_expect(prog_says(&rig, "arg.3",
	    "tcp://127.0.0.1:8000?unix:/run/a b.sock4"));
	cr_expect(prog_says(&rig, "arg.4", "{4}"));
}

Test(program, a_placeholder_without_a_socket_names_its_word)
{
	static const char *const wrong[] = { "{fd:1}", "{fd:we}", "{fd:webb}",
		"{fd:}", "{fd:-1}", "{fd:99999999999999999999}", "{addr:7}",
		"{fd: 0}" };
	char			 word[64];
	size_t			 i;

	prog_socket(&rig, "web");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(word, sizeof(word), "--a={fd:0},%s", wrong[i]);
		prog_command(&rig, prog_show(), word, NULL);
		cr_expect_not(prog_start(&rig), "%s", word);
		cr_expect_not_null(strstr(rig.text, wrong[i]), "%s", rig.text);
		cr_expect_not_null(strstr(rig.text, word), "%s", rig.text);
	}
}

Test(program, a_placeholder_without_any_socket_says_so)
{
	prog_command(&rig, prog_show(), "x{fd:0}", NULL);
	cr_expect_not(prog_start(&rig));
	cr_expect_str_eq(rig.text,
	    "command: \"{fd:0}\" in \"x{fd:0}\": there is no socket");
}

/* ---- descriptors */

Test(program, sockets_come_from_3_on_in_order_and_nothing_else)
{
	int	 odd[8], i;

	prog_socket(&rig, "a");
	prog_socket(&rig, "b");
	prog_socket(&rig, "c");
	/* As a library would leave them: not marked close-on-exec. */
	for (i = 0; i < 8; i++)
		odd[i] = fcntl(STDERR_FILENO, F_DUPFD, 30 + i * i * i);
	prog_run(&rig);
	for (i = 0; i < 8; i++)
		close(odd[i]);
	cr_expect_eq(prog_count(&rig, "fd."), 6);
	cr_expect(prog_says(&rig, "fd.0", "/dev/null"));
	cr_expect_not_null(strstr(prog_value(&rig, "fd.1"), "memfd:out"));
	cr_expect_not_null(strstr(prog_value(&rig, "fd.2"), "memfd:out"));
	cr_expect(is_socket("fd.3", rig.sockets[0].fd));
	cr_expect(is_socket("fd.4", rig.sockets[1].fd));
	cr_expect(is_socket("fd.5", rig.sockets[2].fd));
}

/*
 * A master whose descriptors have these numbers: its output, /dev/null, its
 * sockets. In a child, without macros of criterion.
 */
static int
start_with_numbers(const int numbers[6])
{
	int	*const fds[6] = { &rig.boot.out_fd, &rig.boot.null_fd,
		    &rig.sockets[0].fd, &rig.sockets[1].fd,
		    &rig.sockets[2].fd, &rig.sockets[3].fd };
	int	 copies[6], i, status;

	for (i = 0; i < 6; i++)
		copies[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, 100);
	close_range(0, 99, 0);
	for (i = 0; i < 6; i++) {
		*fds[i] = numbers[i];
		if (dup3(copies[i], numbers[i], O_CLOEXEC) == -1)
			return 10;
	}
	rig.boot.master_pid = getpid();
	if (!prog_start(&rig) || waitpid(rig.pid, &status, 0) == -1)
		return 11;
	/* The master's own are where they were. */
	for (i = 0; i < 6; i++)
		if (fcntl(numbers[i], F_GETFD) != FD_CLOEXEC)
			return 12;
	return status == 0 ? 0 : 13;
}

static void
expect_order_with_numbers(const int numbers[6])
{
	char	 key[16];
	int	 status, i;
	pid_t	 pid;

	if ((pid = fork()) == 0)
		_exit(start_with_numbers(numbers));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%d", WEXITSTATUS(status));
	prog_read(&rig);
	cr_expect_eq(prog_count(&rig, "fd."), 7);
	cr_expect(prog_says(&rig, "fd.0", "/dev/null"));
	for (i = 0; i < 4; i++) {
		snprintf(key, sizeof(key), "fd.%d", 3 + i);
		cr_expect(is_socket(key, rig.sockets[i].fd), "%s of %d %d %d "
		    "%d", key, numbers[2], numbers[3], numbers[4], numbers[5]);
	}
}

Test(program, any_numbers_of_the_masters_descriptors_will_do)
{
	static const int	 cases[][6] = {
		{ 20, 21, 6, 5, 4, 3 }, { 20, 21, 4, 3, 6, 5 },
		{ 20, 21, 4, 5, 6, 3 }, { 20, 21, 3, 4, 5, 6 },
		{ 3, 4, 5, 6, 7, 8 }, { 5, 6, 3, 4, 8, 7 },
		{ 0, 1, 2, 3, 4, 5 }, { 6, 0, 5, 1, 3, 2 },
		{ 1, 0, 4, 3, 6, 7 }, { 2, 1, 0, 6, 3, 4 },
		{ 99, 98, 50, 7, 6, 5 },
	};
	size_t			 i;

	for (i = 0; i < 4; i++)
		prog_socket(&rig, "x");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_order_with_numbers(cases[i]);
}

Test(program, one_socket_may_be_given_twice)
{
	int	 fd = prog_socket(&rig, "a");

	prog_inherit(&rig, fd, "b", "127.0.0.1:8000");
	prog_run(&rig);
	rig.boot.nsockets = 1;		/* to be closed once */
	cr_expect(is_socket("fd.3", fd));
	cr_expect(is_socket("fd.4", fd));
}

Test(program, stdin_has_the_first_socket_if_asked_for_and_3_too)
{
	prog_socket(&rig, "a");
	prog_socket(&rig, "b");
	rig.conf.worker.sockets = DIALECT_STDIN;
	prog_run(&rig);
	cr_expect(is_socket("fd.0", rig.sockets[0].fd));
	cr_expect(is_socket("fd.3", rig.sockets[0].fd));
	cr_expect(is_socket("fd.4", rig.sockets[1].fd));
	cr_expect_null(prog_value(&rig, "env.LISTEN_FDS"));
}

Test(program, stdin_is_null_if_there_is_no_socket_for_it)
{
	rig.conf.worker.sockets = DIALECT_STDIN;
	prog_run(&rig);
	cr_expect(prog_says(&rig, "fd.0", "/dev/null"));
	cr_expect_eq(prog_count(&rig, "fd."), 3);
}

/* Where a descriptor of the running program leads to. */
static const char *
leads_to(int fd)
{
	static char	 to[256];
	char		 path[64];
	ssize_t		 n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)rig.pid, fd);
	n = readlink(path, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = '\0';
	return to;
}

static void
hold_without_capture(bool daemon)
{
	prog_command(&rig, "sleep", "3600", NULL);
	rig.conf.master.daemon = daemon;
	close(rig.boot.out_fd);
	rig.boot.out_fd = -1;
	cr_assert(prog_start(&rig), "%s", rig.text);
}

Test(program, without_capture_the_output_is_the_masters)
{
	char	 ours[256];
	ssize_t	 n = readlink("/proc/self/fd/2", ours, sizeof(ours) - 1);

	ours[n > 0 ? n : 0] = '\0';
	hold_without_capture(false);
	cr_expect_str_eq(leads_to(2), ours);
	cr_expect_str_eq(leads_to(0), "/dev/null");
	prog_kill(&rig);
}

Test(program, a_daemon_without_capture_lets_go_of_its_starters_output)
{
	hold_without_capture(true);
	cr_expect_str_eq(leads_to(1), "/dev/null");
	cr_expect_str_eq(leads_to(2), "/dev/null");
	prog_kill(&rig);
}

/* ---- signals and the group */

Test(program, dispositions_are_the_defaults_and_the_mask_is_empty)
{
	static const unsigned long	 ignored[16] = { 1 };
	sigset_t			 all;
	int				 signo;

	/* All of them, the two that the C library hides as well. */
	for (signo = 1; signo < NSIG; signo++)
		if (signo != SIGCHLD)
			syscall(SYS_rt_sigaction, signo, ignored, NULL, 8);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prog_run(&rig);
	cr_expect(prog_says(&rig, "SigIgn", NO_SIGNALS));
	cr_expect(prog_says(&rig, "SigBlk", NO_SIGNALS));
	cr_expect(prog_says(&rig, "SigCgt", NO_SIGNALS));
	cr_expect(prog_says(&rig, "SigPnd", NO_SIGNALS));
}

Test(program, the_masters_own_signals_are_as_before)
{
	struct sigaction	 action;
	sigset_t		 mask, before;

	int			 signo;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	prog_run(&rig);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (signo = 1; signo < NSIG; signo++)
		cr_expect_eq(sigismember(&mask, signo), signo == SIGUSR1, "%d",
		    signo);
	sigaction(SIGPIPE, NULL, &action);
	cr_expect_eq(action.sa_handler, SIG_IGN);
	sigaction(SIGTTOU, NULL, &action);
	cr_expect_eq(action.sa_handler, SIG_DFL);
}

Test(program, it_leads_its_own_group_and_is_our_child)
{
	char	 ours[16];

	prog_run(&rig);
	snprintf(ours, sizeof(ours), "%d", (int)getpid());
	cr_expect(prog_says(&rig, "ppid", ours));
	cr_expect(prog_says(&rig, "pgid", prog_value(&rig, "pid")));
}

/* Is TTOU, and only that, ignored by a program with this output? */
static unsigned long long
ignored_with_output(int fd)
{
	char			 path[64], line[256];
	unsigned long long	 ignored = 0;
	FILE			*file;
	int			 saved = rig.boot.out_fd;

	prog_command(&rig, "sleep", "3600", NULL);
	rig.boot.out_fd = fd;
	cr_assert(prog_start(&rig), "%s", rig.text);
	rig.boot.out_fd = saved;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
	cr_assert_not_null(file = fopen(path, "re"));
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "SigIgn: %llx", &ignored) == 1)
			break;
	fclose(file);
	prog_kill(&rig);
	return ignored;
}

Test(program, only_at_a_terminal_TTOU_is_ignored)
{
	int	 master, slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_expect_eq(ignored_with_output(slave), 1ULL << (SIGTTOU - 1));
	cr_expect_eq(ignored_with_output(rig.boot.null_fd), 0ULL);
	close(master);
	close(slave);
}

/* ---- where and who it is */

Test(program, numbers_of_a_process_are_its_own)
{
	prog_socket(&rig, "web");
	rig.boot.mail = "@muster/1/2";
	rig.conf.worker.watchdog = 30000;
	prog_run(&rig);
	cr_expect(prog_says(&rig, "env.LISTEN_PID", prog_value(&rig, "pid")));
	cr_expect(prog_says(&rig, "env.WATCHDOG_PID", prog_value(&rig, "pid")));
	cr_expect(prog_says(&rig, "env.WATCHDOG_USEC", "30000000"));
	cr_expect(prog_says(&rig, "env.NOTIFY_SOCKET", "@muster/1/2"));
}

Test(program, folder_and_umask_are_ours_unless_configured)
{
	cr_assert_eq(chdir("/"), 0);
	umask(031);
	prog_run(&rig);
	cr_expect(prog_says(&rig, "cwd", "/"));
	cr_expect(prog_says(&rig, "umask", "0031"));
	rig.conf.master.umask = 027;
	prog_run(&rig);
	cr_expect(prog_says(&rig, "umask", "0027"));
	cr_expect_eq(umask(0), 031);
}

/* A crash of the master is not to be missed: these go on being delivered. */
Test(program, fault_signals_are_not_blocked_after_a_start)
{
	struct program		*program;
	struct program_failure	 failure;
	struct err		 err;
	sigset_t		 mask;
	pid_t			 pid;

	cr_assert_not_null(program = program_new(&rig.boot, &err));
	proc_hold_signals();
	pid = proc_exec(program, &failure);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	proc_release_signals();
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
	cr_expect_eq(sigismember(&mask, SIGSEGV), 0);
	cr_expect_eq(sigismember(&mask, SIGTERM), 1);
	program_free(program);
}

static int
open_fds(void)
{
	DIR	*dir = opendir("/proc/self/fd");
	int	 count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Cut out what differs by nature. */
static void
blank(char *text, const char *begin)
{
	char	*at = strstr(text, begin);

	cr_assert_not_null(at, "%s", begin);
	for (at += strlen(begin); *at != '\n'; at++)
		*at = '_';
}

static char *
portrait(void)
{
	char	*text, *at;
	size_t	 len = 0;

	prog_run(&rig);
	text = xstrdup(rig.out);
	blank(text, "\npid ");
	blank(text, "\npgid ");
	blank(text, "\nenv.LISTEN_PID ");
	/* Their length may differ. */
	for (at = text; *at != '\0'; at++)
		if (*at != '_')
			text[len++] = *at;
	text[len] = '\0';
	return text;
}

Test(program, the_thousandth_start_is_as_the_first, .timeout = 120)
{
	char	*first, *last;
	int	 i, before;

	prog_socket(&rig, "a");
	prog_socket(&rig, "b");
	first = portrait();
	before = open_fds();
	for (i = 0; i < 998; i++)
		prog_run(&rig);
	last = portrait();
	cr_expect_str_eq(first, last);
	cr_expect_eq(open_fds(), before);
	free(first);
	free(last);
}
