/*
 * Does a worker use what it inherited? The workers are children that wait in
 * one way each; what they inherit lies on fd 3.
 */
#include <criterion/criterion.h>

#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/probe.h"

#define OURS	3
#define ALSO	4	/* another listening socket, of its own */
#define CLIENT	5	/* where the worker has got a client */

static int	 ours = -1, also = -1;
static int	 ready[2];
static pid_t	 worker;
static char	 elsewhere[128];

TestSuite(probe, .timeout = 30);

static int
listen_at(const char *host, int family)
{
	struct sockaddr_storage	 ss;
	int			 fd = socket(family,
				    SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&ss, 0, sizeof(ss));
	ss.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		inet_pton(family, host,
		    &((struct sockaddr_in *)(void *)&ss)->sin_addr);
	else
		inet_pton(family, host,
		    &((struct sockaddr_in6 *)(void *)&ss)->sin6_addr);
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, family == AF_INET ?
	    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	return fd;
}

static int
port_of(int fd)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	return ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port);
}

static int
connect_local(int port)
{
	struct sockaddr_in	 sa = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int			 fd = socket(AF_INET,
				    SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* In the child: it has come as far as the test wants it. */
static void
say_ready(void)
{
	if (write(ready[1], "x", 1) != 1)
		_exit(1);
}

/* The child's descriptors: 0 to 2, ours, also, and the pipe above. */
static void
arrange(void)
{
	int	 high[3] = { ours, also, ready[1] };

	for (int i = 0; i < 3; i++)
		if (high[i] != -1)
			high[i] = fcntl(high[i], F_DUPFD, 500);
	close_range(3, 499, 0);
	if (ours != -1)
		dup2(high[0], OURS);
	if (also != -1)
		dup2(high[1], ALSO);
	ready[1] = dup2(high[2], 10);
	close_range(11, ~0U, 0);
}

static void
start(void (*body)(void))
{
	char	 byte;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	worker = fork();
	if (worker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		arrange();
		body();
		_exit(0);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static enum probe_result
look(void)
{
	struct stat	 st;

	cr_assert_eq(fstat(ours, &st), 0);
	return probe_worker(worker, &st.st_ino, 1, elsewhere,
	    sizeof(elsewhere));
}

static void
end(void)
{
	kill(-worker, SIGKILL);
	waitpid(worker, NULL, 0);
}

/* It takes a moment until it sleeps where it shall: until then UNKNOWN. */
static enum probe_result
result_of(void (*body)(void))
{
	enum probe_result	 result = PROBE_UNKNOWN;

	if (ours == -1)
		ours = listen_at("127.0.0.1", AF_INET);
	start(body);
	for (int i = 0; i < 100 && result == PROBE_UNKNOWN; i++) {
		usleep(20000);
		result = look();
	}
	end();
	return result;
}

/* UNKNOWN, and it stays so. */
static bool
stays_unknown(void (*body)(void))
{
	bool	 unknown = true;

	if (ours == -1)
		ours = listen_at("127.0.0.1", AF_INET);
	start(body);
	for (int i = 0; i < 15 && unknown; i++) {
		usleep(20000);
		unknown = look() == PROBE_UNKNOWN;
	}
	cr_expect_str_eq(elsewhere, "");
	end();
	return unknown;
}

/* ---- those who use it */

static void
body_accept(void)
{
	int	 fd = dup2(OURS, 77);

	say_ready();
	accept(fd, NULL, NULL);
}

static void
body_poll(void)
{
	struct pollfd	 list[2] = { { 0, POLLIN, 0 }, { OURS, POLLIN, 0 } };

	say_ready();
	list[0].fd = -1;
	poll(list, 2, -1);
}

static void
body_select(void)
{
	fd_set	 set;

	FD_ZERO(&set);
	FD_SET(OURS, &set);
	say_ready();
	select(OURS + 1, &set, NULL, NULL, NULL);
}

/* The instance alone shows it: it waits for something else. */
static void
body_epoll(void)
{
	struct epoll_event	 event = { .events = EPOLLIN };

	epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, OURS, &event);
	say_ready();
	pause();
}

static void *
thread_accept(void *arg)
{
	accept(OURS, NULL, NULL);
	return arg;
}

static void
body_thread(void)
{
	pthread_t	 thread;

	pthread_create(&thread, NULL, thread_accept, NULL);
	say_ready();
	pthread_join(thread, NULL);
}

static void
body_grandchild(void)
{
	pid_t	 pid = fork();

	if (pid == 0 && fork() == 0)
		body_accept();
	close(OURS);
	waitpid(pid, NULL, 0);
}

/* Its parent ends at once: it is a child of the subreaper then. */
static void
body_orphan(void)
{
	pid_t	 pid = fork();

	if (pid == 0) {
		if (fork() == 0) {
			usleep(100000);
			body_accept();
		}
		_exit(0);
	}
	close(OURS);
	waitpid(pid, NULL, 0);
	pause();
}

/* It serves one client and does not accept meanwhile. */
static void
body_serving(void)
{
	char	 byte;
	int	 fd;

	say_ready();
	fd = accept(OURS, NULL, NULL);
	recv(fd, &byte, 1, 0);
}

Test(probe, knows_who_accepts_polls_selects_or_watches)
{
	cr_expect_eq(result_of(body_accept), PROBE_USED);
	cr_expect_eq(result_of(body_poll), PROBE_USED);
	cr_expect_eq(result_of(body_select), PROBE_USED);
	cr_expect_eq(result_of(body_epoll), PROBE_USED);
	cr_expect_str_eq(elsewhere, "");
}

Test(probe, looks_at_threads_children_and_orphans_too)
{
	cr_expect_eq(result_of(body_thread), PROBE_USED);
	cr_expect_eq(result_of(body_grandchild), PROBE_USED);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cr_expect_eq(result_of(body_orphan), PROBE_USED);
}

Test(probe, sees_that_a_client_came_from_there)
{
	int	 client, port;

	ours = listen_at("127.0.0.1", AF_INET);
	port = port_of(ours);
	also = listen_at("127.0.0.1", AF_INET);
	client = connect_local(port);
	cr_expect_eq(result_of(body_serving), PROBE_USED);
	close(client);
}

/* ---- those who do not */

static void
body_other_poll(void)
{
	struct pollfd	 list = { ALSO, POLLIN, 0 };

	say_ready();
	poll(&list, 1, -1);
}

static void
body_other_epoll(void)
{
	struct epoll_event	 event = { .events = EPOLLIN };
	int			 epoll = epoll_create1(0);

	epoll_ctl(epoll, EPOLL_CTL_ADD, ALSO, &event);
	say_ready();
	epoll_wait(epoll, &event, 1, -1);
}

static void
body_other_nap(void)
{
	say_ready();
	sleep(20);
}

static void
body_nothing(void)
{
	close(OURS);
	say_ready();
	sleep(20);
}

static void
body_pause(void)
{
	say_ready();
	pause();
}

/* Nor does it say anything that it has a connection of another origin. */
static void
body_client(void)
{
	struct pollfd	 list = { ALSO, POLLIN, 0 };

	fcntl(dup2(ALSO, CLIENT), F_SETFD, 0);
	say_ready();
	poll(&list, 1, -1);
}

Test(probe, finds_where_it_listens_instead)
{
	char	 text[64];

	also = listen_at("127.0.0.1", AF_INET);
	snprintf(text, sizeof(text), "127.0.0.1:%d", port_of(also));
	cr_expect_eq(result_of(body_other_poll), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, text);
	cr_expect_eq(result_of(body_other_epoll), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, text);
	cr_expect_eq(result_of(body_other_nap), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, text);
	close(also);
	also = listen_at("::1", AF_INET6);
	snprintf(text, sizeof(text), "[::1]:%d", port_of(also));
	cr_expect_eq(result_of(body_other_poll), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, text);
}

Test(probe, finds_that_it_listens_nowhere)
{
	cr_expect_eq(result_of(body_nothing), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, "");
	cr_expect_eq(result_of(body_pause), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, "");
}

Test(probe, does_not_take_every_connection_for_a_client)
{
	int	 other = listen_at("127.0.0.1", AF_INET);

	also = connect_local(port_of(other));
	cr_expect_eq(result_of(body_client), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, "");
	close(other);
}

Test(probe, writes_no_more_than_there_is_room_for)
{
	struct stat	 st;
	char		 small[8] = "abcdefg";

	ours = listen_at("127.0.0.1", AF_INET);
	also = listen_at("127.0.0.1", AF_INET);
	cr_assert_eq(fstat(ours, &st), 0);
	start(body_other_poll);
	for (int i = 0; i < 100; i++) {
		usleep(20000);
		if (probe_worker(worker, &st.st_ino, 1, small, 4) ==
		    PROBE_UNUSED)
			break;
	}
	cr_expect_str_eq(small, "");
	cr_expect_eq(memcmp(small + 4, "efg", 4), 0);
	end();
}

/* ---- those of whom nothing certain can be said */

static void
body_busy(void)
{
	volatile int	 n = 0;

	say_ready();
	while (n >= 0)
		n ^= 1;
}

static void
body_lock(void)
{
	char	 path[] = "/tmp/muster-probe-XXXXXX";
	int	 fd = mkstemp(path), again = open(path, O_RDWR);

	unlink(path);
	if (fork() == 0) {
		close(OURS);
		flock(fd, LOCK_EX);
		pause();
	}
	usleep(100000);
	say_ready();
	flock(again, LOCK_EX);
}

static void
body_ring(void)
{
	struct io_uring_params	 params;

	memset(&params, 0, sizeof(params));
	if (syscall(SYS_io_uring_setup, 8, &params) == -1)
		body_busy();
	say_ready();
	pause();
}

static void
body_many(void)
{
	struct rlimit	 limit = { 2048, 2048 };

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < 1100; i++)
		if (dup(0) == -1)
			_exit(1);
	say_ready();
	pause();
}

static void
body_crowd(void)
{
	for (int i = 0; i < 70; i++)
		if (fork() == 0)
			pause();
	say_ready();
	pause();
}

static void
body_nobody(void)
{
	if (setuid(65534) == -1)
		_exit(1);
	body_other_poll();
}

Test(probe, does_not_judge_who_may_look_between_two_naps_or_is_busy)
{
	cr_expect(stays_unknown(body_other_nap));
	cr_expect(stays_unknown(body_busy));
	cr_expect(stays_unknown(body_lock));
}

Test(probe, does_not_judge_what_it_cannot_see)
{
	cr_expect(stays_unknown(body_ring));
	cr_expect(stays_unknown(body_many));
	cr_expect(stays_unknown(body_crowd));
}

Test(probe, does_not_judge_who_has_a_client_of_a_unix_socket)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	socklen_t		 len;
	int			 client;

	snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "probe-%d",
	    (int)getpid());
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    strlen(un.sun_path + 1));
	ours = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(ours, (struct sockaddr *)&un, len), 0);
	listen(ours, 8);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&un, len), 0);
	cr_expect(stays_unknown(body_serving));
	close(client);
}

