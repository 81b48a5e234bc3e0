#include <criterion/criterion.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sockets.h"

/* What a reload keeps, adds and removes. */

TestSuite(listener_plan, .init = sockets_setup, .fini = sockets_teardown,
    .timeout = 30);

static struct listener_set *
plan_ok(const struct listener_set *current, const struct conf *conf)
{
	struct err		 err = { "" };
	struct listener_set	*set = plan_for(current, conf, &err);

	cr_assert_not_null(set, "%s", err.text);
	return set;
}

static bool
plan_fails(const struct listener_set *current, const struct conf *conf,
    const char *text)
{
	struct err	 err = { "" };

	cr_expect_null(plan_for(current, conf, &err));
	if (strstr(err.text, text) == NULL)
		cr_log_error("%s", err.text);
	return strstr(err.text, text) != NULL;
}

static struct listener *
at(const struct listener_set *set, size_t nr)
{
	const char	*name;

	return listener_set_nth(set, nr, &name);
}

static const char *
name_at(const struct listener_set *set, size_t nr)
{
	const char	*name;

	listener_set_nth(set, nr, &name);
	return name;
}

/* The host and port that it has, as a copy. */
static char *
where(const struct listener_set *set, size_t nr)
{
	return strdup(listener_text(at(set, nr)));
}

static int
open_listeners(void)
{
	struct listener	*l = NULL;
	int		 n = 0;

	while ((l = listener_next(l)) != NULL)
		n++;
	return n;
}

Test(listener_plan, keeps_adds_and_removes_by_address)
{
	int			 fds = count_fds();
	struct listener_set	*old = open_ok(with_bind("a=127.0.0.1:0",
				    "b=127.0.1.1:0", NULL));
	struct listener_set	*now = plan_ok(old, with_bind(
				    "c=127.0.2.1:0", "x=127.0.1.1:0", NULL));
	struct listener		*a = at(old, 0), *b = at(old, 1);
	char			*there = where(old, 0);

	cr_expect_eq(listeners_count(now), 2);
	cr_expect_eq(at(now, 1), b);
	cr_expect(listener_set_has(now, b));
	cr_expect_not(listener_set_has(now, a));
	cr_expect_not(listener_set_has(NULL, a));
	/* The name is the set's: old workers go on with the one they know. */
	cr_expect_str_eq(name_at(now, 1), "x");
	cr_expect_str_eq(name_at(old, 1), "b");
	cr_expect_eq(open_listeners(), 3);

	listener_set_drop(old);
	cr_expect_eq(open_listeners(), 2);
	cr_expect_eq(connect_to(there, 100), -1);
	free(there);
	listener_set_drop(now);
	cr_expect_eq(open_listeners(), 0);
	cr_expect_eq(count_fds(), fds);
}

Test(listener_plan, leaves_no_trace_when_one_of_two_new_ones_is_taken)
{
	struct listener_set	*other = open_ok(with_bind("127.0.3.1:0",
				    NULL));
	char			*taken = where(other, 0), path[128];
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	int			 fds = count_fds(), blocker;
	struct err		 err = { "" };

	/* Another process has it: to us it must not look like one of ours. */
	listener_set_drop(other);
	other = open_ok(with_bind(taken, NULL));
	blocker = dup(nth(other, 0).fd);
	listener_set_drop(other);
	fds = count_fds();
	snprintf(path, sizeof(path), "unix:%s/s", folder);
	cr_expect(plan_fails(old, with_bind("127.0.0.1:0", path,
	    "unix:@muster-p", taken, NULL), ": Address already in use"));
	cr_expect_eq(count_fds(), fds);
	cr_expect_eq(count_files(folder), 0);
	cr_expect_eq(open_listeners(), 1);
	cr_expect_eq(listener_refused_ms(at(old, 0)), -1);
	cr_expect_eq(logged("listen.open"), 3);	/* other, old, other */

	/* An address that is there twice is one too many. */
	close(blocker);
	cr_expect_null(plan_for(old, with_bind(taken, taken, NULL), &err));
	cr_expect_eq(open_listeners(), 1);
	listener_set_drop(old);
	free(taken);
}

Test(listener_plan, finds_port_0_by_its_text_and_each_one_once)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    "127.0.0.1:0", NULL));
	struct listener_set	*now = plan_ok(old, with_bind("127.0.0.1:0",
				    "127.0.0.1:0", "127.0.0.1:0", NULL));

	cr_expect_eq(at(now, 0), at(old, 0));
	cr_expect_eq(at(now, 1), at(old, 1));
	cr_expect_not(listener_set_has(old, at(now, 2)));
	listener_set_drop(now);
	listener_set_drop(old);
}

