#include <criterion/criterion.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/mem.h"
#include "master/acks.h"
#include "tests/unit/log_rig.h"

#define READY	"{\"command\":\"worker:ack\",\"pid\":712}\n"

enum { STRANGER = 4711 };

static struct event_base	*base;
static struct acks		*acks;
static int			 said;
static pid_t			 said_by;
static struct ack		*to_close;
static char			 dir[] = "/tmp/muster-acks.XXXXXX";

static void
on_said(void *arg, pid_t worker)
{
	(void)arg;
	said++;
	said_by = worker;
	if (to_close != NULL)
		ack_close(to_close);
	to_close = NULL;
}

static void
setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	chmod(dir, 0755);
	setenv("RUNTIME_DIRECTORY", dir, 1);
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	event_base_priority_init(base, 3);
	acks = acks_new(base, 1, on_said, NULL);
}

static void
teardown(void)
{
	acks_free(acks);
	event_base_free(base);
	cr_expect_eq(rmdir(dir), 0, "%s is not empty", dir);
}

TestSuite(acks, .init = setup, .fini = teardown, .timeout = 30);

static struct ack *
ack_of(pid_t worker, uid_t uid)
{
	struct err	 err;
	struct ack	*ack = ack_open(acks, uid, &err);

	cr_assert_not_null(ack, "%s", err.text);
	ack_own(ack, worker);
	return ack;
}

/* All that can be done without waiting. */
static void
turns(void)
{
	int	 i;

	for (i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* -1 with errno. */
static int
connect_to(const char *path)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 saved, fd;

	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int
say(const char *path, const char *text)
{
	int	 fd = connect_to(path);

	if (fd == -1 || send(fd, text, strlen(text), MSG_NOSIGNAL) == -1)
		return -1;
	return fd;
}

static bool
is_closed(int fd)
{
	struct pollfd	 p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* ---- */

Test(acks, a_worker_that_says_so_is_ready_and_gets_no_answer)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	int		 fd = say(ack_path(ack), READY);
	char		 byte;

	turns();
	cr_expect_eq(said, 1);
	cr_expect_eq(said_by, getpid());
	cr_expect_eq(read(fd, &byte, 1), 0);
	close(fd);
}

Test(acks, a_line_may_come_in_pieces_and_its_sender_may_go)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	int		 fd = connect_to(ack_path(ack));
	const char	*p;

	for (p = READY; *p != '\0'; p++) {
		cr_expect_eq(said, 0);
		cr_assert_eq(send(fd, p, 1, MSG_NOSIGNAL), 1);
		turns();
	}
	cr_expect_eq(said, 1);
	close(fd);
	close(say(ack_path(ack), READY));
	turns();
	cr_expect_eq(said, 2);
}

Test(acks, anything_else_is_closed_without_effect)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	static const char *const lines[] = { "\n", "READY=1\n", "{}\n",
		"{\"command\":\"state\"}\n" };
	char		 text[1100];
	int		 fd;
	size_t		 i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		fd = say(ack_path(ack), lines[i]);
		turns();
		cr_expect(is_closed(fd));
		close(fd);
	}
	memset(text, ' ', sizeof(text));
	strcpy(text + 1024 + 1 - sizeof(READY), READY);
	fd = say(ack_path(ack), text);
	turns();
	cr_expect(is_closed(fd));
	cr_expect_eq(said, 1, "a line of 1 KiB is read");
	close(fd);
	memset(text, ' ', sizeof(text));
	strcpy(text + 1024 + 2 - sizeof(READY), READY);
	fd = say(ack_path(ack), text);
	turns();
	cr_expect(is_closed(fd));
	cr_expect_eq(said, 1, "a longer one is not");
	close(fd);
	close(say(ack_path(ack), "{\"command\":\"worker:ack\",\"pid\":712}"));
	turns();
	cr_expect_eq(said, 1, "no line");
}