static void
body_nobody_epoll(void)
{
	if (setuid(65534) == -1)
		_exit(1);
	body_other_epoll();
}

/* Their sockets are not copied: the kernel's tables know them. */
Test(probe, finds_where_another_users_listens_instead)
{
	char	 text[64];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	also = listen_at("127.0.0.1", AF_INET);
	snprintf(text, sizeof(text), "127.0.0.1:%d", port_of(also));
	cr_expect_eq(result_of(body_nobody_epoll), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, text);
	close(also);
	also = listen_at("::1", AF_INET6);
	snprintf(text, sizeof(text), "[::1]:%d", port_of(also));
	cr_expect_eq(result_of(body_nobody_epoll), PROBE_UNUSED);
	cr_expect_str_eq(elsewhere, text);
}

Test(probe, reads_no_memory_of_another_user)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	also = listen_at("127.0.0.1", AF_INET);
	cr_expect(stays_unknown(body_nobody));
}

Test(probe, does_not_judge_the_dead)
{
	struct stat	 st;
	siginfo_t	 info;

	ours = listen_at("127.0.0.1", AF_INET);
	start(body_pause);
	kill(worker, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)worker, &info, WEXITED | WNOWAIT), 0);
	cr_expect_eq(look(), PROBE_UNKNOWN);
	waitpid(worker, NULL, 0);
	cr_expect_eq(look(), PROBE_UNKNOWN);
	cr_assert_eq(fstat(ours, &st), 0);
	cr_expect_eq(probe_worker(getpid(), &st.st_ino, 0, elsewhere,
	    sizeof(elsewhere)), PROBE_UNKNOWN);
}
