/* Where it listens: every kind of address, section 2. */
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

TestSuite(listen, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* Started, a line answered, ended with 0. */
static void
expect_service(void)
{
	cr_expect_str_eq(rig_ask(&r, "hello\n"), "hello\n");
	cr_expect_eq(rig_stop(&r), 0);
}

/* Exit 69, and the message names address and reason. */
static void
expect_refusal(const char *addr, const char *reason)
{
	cr_expect_eq(rig_run(&r, "-b", addr, NULL), 69, "%s: %s", addr,
	    rig_read(&r, r.err));
	cr_expect(rig_log_has(&r, addr), "%s is not named: %s", addr,
	    rig_read(&r, r.err));
	cr_expect(rig_log_has(&r, reason), "no %s in: %s", reason,
	    rig_read(&r, r.err));
	cr_expect(!rig_log_says(&r, "worker.start"));
}

Test(listen, host_and_port)
{
	rig_start(&r, "-b", "127.0.0.1:0", NULL);
	cr_expect_gt(r.port, 0);
	expect_service();
}

Test(listen, a_given_port)
{
	char addr[64];
	int fd = net_bind();

	snprintf(addr, sizeof(addr), "127.0.0.1:%d", net_port(fd));
	close(fd);
	rig_start(&r, "-b", addr, NULL);
	cr_expect_str_eq(r.addr, addr);
	expect_service();
}

Test(listen, v6)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 in = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };

	if (fd == -1 || bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		rig_skip("no IPv6 here");
	close(fd);
	rig_start(&r, "-b", "[::1]:0", NULL);
	cr_expect_eq(strncmp(r.addr, "[::1]:", 6), 0, "%s", r.addr);
	expect_service();
}

Test(listen, all_addresses_in_one_socket)
{
	char addr[64];

	rig_start(&r, "-b", ":0", NULL);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 1);
	snprintf(addr, sizeof(addr), "127.0.0.1:%d", r.port);
	cr_expect_str_eq(client_ask(addr, "v4\n"), "v4\n");
	snprintf(addr, sizeof(addr), "[::1]:%d", r.port);
	if (strncmp(r.addr, "[::]", 4) == 0)
		cr_expect_str_eq(client_ask(addr, "v6\n"), "v6\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(listen, a_host_name)
{
	rig_start(&r, "-b", "localhost:0", NULL);
	expect_service();
}

Test(listen, a_unix_socket_comes_and_goes)
{
	char addr[256];
	struct stat st;

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-b", addr, NULL);
	cr_assert_eq(stat(rig_path("sock"), &st), 0);
	cr_expect(S_ISSOCK(st.st_mode));
	cr_expect_eq(st.st_mode & 0777, 0666);
	expect_service();
	cr_expect_eq(stat(rig_path("sock"), &st), -1);
}

Test(listen, a_unix_socket_has_the_mode_asked_for)
{
	char addr[256];
	struct stat st;

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-b", addr, "-s", "listen.unix_mode=0640", "-s",
	    "master.umask=077", NULL);
	cr_assert_eq(stat(rig_path("sock"), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0640);
}

Test(listen, a_unix_socket_has_the_owner_asked_for)
{
	char addr[256];
	struct stat st;

	need_root();
	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-b", addr, "-s", "listen.unix_user=nobody", "-s",
	    "listen.unix_group=nogroup", NULL);
	cr_assert_eq(stat(rig_path("sock"), &st), 0);
	cr_expect_eq(st.st_uid, 65534);
	cr_expect_eq(st.st_gid, 65534);
}

Test(listen, a_stale_unix_socket_is_replaced)
{
	char addr[256];

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-b", addr, NULL);
	rig_signal(&r, SIGKILL);
	cr_assert_eq(rig_exit_code(&r), 128 + SIGKILL);
	cr_assert(eventually(client_try(addr, 100) == -1));
	rig_start(&r, "-b", addr, NULL);
	expect_service();
}

Test(listen, a_live_unix_socket_is_left_alone)
{
	static struct rig other;
	char addr[256];

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&other, "-b", addr, NULL);
	expect_refusal(addr, "live");
	cr_expect_str_eq(rig_ask(&other, "still\n"), "still\n");
}

Test(listen, a_file_in_the_place_of_a_unix_socket_is_left_alone)
{
	char addr[256];
	const char *path = rig_file("sock", "precious\n");

	snprintf(addr, sizeof(addr), "unix:%s", path);
	expect_refusal(addr, "sock");
	cr_expect_str_eq(rig_read(&r, rig_path("sock")), "precious\n");
}

Test(listen, an_abstract_unix_socket)
{
	rig_start(&r, "-b", rig_abstract(), NULL);
	expect_service();
}

Test(listen, an_inherited_socket)
{
	r.npass = 1;
	r.pass[0] = net_listen(16);
	rig_start(&r, "-b", "fd:3", NULL);
	cr_expect_eq(r.port, net_port(r.pass[0]));
	expect_service();
}

Test(listen, an_inherited_socket_that_does_not_listen_is_refused)
{
	r.npass = 1;
	r.pass[0] = net_bind();
	expect_refusal("fd:3", "listen");
}

Test(listen, a_descriptor_that_is_not_open_is_refused)
{
	expect_refusal("fd:9", "not open");
}