Test(acks, only_the_worker_and_root_can_connect)
{
	struct ack	*ack = ack_of(getpid(), STRANGER);
	struct stat	 st;
	char		*folder = xstrdup(ack_path(ack));
	int		 code;
	pid_t		 pid;

	if (getuid() != 0)
		cr_skip_test("needs root");
	stat(ack_path(ack), &st);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(st.st_uid, STRANGER);
	*strrchr(folder, '/') = '\0';
	stat(folder, &st);
	cr_expect_eq(st.st_mode & 07777, 0711);
	for (uid_t uid = STRANGER; uid < STRANGER + 2; uid++) {
		if ((pid = fork()) == 0) {
			if (setresuid(uid, uid, uid) == -1)
				_exit(1);
			_exit(say(ack_path(ack), READY) != -1 ? 0 :
			    errno == EACCES ? 13 : 2);
		}
		waitpid(pid, &code, 0);
		cr_expect_eq(WEXITSTATUS(code), uid == STRANGER ? 0 : 13);
	}
	turns();
	cr_expect_eq(said, 1);
	free(folder);
}

Test(acks, a_stranger_of_the_same_uid_is_not_heard)
{
	pid_t		 worker = fork(), other;
	struct ack	*ack;
	siginfo_t	 info;

	if (worker == 0)
		for (;;)
			pause();
	ack = ack_of(worker, getuid());
	if ((other = fork()) == 0) {
		say(ack_path(ack), READY);
		_exit(0);
	}
	waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT);
	turns();
	cr_expect_eq(said, 0);
	kill(worker, SIGKILL);
	while (wait(NULL) != -1)
		;
}

Test(acks, what_comes_before_it_is_owned_waits)
{
	struct err	 err;
	struct ack	*ack = ack_open(acks, getuid(), &err);
	int		 fd = say(ack_path(ack), READY);

	turns();
	cr_expect_eq(said, 0);
	ack_own(ack, getpid());
	turns();
	cr_expect_eq(said, 1);
	close(fd);
}

Test(acks, four_are_heard_at_a_time_and_the_next_when_one_ends)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	int		 fds[4], i, fd;

	for (i = 0; i < 4; i++)
		fds[i] = connect_to(ack_path(ack));
	fd = say(ack_path(ack), READY);
	turns();
	cr_expect_eq(said, 0);
	close(fds[2]);
	turns();
	cr_expect_eq(said, 1);
	close(fd);
	for (i = 0; i < 4; i++)
		if (i != 2)
			close(fds[i]);
}

/* A byte from time to time does not prolong it. */
Test(acks, who_says_nothing_is_closed_after_five_seconds)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	int		 silent = connect_to(ack_path(ack));
	int		 slow = connect_to(ack_path(ack));
	int64_t		 begin = clock_now_ms(), took = 0;

	while (took < 8000 && !(is_closed(silent) && is_closed(slow))) {
		turns();
		cr_expect(took < 6000);
		send(slow, " ", 1, MSG_NOSIGNAL);
		usleep(50000);
		took = clock_now_ms() - begin;
	}
	cr_expect_gt(took, 4500);
	cr_expect_lt(took, 7000);
	close(silent);
	close(slow);
}

Test(acks, without_descriptors_it_waits_and_does_not_spin)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	struct rlimit	 limit, low;
	struct rusage	 before, after;
	int		 fd = say(ack_path(ack), READY);
	int64_t		 begin = clock_now_ms();

	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = (rlim_t)fd;
	setrlimit(RLIMIT_NOFILE, &low);
	getrusage(RUSAGE_SELF, &before);
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect_eq(said, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	while (said == 0 && clock_now_ms() - begin < 5000)
		event_base_loop(base, EVLOOP_ONCE);
	getrusage(RUSAGE_SELF, &after);
	cr_expect_eq(said, 1);
	cr_expect_gt(clock_now_ms() - begin, 800);
	cr_expect_lt((after.ru_utime.tv_sec - before.ru_utime.tv_sec) *
	    1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec, 200000);
	close(fd);
}