Test(listener_plan, finds_the_same_address_under_another_name)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL)), *now, *third;
	char			 text[64];

	/* By what it is bound to: another text, the same host and port. */
	snprintf(text, sizeof(text), "%s", listener_text(at(old, 0)));
	now = plan_ok(old, with_bind(text, NULL));
	cr_expect_eq(at(now, 0), at(old, 0));
	snprintf(text, sizeof(text), "localhost:%s",
	    strrchr(listener_text(at(old, 0)), ':') + 1);
	third = plan_ok(now, with_bind(text, NULL));
	cr_expect(listener_set_has(third, at(old, 0)));
	listener_set_drop(third);
	listener_set_drop(now);
	listener_set_drop(old);
}

Test(listener_plan, keeps_every_address_of_a_host)
{
	struct listener_set	*old = open_ok(with_bind("localhost:0", NULL));
	struct listener_set	*now = plan_ok(old, with_bind("localhost:0",
				    NULL));

	cr_assert_eq(listeners_count(now), listeners_count(old));
	for (size_t i = 0; i < listeners_count(old); i++)
		cr_expect_eq(at(now, i), at(old, i));
	listener_set_drop(now);
	listener_set_drop(old);
}

Test(listener_plan, needs_the_addresses_of_a_host)
{
	struct listener_set	*old = open_ok(with_bind("none", NULL));
	struct err		 err = { "" };

	cr_expect_null(listeners_plan(old, with_bind("localhost:0", NULL),
	    NULL, &err));
	cr_expect_str_eq(err.text, "cannot listen on localhost:0: it has no "
	    "address");
	listener_set_drop(old);
}

Test(listener_plan, keeps_any_address_and_abstract_sockets)
{
	struct listener_set	*old = open_ok(with_bind(":0", "unix:@muster-q",
				    NULL));
	struct listener_set	*now = plan_ok(old, with_bind("unix:@muster-q",
				    ":0", NULL));

	cr_expect_eq(at(now, 0), at(old, 1));
	cr_expect_eq(at(now, 1), at(old, 0));
	listener_set_drop(old);
	cr_expect_neq(connect_to("unix:@muster-q", 100), -1);
	listener_set_drop(now);
}

Test(listener_plan, unlinks_a_unix_socket_that_is_removed_and_keeps_others)
{
	char			 a[128], b[128];
	struct listener_set	*old, *now;
	int			 queued;

	snprintf(a, sizeof(a), "unix:%s/a", folder);
	snprintf(b, sizeof(b), "unix:%s/b", folder);
	old = open_ok(with_bind(a, b, NULL));
	now = plan_ok(old, with_bind(b, NULL));
	listeners_apply(now, with_bind(b, NULL));
	queued = connect_to(a, 100);
	cr_expect_eq(count_files(folder), 2);
	cr_expect_eq(logged("listen.closed"), 0);
	listeners_retire(old, now);
	listeners_retire(old, now);
	cr_expect_eq(count_files(folder), 1);
	cr_expect_eq(access(a + 5, F_OK), -1);
	cr_expect_eq(logged("listen.closed"), 1);
	cr_expect_geq(listener_refused_ms(at(old, 0)), 0);
	cr_expect_eq(listener_refused_ms(at(old, 1)), -1);

	/* Who was queued is served, and somebody new may have the name. */
	cr_expect_not(listeners_retired_quiet(old, now));
	cr_expect(accepts(nth(old, 0).fd));
	cr_expect(listeners_retired_quiet(old, now));
	close(queued);
	listener_set_drop(plan_ok(now, with_bind(a, b, NULL)));
	cr_expect_eq(count_files(folder), 1);
	listener_set_drop(old);
	cr_expect_neq(connect_to(b, 100), -1);
	listener_set_drop(now);
	cr_expect_eq(count_files(folder), 0);
}

/* Retired means: refused, or with privileges, answered by nobody. */
static bool
is_refused(const char *text)
{
	int	 fd = connect_to(text, 100);

	if (fd == -1)
		return errno == ECONNREFUSED || errno == EINPROGRESS;
	close(fd);
	return false;
}

