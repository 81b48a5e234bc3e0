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

/* accept = reuseport, and the last stop's refusal of new connections. */

TestSuite(listener_slots, .init = sockets_setup, .fini = sockets_teardown,
    .timeout = 30);

#define SLOTS	4

static struct listener_set *
open_slots(const char *addr, int slots)
{
	struct conf		*conf = with_bind(addr, NULL);
	struct listener_set	*ls;
	struct inherited	 in;
	struct err		 err;

	conf->listen.accept = ACCEPT_REUSEPORT;
	ls = open_ok(conf);
	for (int i = 0; i < slots; i++)
		cr_assert_eq(listeners_for_slot(ls, i, &in, 1, &err), 1);
	return ls;
}

static struct listener *
only(struct listener_set *ls)
{
	const char	*name;

	return listener_set_nth(ls, 0, &name);
}

static int
slot_fd(struct listener_set *ls, int slot)
{
	int	 fd = listener_fd(only(ls), slot);

	cr_assert_neq(fd, -1);
	return fd;
}

/* Connect count times; who got how many of them? */
static void
spread(struct listener_set *ls, const char *text, int count, int got[SLOTS])
{
	int	 fds[256];

	memset(got, 0, SLOTS * sizeof(*got));
	for (int i = 0; i < count; i++) {
		fds[i] = connect_to(text, 1000);
		cr_assert_neq(fds[i], -1);
	}
	for (int i = 0; i < SLOTS; i++)
		while (accept(slot_fd(ls, i), NULL, NULL) != -1)
			got[i]++;
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

Test(listener_slots, opens_a_socket_for_each_slot_and_those_before_it)
{
	struct listener_set	*ls = open_slots("127.0.0.1:0", 1);
	struct inherited	 first = nth(ls, 0), third;
	struct err		 err;

	cr_expect(listeners_steered(ls));
	cr_expect_eq(listener_sockets(only(ls)), 1);
	cr_expect_eq(listeners_for_slot(ls, 2, &third, 1, &err), 1);
	cr_expect_eq(listener_sockets(only(ls)), 3);
	cr_expect_eq(listeners_count(ls), 1);
	cr_expect_neq(third.fd, first.fd);
	cr_expect_str_eq(third.text, first.text);
	cr_expect_eq(third.fd, slot_fd(ls, 2));
	cr_expect_eq(listener_fd(only(ls), 3), -1);
	cr_expect_eq(listeners_for_slot(ls, CONF_REUSEPORT_SLOTS, &third, 1,
	    &err), -1);
	cr_expect_eq(logged("listen.open"), 1);
	listener_set_drop(ls);
}

static void
check_steering(const char *addr, const char *host)
{
	struct listener_set	*ls = open_slots(addr, SLOTS);
	char			 text[64];
	int			 got[SLOTS];
	bool			 ready[SLOTS + 4];

	snprintf(text, sizeof(text), "%s:%s", host,
	    strrchr(nth(ls, 0).text, ':') + 1);
	spread(ls, text, 40, got);
	cr_expect_eq(got[0], 40, "unsteered, %d of 40 to slot 0", got[0]);
	for (unsigned int set = 1; set < 1U << SLOTS; set++) {
		for (int i = 0; i < SLOTS + 4; i++)
			ready[i] = set >> i & 1;
		listener_steer(only(ls), ready, SLOTS + 4);
		spread(ls, text, 48, got);
		for (int i = 0; i < SLOTS; i++)
			cr_expect_eq(got[i] > 0, ready[i], "set %x: slot %d "
			    "got %d", set, i, got[i]);
	}
	memset(ready, 0, sizeof(ready));
	listener_steer(only(ls), ready, SLOTS);	/* nobody: as before, all */
	spread(ls, text, 48, got);
	for (int i = 0; i < SLOTS; i++)
		cr_expect_gt(got[i], 0);
	cr_expect_eq(logged("listen.note"), 0);
	listener_set_drop(ls);
}

Test(listener_slots, steers_to_the_ready_slots_alone)
{
	check_steering("127.0.0.1:0", "127.0.0.1");
}

Test(listener_slots, steers_v4_and_v6_on_one_socket)
{
	struct err		 err;
	struct listener_set	*ls = listeners_open(with_bind("[::1]:0",
				    NULL), NULL, &err);

	if (ls == NULL)
		cr_skip_test("no IPv6 here");
	listener_set_drop(ls);
	check_steering(":0", "127.0.0.1");
	check_steering(":0", "[::1]");
}

Test(listener_slots, keeps_the_steering_when_slots_are_added)
{
	struct listener_set	*ls = open_slots("127.0.0.1:0", 3);
	const bool		 ready[] = { false, true, true };
	struct inherited	 in;
	struct err		 err;
	int			 got[SLOTS];

	listener_steer(only(ls), ready, 3);
	cr_expect_eq(listeners_for_slot(ls, 3, &in, 1, &err), 1);
	spread(ls, in.text, 40, got);
	cr_expect_eq(got[0], 0);
	cr_expect_eq(got[3], 0);
	listener_set_drop(ls);
}

Test(listener_slots, tells_whether_a_slot_has_connections_queued)
{
	struct listener_set	*ls = open_slots("127.0.0.1:0", 2);
	const bool		 ready[] = { false, true };
	int			 fd;

	listener_steer(only(ls), ready, 2);
	cr_expect(listener_quiet(only(ls), 1));
	fd = connect_to(nth(ls, 0).text, 1000);
	cr_expect_not(listener_quiet(only(ls), 1));
	cr_expect(listener_quiet(only(ls), 0));
	cr_expect(listener_quiet(only(ls), 7));
	cr_expect(accepts(slot_fd(ls, 1)));
	cr_expect(listener_quiet(only(ls), 1));
	close(fd);
	listener_set_drop(ls);
}

/* Two masters of one user on one port would share its connections. */
Test(listener_slots, refuses_a_port_that_another_master_shares_out)
{
	struct listener_set	*ls = open_slots("127.0.0.1:0", 1);
	struct conf		*conf = with_bind(nth(ls, 0).text, NULL);
	struct inherited	 in;
	struct err		 err;

	conf->listen.accept = ACCEPT_REUSEPORT;
	cr_expect(open_fails(conf, ": Address already in use"));
	cr_expect_eq(listeners_for_slot(ls, 3, &in, 1, &err), 1);
	cr_expect(open_fails(conf, ": Address already in use"));
	conf->listen.accept = ACCEPT_SHARED;
	cr_expect(open_fails(conf, ": Address already in use"));
	listener_set_drop(ls);
}

static void
race_for(struct conf *conf, const char *text, int wait_for, int tell,
    int hold)
{
	struct listener_set	*ls;
	struct err		 err;
	struct inherited	 in;
	char			 byte;

	if (read(wait_for, &byte, 1) != 0)
		_exit(9);
	ls = listeners_open(conf, NULL, &err);
	if (ls != NULL && (listeners_for_slot(ls, 3, &in, 1, &err) != 1 ||
	    strcmp(in.text, text) != 0))
		_exit(9);
	if (write(tell, "", 1) != 1 || read(hold, &byte, 1) != 0)
		_exit(9);
	if (ls != NULL)
		_exit(0);
	_exit(strstr(err.text, "already in use") == NULL ? 9 : 1);
}

Test(listener_slots, lets_one_of_many_starters_have_the_port)
{
	struct listener_set	*ls = open_ok(with_bind("127.0.77.1:0", NULL));
	char			*text = strdup(nth(ls, 0).text);
	struct conf		*conf;
	int			 status, won, go[2], tell[2], hold[2];
	pid_t			 pid[8];
	char			 byte;

	listener_set_drop(ls);
	conf = with_bind(text, NULL);
	conf->listen.accept = ACCEPT_REUSEPORT;
	for (int round = 0; round < 20; round++) {
		cr_assert_eq(pipe(go) | pipe(tell) | pipe(hold), 0);
		for (int i = 0; i < 8; i++) {
			pid[i] = fork();
			if (pid[i] != 0)
				continue;
			close(go[1]);
			close(hold[1]);
			race_for(conf, text, go[0], tell[1], hold[0]);
		}
		close(go[0]);
		close(tell[1]);
		close(hold[0]);
		close(go[1]);
		for (int i = 0; i < 8; i++)
			cr_expect_eq(read(tell[0], &byte, 1), 1);
		close(tell[0]);
		close(hold[1]);
		won = 0;
		for (int i = 0; i < 8; i++) {
			waitpid(pid[i], &status, 0);
			won += status == 0;
			cr_expect_neq(WEXITSTATUS(status), 9);
		}
		cr_expect_eq(won, 1, "%d won", won);
	}
	free(text);
}

Test(listener_slots, leaves_other_kinds_shared_and_says_so)
{
	struct conf		*conf = with_bind("unix:@muster-w",
				    "127.0.0.1:0", NULL);
	struct listener_set	*ls;
	struct inherited	 a[2], b[2];
	struct err		 err;

	conf->listen.accept = ACCEPT_REUSEPORT;
	ls = open_ok(conf);
	cr_expect_eq(logged("listen.note"), 1);
	cr_expect_eq(listeners_for_slot(ls, 0, a, 2, &err), 2);
	cr_expect_eq(listeners_for_slot(ls, 1, b, 2, &err), 2);
	cr_expect_eq(a[0].fd, b[0].fd);
	cr_expect_neq(a[1].fd, b[1].fd);
	listener_set_drop(ls);

	conf = with_bind("127.0.0.1:0", NULL);
	ls = open_ok(conf);
	cr_expect_not(listeners_steered(ls));
	cr_expect_eq(listener_sockets(only(ls)), 1);
	cr_expect_eq(listeners_for_slot(ls, 5, a, 1, &err), 1);
	cr_expect_eq(a[0].fd, nth(ls, 0).fd);
	listener_set_drop(ls);
}

/* A new client is refused; over TCP, with privileges, answered by nobody. */
static bool
is_refused(const char *text, int error)
{
	if (connect_to(text, 100) != -1)
		return false;
	return errno == error ||
	    (error == ECONNREFUSED && errno == EINPROGRESS);
}

/* What is queued is served; who comes later is not. */
static void
check_refusal(struct listener_set *ls, const char *text, int error)
{
	int	 queued = connect_to(text, 1000), fd = nth(ls, 0).fd;

	cr_assert_neq(queued, -1);
	listeners_refuse_all();
	listeners_refuse_all();
	cr_expect(is_refused(text, error), "%s: %s", text, strerror(errno));
	cr_expect(accepts(fd));
	cr_expect_eq(accept(fd, NULL, NULL), -1);
	cr_expect(errno == EAGAIN || errno == EINVAL);
	cr_expect_eq(logged("listen.closed"), 1);
	cr_expect_eq(logged("listen.note"), 0);
	close(queued);
	listener_set_drop(ls);
}

Test(listener_slots, refuses_new_connections_and_serves_the_queued_ones)
{
	struct listener_set	*ls = open_ok(with_bind("127.0.0.1:0", NULL));

	check_refusal(ls, nth(ls, 0).text, ECONNREFUSED);
}

/* The kernel's handshake waits for data, the client believes it is through. */
static void
check_in_flight(void)
{
	struct conf		*conf = with_bind("127.0.0.1:0", NULL);
	struct listener_set	*ls;
	struct inherited	 in;
	int			 fd;

	conf->listen.defer_accept = 5000;
	ls = open_ok(conf);
	in = nth(ls, 0);
	fd = connect_to(in.text, 1000);
	cr_assert_neq(fd, -1);
	cr_expect_eq(accept(in.fd, NULL, NULL), -1);
	listeners_refuse_all();
	cr_expect(is_refused(in.text, ECONNREFUSED), "%s", strerror(errno));
	cr_expect_eq(send(fd, "x", 1, 0), 1);
	cr_expect(accepts(in.fd));
	close(fd);
	listener_set_drop(ls);
}

Test(listener_slots, completes_a_handshake_that_had_begun)
{
	check_in_flight();
}

Test(listener_slots, refuses_without_privileges_as_well)
{
	uid_t	 uid = geteuid();

	if (uid != 0)
		cr_skip_test("needs privileges to give up");
	cr_assert_eq(seteuid(65534), 0);
	check_in_flight();
	cr_assert_eq(seteuid(uid), 0);
}

Test(listener_slots, refuses_on_a_unix_socket)
{
	char	 text[96];

	snprintf(text, sizeof(text), "unix:%s/s", folder);
	check_refusal(open_ok(with_bind(text, NULL)), text, ENOENT);
	cr_expect_eq(count_files(folder), 0);
}

Test(listener_slots, refuses_on_an_abstract_socket)
{
	check_refusal(open_ok(with_bind("unix:@muster-x", NULL)),
	    "unix:@muster-x", ECONNREFUSED);
}

Test(listener_slots, refuses_on_every_slot_and_on_later_ones)
{
	struct listener_set	*ls = open_slots("127.0.0.1:0", 2);
	const bool		 ready[] = { true, true, true };
	struct inherited	 in;
	struct err		 err;

	listeners_refuse_all();
	cr_expect_eq(listeners_for_slot(ls, 2, &in, 1, &err), 1);
	listener_steer(only(ls), ready, 3);
	for (int i = 0; i < 16; i++)
		cr_expect(is_refused(in.text, ECONNREFUSED));
	listener_set_drop(ls);
}

Test(listener_slots, lets_established_connections_go_on)
{
	struct listener_set	*ls = open_ok(with_bind("127.0.0.1:0", NULL));
	int			 there = connect_to(nth(ls, 0).text, 1000);
	int			 here;
	char			 text[6] = "";

	listeners_refuse_all();
	here = accept(nth(ls, 0).fd, NULL, NULL);
	cr_assert_neq(here, -1);
	cr_expect_eq(send(there, "hello", 5, 0), 5);
	cr_expect_eq(recv(here, text, 5, MSG_WAITALL), 5);
	cr_expect_eq(send(here, "there", 5, 0), 5);
	cr_expect_eq(shutdown(here, SHUT_WR), 0);
	cr_expect_eq(fcntl(there, F_SETFL, 0), 0);
	cr_expect_eq(recv(there, text, 5, MSG_WAITALL), 5);
	cr_expect_eq(recv(there, text, 5, 0), 0);
	close(there);
	close(here);
	listener_set_drop(ls);
}
