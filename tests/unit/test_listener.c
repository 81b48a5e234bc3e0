#include <criterion/criterion.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sockets.h"

TestSuite(listener, .init = sockets_setup, .fini = sockets_teardown,
    .timeout = 30);

Test(listener, takes_a_free_port_and_tells_it)
{
	struct listener_set	*ls = open_ok(with_bind("web=127.0.0.1:0",
				    NULL));
	struct inherited	 in = nth(ls, 0);
	int			 fd;

	cr_expect_str_eq(in.name, "web");
	cr_expect_eq(strncmp(in.text, "127.0.0.1:", 10), 0);
	cr_expect_gt(atoi(in.text + 10), 0);
	cr_expect_eq(logged(in.text), 1);
	cr_expect_eq(logged("listen.open"), 1);
	fd = connect_to(in.text, 1000);
	cr_expect_neq(fd, -1);
	cr_expect(accepts(in.fd));
	close(fd);
	listener_set_drop(ls);
}

Test(listener, sets_the_options_that_were_asked_for)
{
	struct conf		*conf = with_bind("127.0.0.1:0", NULL);
	struct listener_set	*ls;
	int			 fd;

	conf->listen.keepalive = true;
	conf->listen.defer_accept = 1500;
	ls = open_ok(conf);
	fd = nth(ls, 0).fd;
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_expect_eq(sockopt(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	cr_expect_eq(sockopt(fd, SOL_SOCKET, SO_REUSEPORT), 0);
	cr_expect_eq(sockopt(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_expect_eq(sockopt(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	cr_expect_geq(sockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 2);
	listener_set_drop(ls);

	ls = open_ok(with_bind("127.0.0.1:0", NULL));
	fd = nth(ls, 0).fd;
	cr_expect_eq(sockopt(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	cr_expect_eq(sockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	listener_set_drop(ls);
}

Test(listener, serves_v4_and_v6_on_a_port_without_host)
{
	struct listener_set	*ls = open_ok(with_bind(":0", NULL));
	struct inherited	 in = nth(ls, 0);
	char			 text[32];
	int			 fd;

	cr_expect_eq(listeners_count(ls), 1);
	snprintf(text, sizeof(text), "127.0.0.1:%s", strrchr(in.text, ':') + 1);
	fd = connect_to(text, 1000);
	cr_expect(accepts(in.fd));
	close(fd);
	if (sockopt(in.fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6) {
		snprintf(text, sizeof(text), "[::1]:%s",
		    strrchr(in.text, ':') + 1);
		fd = connect_to(text, 1000);
		cr_expect(accepts(in.fd));
		close(fd);
	}
	listener_set_drop(ls);
}

Test(listener, keeps_v4_out_of_an_address_of_v6)
{
	struct err		 err;
	struct listener_set	*ls = listeners_open(with_bind("[::1]:0",
				    NULL), NULL, &err);

	if (ls == NULL)
		cr_skip_test("no IPv6 here");
	cr_expect_eq(sockopt(nth(ls, 0).fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	cr_expect_eq(strncmp(nth(ls, 0).text, "[::1]:", 6), 0);
	listener_set_drop(ls);
}

Test(listener, gives_each_address_of_a_host_a_socket_once)
{
	struct listener_set	*ls = open_ok(with_bind("localhost:0", NULL));

	cr_expect_geq(listeners_count(ls), 1);
	cr_expect_leq(listeners_count(ls), 2);
	cr_expect_str_eq(nth(ls, 0).name, "localhost_0");
	listener_set_drop(ls);
	cr_expect(open_fails(with_bind("no-such-host.invalid:80", NULL),
	    "cannot listen on no-such-host.invalid:80: "));
}

Test(listener, opens_several_in_order_and_none_for_none)
{
	struct listener_set	*ls;

	ls = open_ok(with_bind("a=127.0.0.1:0", "none", "b=unix:@muster-t",
	    "c=127.0.0.1:0", NULL));
	cr_expect_eq(listeners_count(ls), 3);
	cr_expect_str_eq(nth(ls, 0).name, "a");
	cr_expect_str_eq(nth(ls, 1).name, "b");
	cr_expect_str_eq(nth(ls, 1).text, "unix:@muster-t");
	cr_expect_str_eq(nth(ls, 2).name, "c");
	listener_set_drop(ls);
	ls = open_ok(with_bind("none", NULL));
	cr_expect_eq(listeners_count(ls), 0);
	cr_expect_eq(listeners_for_slot(ls, 0, NULL, 0, NULL), 0);
	listeners_refuse_all();
	listener_set_drop(ls);
	listener_set_drop(NULL);
}

Test(listener, leaves_nothing_behind_when_one_cannot_be_bound)
{
	struct listener_set	*ls = open_ok(with_bind("127.0.0.1:0", NULL));
	char			 path[128], want[128];
	int			 fds;

	snprintf(path, sizeof(path), "unix:%s/s", folder);
	snprintf(want, sizeof(want), "cannot listen on %s: Address already in "
	    "use", nth(ls, 0).text);
	fds = count_fds();
	cr_expect(open_fails(with_bind(path, "unix:@muster-u",
	    nth(ls, 0).text, NULL), want));
	cr_expect_eq(count_fds(), fds);
	cr_expect_eq(count_files(folder), 0);
	listener_set_drop(ls);
}

Test(listener, says_which_port_may_not_be_bound)
{
	pid_t	 pid = fork();
	int	 status;

	if (pid == 0) {
		struct err	 err = { "" };

		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(3);
		if (listeners_open(with_bind("127.0.0.1:80", NULL), NULL, &err) !=
		    NULL)
			_exit(2);
		_exit(strcmp(err.text, "cannot listen on 127.0.0.1:80: "
		    "Permission denied") != 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 2)
		cr_skip_test("low ports are free to all here");
	cr_expect_eq(status, 0);
}

Test(listener, warns_once_of_a_backlog_that_the_kernel_cuts)
{
	struct conf		*conf = with_bind("127.0.0.1:0",
				    "unix:@muster-v", "127.0.0.1:0", NULL);
	struct listener_set	*ls;

	conf->listen.backlog = 1 << 30;
	ls = open_ok(conf);
	cr_expect_eq(logged("listen.backlog"), 1);
	cr_expect_eq(logged("net.core.somaxconn"), 1);
	listener_set_drop(ls);
}

static char	 unix_addr[128], *unix_path = unix_addr + 5;

static struct conf *
with_unix(void)
{
	snprintf(unix_addr, sizeof(unix_addr), "unix:%s/s", folder);
	return with_bind(unix_addr, NULL);
}

Test(listener, gives_a_unix_socket_its_mode_and_removes_it)
{
	struct conf		*conf = with_unix();
	struct listener_set	*ls;
	struct stat		 st;
	int			 fd;

	conf->listen.unix_mode = 0640;
	umask(0777);
	ls = open_ok(conf);
	cr_expect_eq(lstat(unix_path, &st), 0);
	cr_expect_eq(st.st_mode, (mode_t)(S_IFSOCK | 0640));
	cr_expect_eq(count_files(folder), 1);
	cr_expect_str_eq(nth(ls, 0).text, unix_addr);
	fd = connect_to(unix_addr, 1000);
	cr_expect(accepts(nth(ls, 0).fd));
	close(fd);
	listener_set_drop(ls);
	cr_expect_eq(count_files(folder), 0);
}

Test(listener, gives_a_unix_socket_its_owner)
{
	struct conf		*conf = with_unix();
	struct listener_set	*ls;
	struct stat		 st;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	conf->listen.unix_uid = 12345;
	conf->listen.unix_gid = 54321;
	ls = open_ok(conf);
	cr_expect_eq(lstat(unix_path, &st), 0);
	cr_expect_eq(st.st_uid, 12345);
	cr_expect_eq(st.st_gid, 54321);
	listener_set_drop(ls);
}

/* A server that was killed: its file is there, nobody listens. */
static void
leave_dead_socket(void)
{
	struct listener_set	*ls;
	char			 aside[160];

	snprintf(aside, sizeof(aside), "%s.aside", unix_path);
	ls = open_ok(with_unix());
	cr_assert_eq(rename(unix_path, aside), 0);
	listener_set_drop(ls);
	cr_assert_eq(rename(aside, unix_path), 0);
}

Test(listener, replaces_a_dead_unix_socket_but_no_live_one)
{
	struct listener_set	*ls;
	int			 fd;

	with_unix();
	leave_dead_socket();
	cr_expect_eq(connect_to(unix_addr, 0), -1);
	ls = open_ok(with_unix());
	cr_expect(open_fails(with_unix(), ": a live server holds it"));
	cr_expect_eq(count_files(folder), 1);
	fd = connect_to(unix_addr, 0);
	cr_expect_neq(fd, -1);
	close(fd);
	listener_set_drop(ls);
}

Test(listener, takes_a_server_whose_queue_is_full_for_live)
{
	struct conf		*conf = with_unix();
	struct listener_set	*ls;

	conf->listen.backlog = 0;
	ls = open_ok(conf);
	for (int i = 0; i < 3; i++)
		connect_to(unix_addr, 0);
	cr_expect_eq(connect_to(unix_addr, 0), -1);
	cr_expect_eq(errno, EAGAIN);
	cr_expect(open_fails(with_unix(), ": a live server holds it"));
	listener_set_drop(ls);
}

Test(listener, never_removes_what_is_no_socket)
{
	struct stat	 st;

	with_unix();
	close(open(unix_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_expect(open_fails(with_unix(), "no socket is there"));
	cr_expect_eq(unlink(unix_path), 0);
	cr_expect_eq(mkdir(unix_path, 0700), 0);
	cr_expect(open_fails(with_unix(), "no socket is there"));
	cr_expect_eq(rmdir(unix_path), 0);
	cr_expect_eq(symlink("nothing", unix_path), 0);
	cr_expect(open_fails(with_unix(), "no socket is there"));
	cr_expect_eq(lstat(unix_path, &st), 0);
	cr_expect(S_ISLNK(st.st_mode));
	cr_expect_eq(count_files(folder), 1);
}

Test(listener, leaves_a_unix_socket_alone_that_is_no_more_its_own)
{
	struct listener_set	*ls = open_ok(with_unix()), *next;

	cr_assert_eq(unlink(unix_path), 0);
	next = open_ok(with_unix());
	listener_set_drop(ls);
	cr_expect_eq(count_files(folder), 1);
	cr_assert_eq(chdir("/"), 0);
	listener_set_drop(next);
	cr_expect_eq(count_files(folder), 0);
}

Test(listener, takes_paths_up_to_what_a_socket_address_holds)
{
	char			 text[160];
	struct listener_set	*ls;
	int			 fd;

	snprintf(text, sizeof(text), "unix:%s/", folder);
	memset(text + strlen(text), 'x', 5 + 107 - strlen(text));
	text[5 + 107] = '\0';
	ls = open_ok(with_bind(text, NULL));
	fd = connect_to(text, 0);
	cr_expect_neq(fd, -1);
	close(fd);
	cr_expect_eq(count_files(folder), 1);
	listener_set_drop(ls);
	cr_expect_eq(count_files(folder), 0);
	snprintf(text, sizeof(text), "unix:%s/none/s", folder);
	cr_expect(open_fails(with_bind(text, NULL), ": No such file or"));
}

/* Try to have the socket, tell when it is decided, stay until all are done. */
static void
race_for(int tell, int hold)
{
	struct listener_set	*ls;
	struct err		 err = { "" };
	char			 byte;

	ls = listeners_open(with_unix(), NULL, &err);
	if (write(tell, "", 1) != 1 || read(hold, &byte, 1) != 0)
		_exit(9);
	if (ls != NULL)
		_exit(0);
	_exit(strstr(err.text, "a live server") == NULL ? 9 : 1);
}

/*
 * The story: two masters start at once where a dead one left its socket. One
 * has it in the end, and it answers; the other was told so.
 */
Test(listener, lets_one_of_many_have_a_dead_unix_socket)
{
	int	 status, won, fd, tell[2], hold[2];
	pid_t	 pid[8];
	char	 byte;

	with_unix();
	for (int round = 0; round < 5; round++) {
		leave_dead_socket();
		cr_assert_eq(pipe(tell) | pipe(hold), 0);
		for (int i = 0; i < 8; i++) {
			pid[i] = fork();
			if (pid[i] != 0)
				continue;
			close(hold[1]);
			race_for(tell[1], hold[0]);
		}
		close(tell[1]);
		close(hold[0]);
		for (int i = 0; i < 8; i++)
			cr_expect_eq(read(tell[0], &byte, 1), 1);
		fd = connect_to(unix_addr, 0);
		cr_expect_neq(fd, -1);
		close(fd);
		close(tell[0]);
		close(hold[1]);
		won = 0;
		for (int i = 0; i < 8; i++) {
			waitpid(pid[i], &status, 0);
			won += status == 0;
			cr_expect_neq(WEXITSTATUS(status), 9);
		}
		cr_expect_eq(won, 1, "%d won", won);
		cr_expect_eq(count_files(folder), 1);
		cr_expect_eq(unlink(unix_path), 0);
	}
}