static void
check_return(void)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL)), *now, *again;
	char			*there = where(old, 0);
	int			 queued = connect_to(there, 1000), fd;

	now = plan_ok(old, with_bind("none", NULL));
	listeners_apply(now, with_bind("none", NULL));
	listeners_retire(old, now);
	cr_expect(is_refused(there));
	cr_expect_not(listeners_retired_quiet(old, now));
	cr_expect(accepts(nth(old, 0).fd));
	cr_expect(listeners_retired_quiet(old, now));
	close(queued);

	/* The next reload wants it back, while old workers still have it. */
	again = plan_ok(now, with_bind(there, NULL));
	listeners_apply(again, with_bind(there, NULL));
	listeners_retire(now, again);
	fd = connect_to(there, 1000);
	cr_expect_neq(fd, -1);
	cr_expect(accepts(nth(again, 0).fd));
	close(fd);
	listener_set_drop(old);
	listener_set_drop(now);
	fd = connect_to(there, 1000);
	cr_expect_neq(fd, -1);
	cr_expect(accepts(nth(again, 0).fd));
	close(fd);
	listener_set_drop(again);
	free(there);
}

Test(listener_plan, lets_clients_in_again_after_a_way_back)
{
	check_return();
	cr_expect_eq(logged("listen.note"), 0);
}

Test(listener_plan, lets_clients_in_again_without_privileges)
{
	if (geteuid() != 0)
		cr_skip_test("needs privileges to give up");
	cr_assert_eq(seteuid(65534), 0);
	check_return();
	cr_expect_eq(seteuid(0), 0);
	cr_expect_eq(logged("listen.note"), 0);
}

Test(listener_plan, takes_what_a_failed_reload_added_back)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	struct conf		*conf = with_bind("127.0.0.1:0",
				    "127.0.4.1:0", NULL);
	struct listener_set	*now = plan_ok(old, conf);
	char			*there = where(now, 1);

	listeners_apply(now, conf);
	cr_expect_eq(logged("listen.open"), 2);
	listeners_retire(now, old);
	cr_expect_eq(logged("listen.closed"), 1);
	listener_set_drop(now);
	cr_expect(is_refused(there));
	cr_expect_eq(listener_refused_ms(at(old, 0)), -1);
	listener_set_drop(old);
	free(there);
}

/* TCP_INFO of a listening socket: sacked is the longest its queue may be. */
static int
backlog_of(int fd)
{
	struct tcp_info	 info = { 0 };
	socklen_t	 len = sizeof(info);

	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return (int)info.tcpi_sacked;
}

static int
status_flags(int fd)
{
	return fcntl(fd, F_GETFL);
}

