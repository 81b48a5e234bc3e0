#include <criterion/criterion.h>

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sockets.h"

/*
 * Sockets that we are born with lie on numbers of others' choice, where the
 * test's own descriptors may be: such tests run in a child, whose exit code is
 * the line of the first thing that was not so.
 */
TestSuite(listener_inherit, .init = sockets_setup, .fini = sockets_teardown,
    .timeout = 30);

#define MUST(what)	do { if (!(what)) _exit(__LINE__ % 256); } while (0)

static int
run(void (*body)(void))
{
	pid_t	 pid = fork();
	int	 status;

	if (pid == 0) {
		alarm(10);
		body();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A listening socket on the number at, with close-on-exec off. */
static void
put_listener(int at)
{
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in	 sin = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(
				    INADDR_LOOPBACK) };

	MUST(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	MUST(listen(fd, 16) == 0);
	if (fd != at) {
		MUST(dup2(fd, at) == at);
		close(fd);
	}
}

static void
pass(const char *fds, const char *names)
{
	char	 pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", fds, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
}

static bool
fails(struct conf *conf, const char *text)
{
	struct err	 err = { "" };

	return listeners_open(conf, NULL, &err) == NULL &&
	    strstr(err.text, text) != NULL;
}

static void
adopt_fd(void)
{
	struct listener_set	*ls;
	struct inherited	 in[2];
	struct err		 err;

	put_listener(20);
	ls = listeners_open(with_bind("127.0.0.1:0", "web=fd:20", NULL), NULL,
	    &err);
	MUST(ls != NULL);
	MUST(listeners_for_slot(ls, 0, in, 2, &err) == 2);
	MUST(in[1].fd == 20 && strcmp(in[1].name, "web") == 0);
	MUST(strncmp(in[1].text, "127.0.0.1:", 10) == 0);
	MUST(fcntl(20, F_GETFD) & FD_CLOEXEC);
	MUST(fcntl(20, F_GETFL) & O_NONBLOCK);
	MUST(connect_to(in[1].text, 1000) != -1);

	listeners_refuse_all();		/* its owner keeps it */
	MUST(accepts(20));
	MUST(connect_to(in[1].text, 1000) != -1);
	listener_set_drop(ls);
	MUST(fcntl(20, F_GETFD) == -1);
}

Test(listener_inherit, adopts_a_listening_socket)
{
	cr_expect_eq(run(adopt_fd), 0);
	cr_expect_eq(logged("fd=20"), 1);
}

static void
adopt_stdin(void)
{
	struct listener_set	*ls;
	struct inherited	 in;
	struct err		 err;

	put_listener(0);
	ls = listeners_open(with_bind("fd:0", NULL), NULL, &err);
	MUST(ls != NULL);
	MUST(listeners_for_slot(ls, 0, &in, 1, &err) == 1);
	MUST(in.fd > 2);
	MUST(connect_to(in.text, 1000) != -1);
	MUST(accepts(in.fd));
	listener_set_drop(ls);
}

Test(listener_inherit, moves_a_socket_off_the_place_of_stdin)
{
	cr_expect_eq(run(adopt_stdin), 0);
}

static void
adopt_unfit(void)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	int			 pair[2];

	MUST(dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 20) == 20);
	MUST(fails(with_bind("fd:20", NULL),
	    "cannot listen on fd:20: it is no socket"));
	close(20);
	MUST(fails(with_bind("fd:20", NULL), "fd:20: it is not open"));
	MUST(dup2(socket(AF_INET, SOCK_DGRAM, 0), 20) == 20);
	MUST(fails(with_bind("fd:20", NULL), "fd:20: it is no stream socket"));
	MUST(dup2(socket(AF_INET, SOCK_STREAM, 0), 20) == 20);
	MUST(bind(20, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	MUST(fails(with_bind("fd:20", NULL), "fd:20: it does not listen"));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	MUST(dup2(pair[0], 20) == 20);
	MUST(fails(with_bind("fd:20", NULL), "fd:20: it does not listen"));
	MUST(dup2(socket(AF_NETLINK, SOCK_RAW, 0), 20) == 20);
	MUST(fails(with_bind("fd:20", NULL), "fd:20: it is no socket of TCP"));
	put_listener(20);
	MUST(fails(with_bind("fd:20", "fd:20", NULL), "given twice"));
}

Test(listener_inherit, says_why_a_descriptor_will_not_do)
{
	cr_expect_eq(run(adopt_unfit), 0);
}

/* The first socket opened would get the number that was asked for. */
static void
adopt_what_we_open(void)
{
	int	 next = dup(0);
	char	 text[16];

	close(next);
	snprintf(text, sizeof(text), "fd:%d", next);
	MUST(fails(with_bind("127.0.0.1:0", text, NULL), "it is not open"));
}

Test(listener_inherit, does_not_take_its_own_socket_for_an_inherited_one)
{
	cr_expect_eq(run(adopt_what_we_open), 0);
}

static struct conf *
with_default(void)
{
	struct conf	*conf = with_bind("default=127.0.0.1:0", NULL);

	conf->listen.bind_given = false;
	return conf;
}

static void
adopt_passed(void)
{
	struct listener_set	*ls;
	struct inherited	 in[2];
	struct err		 err = { "" };

	put_listener(3);
	put_listener(4);
	pass("2", "web:");
	ls = listeners_open(with_default(), NULL, &err);
	MUST(ls != NULL);
	MUST(listeners_for_slot(ls, 0, in, 2, &err) == 2);
	MUST(in[0].fd == 3 && strcmp(in[0].name, "web") == 0);
	MUST(in[1].fd == 4 && strncmp(in[1].name, "127.0.0.1_", 10) == 0);
	MUST(strncmp(in[1].text, "127.0.0.1:", 10) == 0);
	MUST(getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL);
	MUST(getenv("LISTEN_FDNAMES") == NULL);
	listener_set_drop(ls);
}

Test(listener_inherit, uses_what_the_service_manager_passed)
{
	cr_expect_eq(run(adopt_passed), 0);
}

static void
close_passed(void)
{
	struct listener_set	*ls;
	struct inherited	 in[2];
	struct err		 err = { "" };

	for (int fd = 3; fd <= 6; fd++)
		put_listener(fd);
	pass("3", NULL);
	ls = listeners_open(with_bind("127.0.0.1:0", "fd:4", NULL), NULL, &err);
	MUST(ls != NULL);
	MUST(listeners_for_slot(ls, 0, in, 2, &err) == 2);
	MUST(in[1].fd == 4);		/* asked for by its number */
	MUST(in[0].fd == 3);		/* closed, and free for the next */
	MUST(sockopt(5, SOL_SOCKET, SO_ACCEPTCONN) == -1);
	MUST(sockopt(6, SOL_SOCKET, SO_ACCEPTCONN) == 1);
	MUST(getenv("LISTEN_FDS") == NULL);
	listener_set_drop(ls);
}

Test(listener_inherit, closes_what_was_passed_where_bind_is_given)
{
	cr_expect_eq(run(close_passed), 0);
	cr_expect_eq(logged("listen.note"), 1);
	cr_expect_eq(logged("closed the 2 sockets"), 1);
}

static void
pass_to_another(void)
{
	struct listener_set	*ls;
	struct inherited	 in;
	struct err		 err = { "" };

	put_listener(3);
	pass("1", NULL);
	setenv("LISTEN_PID", "1", 1);
	ls = listeners_open(with_default(), NULL, &err);
	MUST(ls != NULL);
	MUST(listeners_for_slot(ls, 0, &in, 1, &err) == 1);
	MUST(in.fd != 3 && strcmp(in.name, "default") == 0);
	MUST(getenv("LISTEN_FDS") == NULL);
	listener_set_drop(ls);
}

Test(listener_inherit, leaves_what_was_passed_to_another_process)
{
	cr_expect_eq(run(pass_to_another), 0);
	cr_expect_eq(logged("listen.note"), 0);
}

static void
pass_nonsense(void)
{
	static const char	*const counts[] = { "", "abc", "-1", "1x",
				    "99999999999999999999", "2147483647000",
				    " 1", "+1", "0x1" };
	struct listener_set	*ls;
	struct inherited	 in;
	struct err		 err = { "" };
	int			 fds = count_fds();

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		pass(counts[i], NULL);
		ls = listeners_open(with_default(), NULL, &err);
		MUST(ls != NULL);
		MUST(listeners_for_slot(ls, 0, &in, 1, &err) == 1);
		MUST(strcmp(in.name, "default") == 0);
		listener_set_drop(ls);
		MUST(count_fds() == fds);
	}
	/* a count that is a number, but a lie, must not close our files */
	pass("2147483640", NULL);
	ls = listeners_open(with_bind("127.0.0.1:0", NULL), NULL, &err);
	MUST(ls != NULL);
	listener_set_drop(ls);
	MUST(count_fds() == fds);
	setenv("LISTEN_PID", "self", 1);
	setenv("LISTEN_FDS", "1", 1);
	ls = listeners_open(with_default(), NULL, &err);
	MUST(ls != NULL);
	listener_set_drop(ls);
}

Test(listener_inherit, survives_nonsense_in_the_variables)
{
	cr_expect_eq(run(pass_nonsense), 0);
	cr_expect_eq(logged("LISTEN_FDS=abc is no number of sockets"), 1);
	cr_expect_eq(logged("listen.note"), 10);
	cr_expect_eq(logged("LISTEN_PID=self is no pid"), 1);
}

static void
pass_too_few(void)
{
	put_listener(3);
	close(4);
	pass("2", "a:b");
	MUST(fails(with_default(),
	    "cannot listen on fd:4, passed in LISTEN_FDS: it is not open"));
	MUST(sockopt(3, SOL_SOCKET, SO_ACCEPTCONN) == -1);
}

Test(listener_inherit, refuses_a_count_beyond_what_was_passed)
{
	cr_expect_eq(run(pass_too_few), 0);
}

static void
pass_bad_names(void)
{
	struct listener_set	*ls;
	struct inherited	 in[3];
	struct err		 err = { "" };

	for (int fd = 3; fd <= 5; fd++)
		put_listener(fd);
	pass("3", "a b:\n:ok:more:and more");
	ls = listeners_open(with_default(), NULL, &err);
	MUST(ls != NULL);
	MUST(listeners_for_slot(ls, 0, in, 3, &err) == 3);
	MUST(strncmp(in[0].name, "127.0.0.1_", 10) == 0);
	MUST(strncmp(in[1].name, "127.0.0.1_", 10) == 0);
	MUST(strcmp(in[2].name, "ok") == 0);
	listener_set_drop(ls);
}

Test(listener_inherit, makes_names_where_the_given_ones_are_none)
{
	cr_expect_eq(run(pass_bad_names), 0);
}

static void
keep_passed(void)
{
	struct listener_set	*old, *now, *again;
	struct inherited	 in[2];
	struct err		 err = { "" };

	put_listener(3);
	put_listener(4);
	pass("2", "web:api");
	old = listeners_open(with_default(), NULL, &err);
	MUST(old != NULL);
	/* As long as the configuration says nothing, they stay. */
	now = plan_for(old, with_default(), &err);
	MUST(now != NULL && listeners_count(now) == 2);
	MUST(listeners_for_slot(now, 0, in, 2, &err) == 2);
	MUST(in[0].fd == 3 && strcmp(in[0].name, "web") == 0);
	MUST(in[1].fd == 4 && strcmp(in[1].name, "api") == 0);
	listener_set_drop(old);

	/* Once it does, they go; and come back, while anybody has them. */
	old = now;
	now = plan_for(old, with_bind("127.0.0.1:0", NULL), &err);
	MUST(now != NULL && listeners_count(now) == 1);
	listeners_apply(now, with_bind("127.0.0.1:0", NULL));
	listeners_retire(old, now);
	MUST(connect_to(in[0].text, 1000) != -1);	/* its owner's */
	again = plan_for(now, with_default(), &err);
	MUST(again != NULL && listeners_count(again) == 2);
	listeners_apply(again, with_default());
	listeners_retire(now, again);
	listener_set_drop(now);
	listener_set_drop(old);
	MUST(listeners_for_slot(again, 0, in, 2, &err) == 2);
	MUST(in[0].fd == 3 && strcmp(in[0].name, "web") == 0);
	MUST(accepts(3));
	listener_set_drop(again);
	MUST(fcntl(3, F_GETFD) == -1 && fcntl(4, F_GETFD) == -1);
}

Test(listener_inherit, keeps_what_was_passed_while_no_bind_is_given)
{
	cr_expect_eq(run(keep_passed), 0);
	cr_expect_eq(logged("listen.closed"), 3);
}

static void
lose_passed(void)
{
	struct listener_set	*old, *now;
	struct err		 err = { "" };

	put_listener(3);
	pass("1", NULL);
	old = listeners_open(with_default(), NULL, &err);
	now = plan_for(old, with_bind("none", NULL), &err);
	MUST(old != NULL && now != NULL);
	listeners_retire(old, now);
	listener_set_drop(old);
	MUST(fcntl(3, F_GETFD) == -1);
	/* They are gone: what is left is the default. */
	old = plan_for(now, with_default(), &err);
	MUST(old != NULL && listeners_count(old) == 1);
	listener_set_drop(old);
	listener_set_drop(now);
}

Test(listener_inherit, takes_the_default_once_what_was_passed_is_gone)
{
	cr_expect_eq(run(lose_passed), 0);
}