Test(listen, a_descriptor_that_is_no_socket_is_refused)
{
	r.npass = 1;
	r.pass[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	expect_refusal("fd:3", "socket");
}

Test(listen, none_supervises_only)
{
	rig_start(&r, "-b", "none", NULL);
	rig_await_workers(&r, 2);
	cr_expect(!rig_log_says(&r, "listen.open"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(listen, sockets_have_names)
{
	rig_start(&r, "-b", "web=127.0.0.1:0", "-b", "localhost:0", NULL);
	cr_expect(rig_log_says(&r, "listen.open name=web"));
	cr_expect(rig_log_says(&r, "listen.open name=localhost_0"));
}

Test(listen, several_addresses_are_all_served)
{
	char addr[256];

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-b", "127.0.0.1:0", "-b", addr, "-b", rig_abstract(),
	    NULL);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 3);
	cr_expect_str_eq(client_ask(addr, "a\n"), "a\n");
	cr_expect_str_eq(client_ask(rig_abstract(), "b\n"), "b\n");
	cr_expect_str_eq(rig_ask(&r, "c\n"), "c\n");
}

Test(listen, a_taken_port_ends_the_start_with_69)
{
	int fd = net_listen(1);
	char addr[64];

	snprintf(addr, sizeof(addr), "127.0.0.1:%d", net_port(fd));
	expect_refusal(addr, "Address already in use");
}

Test(listen, an_unknown_host_ends_the_start_with_69)
{
	expect_refusal("nowhere.invalid:80", "nowhere.invalid");
}

Test(listen, a_foreign_address_ends_the_start_with_69)
{
	expect_refusal("192.0.2.1:80", "Cannot assign requested address");
}

Test(listen, one_bad_address_of_several_binds_none)
{
	int fd = net_listen(1);
	char taken[64], addr[256];
	struct stat st;

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	snprintf(taken, sizeof(taken), "127.0.0.1:%d", net_port(fd));
	cr_expect_eq(rig_run(&r, "-b", addr, "-b", taken, NULL), 69);
	cr_expect(!rig_log_says(&r, "worker.start"));
	cr_expect_eq(stat(rig_path("sock"), &st), -1);
}

Test(listen, a_backlog_beyond_the_kernels_is_told)
{
	rig_start(&r, "-s", "listen.backlog=1000000", NULL);
	cr_expect(rig_log_says(&r, "listen.backlog backlog=1000000"));
	expect_service();
}

/* Our own copy of the descriptor that listen.open names. */
static int
borrow_listener(void)
{
	int pidfd = pidfd_open(r.pid, 0), fd;

	fd = pidfd_getfd(pidfd, (int)rig_log_int(&r, "listen.open", "fd"), 0);
	close(pidfd);
	cr_assert_neq(fd, -1);
	return fd;
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, level, name, &value, &len);
	return value;
}

Test(listen, the_sockets_options_are_the_configs)
{
	int fd;

	rig_start(&r, "-s", "listen.keepalive=yes", "-s",
	    "listen.nodelay=yes", "-s", "listen.defer_accept=5s", NULL);
	fd = borrow_listener();
	cr_expect_neq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	cr_expect_neq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	cr_expect_neq(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	cr_expect_geq(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 5);
	expect_service();
}

Test(listen, by_default_nodelay_without_keepalive)
{
	int fd;

	rig_start(&r, NULL);
	fd = borrow_listener();
	cr_expect_neq(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	cr_expect_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	cr_expect_eq(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
}

Test(listen, the_port_is_free_at_once_after_the_stop)
{
	char addr[128];

	rig_start(&r, NULL);
	rig_ask(&r, "leaves a TIME_WAIT\n");
	snprintf(addr, sizeof(addr), "%s", r.addr);
	cr_expect_eq(rig_stop(&r), 0);
	rig_start(&r, "-b", addr, NULL);
	expect_service();
}

/* ---- sockets passed by a service manager */

static void
manager(void *arg)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", arg == NULL ? (int)getpid() : 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDNAMES", "front:back", 1);
}

static void
pass_two(void)
{
	r.npass = 2;
	r.pass[0] = net_listen(16);
	r.pass[1] = net_listen(16);
	r.child = manager;
	r.as_is = true;
}

Test(listen, the_managers_sockets_are_used)
{
	char addr[64];

	pass_two();
	rig_start(&r, NULL);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 2);
	cr_expect(rig_log_says(&r, "listen.open name=front"));
	cr_expect(rig_log_says(&r, "listen.open name=back"));
	snprintf(addr, sizeof(addr), "127.0.0.1:%d", net_port(r.pass[1]));
	cr_expect_str_eq(client_ask(addr, "back\n"), "back\n");
	expect_service();
}

Test(listen, the_managers_sockets_are_closed_when_bind_is_given)
{
	char addr[64];
	int port;

	pass_two();
	rig_start(&r, "-b", "127.0.0.1:0", NULL);
	cr_expect(rig_log_says(&r, "listen.note"));
	port = net_port(r.pass[0]);
	close(r.pass[0]);
	close(r.pass[1]);
	snprintf(addr, sizeof(addr), "127.0.0.1:%d", port);
	cr_expect_eq(client_try(addr, 1000), -1);
	expect_service();
}

Test(listen, sockets_for_another_pid_are_not_ours)
{
	pass_two();
	r.arg = &r;
	rig_start(&r, "-b", "127.0.0.1:0", NULL);
	cr_expect(!rig_log_says(&r, "listen.note"));
	cr_expect_eq(rig_log_count(&r, "listen.open"), 1);
	expect_service();
}