Test(acks, it_can_be_closed_by_what_is_said)
{
	struct ack	*ack = ack_of(getpid(), getuid());
	char		*path = xstrdup(ack_path(ack));
	int		 a = say(path, READY), b = say(path, READY);
	int		 c = connect_to(path);

	to_close = ack;
	turns();
	cr_expect_eq(said, 1);
	cr_expect_eq(access(path, F_OK), -1);
	cr_expect_eq(connect_to(path), -1);
	close(a);
	close(b);
	close(c);
	free(path);
}

/* ---- the folder */

Test(acks, one_folder_serves_all_and_goes_with_the_last)
{
	struct ack	*a = ack_of(1001, getuid()), *b = ack_of(1002, getuid());
	char		*folder = xstrdup(ack_path(a));

	*strrchr(folder, '/') = '\0';
	cr_expect_eq(strncmp(folder, ack_path(b), strlen(folder)), 0);
	cr_expect_str_neq(ack_path(a), ack_path(b));
	acks_free(acks);
	cr_expect_eq(access(folder, F_OK), -1);
	acks = acks_new(base, 1, on_said, NULL);
	free(folder);
}

Test(acks, the_first_place_where_it_can_be_is_taken)
{
	char	*text = xasprintf("%s:/nowhere", dir);

	setenv("RUNTIME_DIRECTORY", text, 1);
	cr_expect_eq(strncmp(ack_path(ack_of(1001, getuid())), dir,
	    strlen(dir)), 0);
	acks_free(acks);
	acks = acks_new(base, 1, on_said, NULL);
	setenv("RUNTIME_DIRECTORY", "/nowhere", 1);
	setenv("XDG_RUNTIME_DIR", dir, 1);
	free(text);
	text = xasprintf("%s/muster", dir);
	cr_expect_eq(strncmp(ack_path(ack_of(1001, getuid())), text,
	    strlen(text)), 0);
	acks_free(acks);
	acks = acks_new(base, 1, on_said, NULL);
	/* Others could write there. */
	chmod(text, 0777);
	cr_expect_neq(strncmp(ack_path(ack_of(1001, getuid())), text,
	    strlen(text)), 0);
	rmdir(text);
	free(text);
}

Test(acks, a_place_whose_path_is_too_long_is_passed_over)
{
	char	 path[200];

	snprintf(path, sizeof(path), "%s/%0100d", dir, 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	setenv("RUNTIME_DIRECTORY", path, 1);
	cr_expect_neq(strncmp(ack_path(ack_of(1001, getuid())), path,
	    strlen(path)), 0);
	rmdir(path);
}

/* ---- across an exec */

/* Another struct over the same descriptor, as after an exec. */
Test(acks, it_outlives_an_exec_with_who_had_connected)
{
	struct ack	*old = ack_of(getpid(), getuid()), *ack;
	struct acks	*again = acks_new(base, 1, on_said, NULL);
	struct err	 err;
	char		*path = xstrdup(ack_path(old));
	int		 fd = dup(ack_fd(old));
	int		 client = say(path, READY);

	cr_expect_null(ack_restore(acks, fd, getpid(), getuid(), &err));
	ack = ack_restore(again, fd, getpid(), getuid(), &err);
	cr_assert_not_null(ack, "%s", err.text);
	cr_expect_str_eq(ack_path(ack), path);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	turns();
	cr_expect_eq(said, 1);
	ack = ack_open(again, getuid(), &err);
	cr_expect_str_eq(strrchr(ack_path(ack), '/'), "/2");
	acks_free(again);
	cr_expect_eq(access(path, F_OK), -1);
	close(client);
	free(path);
}

Test(acks, only_a_socket_of_ours_is_taken_over)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	struct err		 err;
	int			 fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/1", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_expect_null(ack_restore(acks, fd, 5, 0, &err));
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_expect_null(ack_restore(acks, fd, 5, 0, &err));
	cr_expect_null(ack_restore(acks, -1, 5, 0, &err));
	cr_expect_null(ack_restore(acks, 0, 5, 0, &err));
	close(fd);
	unlink(sun.sun_path);
}
