/*
 * Workers that a killed master left. They are stand-ins: sleep(1) under the
 * title, or with the environment, that a worker of muster has.
 */
#include <criterion/criterion.h>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "master/survivors.h"

#define MANY	16

static char	 name[48];
static pid_t	 born[MANY];
static int	 nborn;
static int	 sock = -1;	/* what those to come inherit */

static void
setup(void)
{
	snprintf(name, sizeof(name), "left-%d", (int)getpid());
}

static void
teardown(void)
{
	while (nborn > 0) {
		kill(born[--nborn], SIGKILL);
		waitpid(born[nborn], NULL, 0);
	}
}

TestSuite(survivors, .timeout = 30, .init = setup, .fini = teardown);

struct birth {
	const char	*title;		/* NULL: sleep */
	const char	*env[8];	/* "%d" becomes its pid */
	bool		 in_our_group;
	uid_t		 uid;		/* 0: ours */
};

/* Never returns. */
static void
become(const struct birth *birth)
{
	static char	 vars[8][128];
	char		*env[9] = { NULL };
	const char	*title = birth->title == NULL ? "sleep" : birth->title;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!birth->in_our_group)
		setpgid(0, 0);
	if (birth->uid != 0 && setuid(birth->uid) == -1)
		_exit(1);
	for (int i = 0; i < 8 && birth->env[i] != NULL; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(vars[i], sizeof(vars[i]), birth->env[i],
		    (int)getpid());
#pragma GCC diagnostic pop
		env[i] = vars[i];
	}
	if (sock > 3)
		dup2(sock, 3);
	else if (sock == 3)
		fcntl(3, F_SETFD, 0);
	close_range(sock == -1 ? 3 : 4, ~0U, CLOSE_RANGE_CLOEXEC);
	execle("/bin/sleep", title, "30", NULL, env);
	_exit(127);
}

/* Start it; it has become what it is when this returns. */
static pid_t
start(const struct birth *birth)
{
	int	 ends[2];
	char	 byte;
	pid_t	 pid;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		become(birth);
	close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	born[nborn++] = pid;
	return pid;
}

/* The text with our name in the place of "%s". Two at a time. */
static const char *
named(const char *fmt)
{
	static char	 texts[4][128];
	static int	 next;
	const char	*mark = strstr(fmt, "%s");
	char		*text = texts[next++ % 4];

	snprintf(text, sizeof(texts[0]), "%.*s%s%s", (int)(mark - fmt), fmt,
	    name, mark + 2);
	return text;
}

static pid_t
start_worker(const char *title)
{
	struct birth	 birth = { .title = named(title) };

	return start(&birth);
}

static pid_t
start_program(const char *slot, const char *extra)
{
	struct birth	 birth = { .env = { "PATH=/bin",
			    named("MUSTER_NAME=%s"), slot,
			    "MUSTER_GENERATION=7", "MUSTER_MASTER_PID=1",
			    extra } };

	return start(&birth);
}

static struct survivors *
find(void)
{
	struct err		 err = { "" };
	struct survivors	*found = survivors_find(name, &err);

	cr_assert_not_null(found, "%s", err.text);
	return found;
}