Test(listener_plan, applies_options_to_sockets_that_are_kept)
{
	struct conf		*conf = with_bind("127.0.0.1:0", NULL);
	struct listener_set	*old = open_ok(conf), *now;
	int			 fd = nth(old, 0).fd;

	cr_expect_eq(backlog_of(fd), 64);
	cr_expect_eq(sockopt(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	conf->listen.backlog = 17;
	conf->listen.keepalive = true;
	conf->listen.nodelay = false;
	conf->listen.defer_accept = 2000;
	now = plan_ok(old, conf);
	cr_expect_eq(backlog_of(fd), 64);
	listeners_apply(now, conf);
	cr_expect_eq(backlog_of(fd), 17);
	cr_expect_eq(sockopt(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_expect_eq(sockopt(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	cr_expect_geq(sockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 2);
	cr_expect(status_flags(fd) & O_NONBLOCK);

	/* And back, as after a reload that failed. */
	listeners_apply(old, with_bind("127.0.0.1:0", NULL));
	cr_expect_eq(backlog_of(fd), 64);
	cr_expect_eq(sockopt(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	cr_expect_eq(sockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	cr_expect_eq(logged("listen.open"), 1);
	listener_set_drop(now);
	listener_set_drop(old);
}

static struct conf *
with_program(bool nonblock)
{
	static char	 word[] = "x";
	static char	*command[] = { word, NULL };
	struct conf	*conf = with_bind("127.0.0.1:0", "unix:@muster-nb",
			    NULL);

	conf->worker.command = command;
	conf->worker.ncommand = 1;
	conf->listen.nonblock = nonblock;
	conf->listen.accept = ACCEPT_REUSEPORT;
	return conf;
}

static int
nonblocking(struct listener_set *set)
{
	struct inherited	 in[2];
	struct err		 err;
	int			 n = 0;

	for (int slot = 0; slot < 3; slot++) {
		cr_assert_eq(listeners_for_slot(set, slot, in, 2, &err), 2);
		n += !!(status_flags(in[0].fd) & O_NONBLOCK);
		n += !!(status_flags(in[1].fd) & O_NONBLOCK);
	}
	return n;
}

/* Some wait in accept(2) for ever, and call it an error if it does not. */
Test(listener_plan, lets_programs_have_sockets_that_block)
{
	struct listener_set	*old = open_ok(with_program(false)), *now;

	cr_expect_eq(nonblocking(old), 0);
	now = plan_ok(old, with_program(true));
	cr_expect_eq(nonblocking(now), 0);
	listeners_apply(now, with_program(true));
	cr_expect_eq(nonblocking(now), 6);
	listeners_apply(now, with_program(false));
	cr_expect_eq(nonblocking(now), 0);
	/* Our own apps could not live with that. */
	listeners_apply(now, with_bind("127.0.0.1:0", "unix:@muster-nb",
	    NULL));
	cr_expect_eq(nonblocking(now), 6);
	listener_set_drop(now);
	listener_set_drop(old);
}

Test(listener_plan, keeps_a_group_a_group_and_says_so)
{
	struct conf		*conf = with_bind("127.0.0.1:0", NULL);
	struct listener_set	*old, *now;
	struct inherited	 in;
	struct err		 err;

	conf->listen.accept = ACCEPT_REUSEPORT;
	old = open_ok(conf);
	cr_assert_eq(listeners_for_slot(old, 2, &in, 1, &err), 1);
	conf = with_bind("127.0.0.1:0", "127.0.5.1:0", NULL);
	now = plan_ok(old, conf);
	listeners_apply(now, conf);
	cr_expect_eq(logged("stays with this one until a restart"), 1);
	cr_expect(listeners_steered(now));
	cr_expect_not(listener_is_steered(at(now, 1)));
	cr_expect_eq(listeners_for_slot(now, 2, &in, 1, &err), 2);
	cr_expect_eq(in.fd, listener_fd(at(old, 0), 2));
	listener_set_drop(now);

	/* Options go to every slot's socket, and to later ones. */
	conf->listen.backlog = 9;
	now = plan_ok(old, conf);
	listeners_apply(now, conf);
	cr_expect_eq(listeners_for_slot(now, 3, &in, 1, &err), 2);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(backlog_of(listener_fd(at(now, 0), i)), 9);
	listener_set_drop(now);
	listener_set_drop(old);
}

Test(listener_plan, takes_no_descriptor_that_was_not_there_at_the_start)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	char			 text[16];

	snprintf(text, sizeof(text), "fd:%d", nth(old, 0).fd);
	cr_expect(plan_fails(old, with_bind("127.0.0.1:0", text, NULL),
	    "it was not there at the start"));
	listener_set_drop(old);
}

Test(listener_plan, keeps_a_descriptor_by_its_text)
{
	struct listener_set	*seed = open_ok(with_bind("127.0.0.1:0",
				    NULL)), *old, *now;
	int			 fd = fcntl(nth(seed, 0).fd, F_DUPFD_CLOEXEC, 20);
	char			 text[16];

	snprintf(text, sizeof(text), "fd:%d", fd);
	old = open_ok(with_bind(text, NULL));
	now = plan_ok(old, with_bind("127.0.0.1:0", text, NULL));
	cr_expect_eq(at(now, 1), at(old, 0));
	listener_set_drop(now);
	/* Removed: somebody else's goes on, and is closed here. */
	now = plan_ok(old, with_bind("none", NULL));
	listeners_retire(old, now);
	cr_expect_neq(connect_to(listener_text(at(seed, 0)), 1000), -1);
	cr_expect(listeners_retired_quiet(old, now));
	listener_set_drop(old);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
	listener_set_drop(now);
	listener_set_drop(seed);
}

Test(listener_plan, closes_what_only_a_dropped_plan_had)
{
	int			 fds = count_fds();
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL)), *now;
	char			 path[128];

	snprintf(path, sizeof(path), "unix:%s/s", folder);
	for (int i = 0; i < 50; i++) {
		now = plan_ok(old, with_bind("127.0.0.1:0", "127.0.6.1:0",
		    path, NULL));
		listener_set_drop(listener_set_hold(now));
		cr_expect_eq(open_listeners(), 3);
		listener_set_drop(now);
	}
	cr_expect_eq(count_files(folder), 0);
	listener_set_drop(old);
	cr_expect_eq(count_fds(), fds);
}

Test(listener_plan, refuses_all_that_there_are_at_the_end)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    "unix:@muster-s", NULL));
	struct listener_set	*now = plan_ok(old, with_bind("127.0.7.1:0",
				    NULL));

	listeners_retire(old, now);
	/* Its name cannot be taken away: its workers still serve it. */
	cr_expect_neq(connect_to("unix:@muster-s", 100), -1);
	listeners_refuse_all();
	cr_expect(is_refused("unix:@muster-s"));
	cr_expect(is_refused(listener_text(at(old, 0))));
	cr_expect(is_refused(listener_text(at(now, 0))));
	cr_expect_eq(logged("listen.closed"), 3);
	listener_set_drop(old);
	listener_set_drop(now);
}