static int
listen_tcp(const char *host, int *port)
{
	struct sockaddr_in	 sa = { .sin_family = AF_INET };
	socklen_t		 len = sizeof(sa);
	int			 fd = socket(AF_INET,
				    SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, host, &sa.sin_addr);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	cr_assert_eq(listen(fd, 8), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static ino_t
inode(int fd)
{
	struct stat	 st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

static int
ask(const struct survivors *found, const struct addr *addr, struct err *err)
{
	struct addrinfo		 hints = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo		*info = NULL;
	struct survivors_ask	 ask = { .addr = addr };
	int			 fd;

	if (addr->host != NULL && getaddrinfo(addr->host, NULL, &hints,
	    &info) == 0)
		ask.sa = info->ai_addr;
	fd = survivors_socket(found, &ask, err);
	if (info != NULL)
		freeaddrinfo(info);
	return fd;
}

/* Does this address lead to a socket of theirs? Its inode, or 0. */
static ino_t
taken(const struct survivors *found, const char *text)
{
	struct err	 err = { "" };
	struct addr	 addr;
	ino_t		 ino = 0;
	int		 fd;

	cr_assert_eq(addr_parse(text, &addr, &err), 0, "%s", err.text);
	fd = ask(found, &addr, &err);
	if (fd != -1) {
		cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		ino = inode(fd);
		close(fd);
	} else {
		cr_expect_not_null(strstr(err.text, addr.text), "%s",
		    err.text);
	}
	addr_free(&addr);
	return ino;
}

Test(survivors, none_is_an_empty_list)
{
	struct survivors	*found = find();

	cr_expect_eq(found->count, 0);
	survivors_free(found);
	survivors_free(NULL);
}

Test(survivors, finds_built_in_workers_by_their_title)
{
	pid_t			 three = start_worker(
				    "muster: worker [%s] slot 3 ready");
	pid_t			 zero = start_worker(
				    "muster: worker [%s] slot 0 draining");
	struct survivors	*found;
	struct pollfd		 ended;

	start_worker("muster: worker [%sx] slot 1 ready");
	start_worker("muster: worker [%s] slot -1 ready");
	start_worker("muster: worker [%s] slot 99999999999 ready");
	start_worker("muster: worker [%s] slot 4");
	start_worker(" muster: worker [%s] slot 1 ready");
	found = find();
	cr_assert_eq(found->count, 2);
	cr_expect_eq(found->list[0].pid, zero);
	cr_expect_eq(found->list[0].slot, 0);
	cr_expect_eq(found->list[0].generation, 0);
	cr_expect(!found->list[0].program);
	cr_expect_eq(found->list[0].uid, geteuid());
	cr_expect_eq(found->list[1].pid, three);
	cr_expect_eq(found->list[1].slot, 3);
	cr_expect(found->list[0].leaving && !found->list[1].leaving);
	cr_expect_eq(survivors_slots(found), 1);
	cr_expect(fcntl(found->list[1].pidfd, F_GETFD) & FD_CLOEXEC);
	ended = (struct pollfd){ .fd = found->list[1].pidfd,
	    .events = POLLIN };
	cr_expect_eq(poll(&ended, 1, 0), 0);
	kill(three, SIGKILL);
	cr_expect_eq(poll(&ended, 1, 5000), 1);
	survivors_free(found);
}

Test(survivors, finds_programs_by_what_they_were_started_with)
{
	pid_t			 two = start_program("MUSTER_SLOT=2",
				    "LISTEN_PID=%d");
	pid_t			 five = start_program("MUSTER_SLOT=5",
				    "WATCHDOG_PID=%d");
	struct survivors	*found;

	start_program("MUSTER_SLOT=3", "LISTEN_PID=1");
	start_program("MUSTER_SLOT=4", "WATCHDOG_PID=1");
	start_program("MUSTER_SLOT=6x", NULL);
	start_program("XMUSTER_SLOT=7", NULL);
	found = find();
	cr_assert_eq(found->count, 2);
	cr_expect_eq(found->list[0].pid, two);
	cr_expect_eq(found->list[0].slot, 2);
	cr_expect_eq(found->list[0].generation, 7);
	cr_expect(found->list[0].program);
	cr_expect_eq(found->list[1].pid, five);
	survivors_free(found);
}

Test(survivors, finds_leaders_alone)
{
	struct birth		 member = { .in_our_group = true };
	struct survivors	*found;

	member.title = named("muster: worker [%s] slot 1 ready");
	start(&member);
	found = find();
	cr_expect_eq(found->count, 0);
	survivors_free(found);
}

Test(survivors, leaves_the_dead_alone)
{
	pid_t			 pid = start_worker(
				    "muster: worker [%s] slot 1 ready");
	struct survivors	*found;
	siginfo_t		 info;

	kill(pid, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	found = find();
	cr_expect_eq(found->count, 0);
	survivors_free(found);
}

Test(survivors, are_none_while_their_master_lives)
{
	struct err	 err = { "" };
	pid_t		 master = start_worker("muster: master [%s] running");
	char		 pid[16];

	snprintf(pid, sizeof(pid), "pid %d", (int)master);
	start_worker("muster: worker [%s] slot 1 ready");
	cr_expect_null(survivors_find(name, &err));
	cr_expect_not_null(strstr(err.text, pid), "%s", err.text);
	cr_expect_not_null(strstr(err.text, name), "%s", err.text);
}

Test(survivors, are_not_those_of_another_users_master)
{
	struct birth		 birth = { .uid = 12345 };
	char			 variable[64];
	struct survivors	*found;
	pid_t			 master;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	birth.title = named("muster: master [%s] running");
	master = start(&birth);
	snprintf(variable, sizeof(variable), "MUSTER_MASTER_PID=%d",
	    (int)master);
	birth = (struct birth){ .uid = 12345, .env = {
	    named("MUSTER_NAME=%s"), "MUSTER_SLOT=1", "MUSTER_GENERATION=1",
	    variable } };
	start(&birth);
	birth.env[3] = "MUSTER_MASTER_PID=1";
	start(&birth);
	found = find();
	cr_assert_eq(found->count, 1);
	cr_expect_eq(found->list[0].pid, born[2]);
	cr_expect_eq(found->list[0].uid, 12345);
	survivors_free(found);
}

Test(survivors, hand_over_the_socket_that_listens_at_an_address)
{
	struct survivors	*found;
	char			 text[64], other[64];
	int			 port, dummy;
	ino_t			 ino;

	sock = listen_tcp("127.0.0.1", &dummy);
	start_worker("muster: worker [%s] slot 0 ready");
	close(sock);
	sock = listen_tcp("127.0.0.1", &port);
	ino = inode(sock);
	start_worker("muster: worker [%s] slot 1 ready");
	close(sock);
	sock = -1;
	found = find();
	cr_assert_eq(found->count, 2);
	snprintf(text, sizeof(text), "127.0.0.1:%d", port);
	cr_expect_eq(taken(found, text), ino);
	snprintf(text, sizeof(text), "web=127.0.0.1:%d", port);
	cr_expect_eq(taken(found, text), ino);
	cr_expect_neq(taken(found, "127.0.0.1:0"), 0);
	snprintf(other, sizeof(other), "127.0.0.2:%d", port);
	cr_expect_eq(taken(found, other), 0);
	snprintf(other, sizeof(other), ":%d", port);
	cr_expect_eq(taken(found, other), 0);
	snprintf(other, sizeof(other), "[::1]:%d", port);
	cr_expect_eq(taken(found, other), 0);
	survivors_keep(found, &ino, 1);
	cr_assert_eq(found->count, 1);
	cr_expect_eq(found->list[0].slot, 1);
	survivors_keep(found, NULL, 0);
	cr_expect_eq(found->count, 0);
	survivors_free(found);
}

Test(survivors, hand_over_sockets_of_every_address_and_unix_ones)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	struct survivors	*found;
	char			 text[64];
	int			 port;
	ino_t			 ino;

	sock = listen_tcp("0.0.0.0", &port);
	ino = inode(sock);
	start_worker("muster: worker [%s] slot 0 ready");
	close(sock);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(un.sun_path + 1, name);
	cr_assert_eq(bind(sock, (struct sockaddr *)&un, (socklen_t)(offsetof(
	    struct sockaddr_un, sun_path) + 1 + strlen(name))), 0);
	listen(sock, 8);
	start_worker("muster: worker [%s] slot 1 ready");
	found = find();
	snprintf(text, sizeof(text), ":%d", port);
	cr_expect_eq(taken(found, text), ino);
	cr_expect_eq(taken(found, named("unix:@%s")), inode(sock));
	cr_expect_eq(taken(found, named("unix:@%sx")), 0);
	cr_expect_eq(taken(found, named("unix:/%s")), 0);
	survivors_free(found);
}

Test(survivors, keep_what_does_not_listen)
{
	struct survivors	*found;
	struct sockaddr_in	 sa = { .sin_family = AF_INET };
	socklen_t		 len = sizeof(sa);
	char			 text[64];

	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(sock, (struct sockaddr *)&sa, len), 0);
	cr_assert_eq(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
	start_worker("muster: worker [%s] slot 0 ready");
	found = find();
	cr_assert_eq(found->count, 1);
	snprintf(text, sizeof(text), ":%d", ntohs(sa.sin_port));
	cr_expect_eq(taken(found, text), 0);
	survivors_free(found);
}

static void
as_nobody(const struct survivors *found, int port)
{
	struct err	 err = { "" };
	struct addr	 addr;
	char		 text[64];

	if (setuid(65534) == -1)
		_exit(1);
	snprintf(text, sizeof(text), "127.0.0.1:%d", port);
	if (addr_parse(text, &addr, &err) == -1 ||
	    ask(found, &addr, &err) != -1)
		_exit(2);
	_exit(strstr(err.text, "needs root") == NULL ? 3 : 0);
}

Test(survivors, say_so_if_we_may_not_take_their_sockets)
{
	struct survivors	*found;
	int			 port, status;
	pid_t			 pid;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	sock = listen_tcp("127.0.0.1", &port);
	start_worker("muster: worker [%s] slot 0 ready");
	found = find();
	pid = fork();
	if (pid == 0)
		as_nobody(found, port);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "%x", (unsigned)status);
	survivors_free(found);
}
