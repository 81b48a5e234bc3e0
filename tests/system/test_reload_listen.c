/*
 * Reload and the addresses: those that are listened on before and after keep
 * their sockets, new ones come, old ones go when what they have is served.
 */
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/net.h"
#include "tests/system/reloads.h"

TestSuite(reload_listen, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 60);

static struct rig r;

/* A port of the loopback that is free by now. */
static const char *
free_address(void)
{
	static char texts[8][64];
	static int next;
	char *text = texts[next++ % 8];
	int fd = net_bind();

	snprintf(text, sizeof(texts[0]), "127.0.0.1:%d", net_port(fd));
	close(fd);
	return text;
}

static const char *
unix_address(const char *name)
{
	static char texts[8][256];
	static int next;
	char *text = texts[next++ % 8];

	snprintf(text, sizeof(texts[0]), "unix:%s", rig_path(name));
	return text;
}

static void
bind_to(const char *one, const char *two)
{
	reload_write("[listen]\nbind = %s\n%s%s\n", one,
	    two == NULL ? "" : "bind = ", two == NULL ? "" : two);
}

static bool
answers(const char *addr)
{
	int fd = client_try(addr, 1000);
	const char *line;

	if (fd == -1)
		return false;
	client_say(fd, "there\n");
	line = client_hear(fd);
	close(fd);
	return line != NULL && strcmp(line, "there\n") == 0;
}

static bool
refuses(const char *addr)
{
	int fd = client_try(addr, 200);

	if (fd != -1)
		close(fd);
	return fd == -1;
}

Test(reload_listen, port_0_keeps_its_port)
{
	reload_start(&r, "[listen]\nbind = 127.0.0.1:0\n");
	reload_succeeds(&r);
	reload_succeeds(&r);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 1);
	cr_expect(answers(r.addr));
	cr_expect(!rig_log_says(&r, "listen.closed"));
}

Test(reload_listen, an_address_comes_and_another_goes)
{
	const char *one = free_address(), *two = free_address();

	reload_start(&r, "[listen]\nbind = %s\n", one);
	bind_to(one, two);
	reload_succeeds(&r);
	cr_expect(answers(one) && answers(two));
	bind_to(two, NULL);
	reload_succeeds(&r);
	cr_expect(answers(two));
	cr_expect(eventually(refuses(one)));
	cr_expect(rig_log_says(&r, "listen.closed"));
	bind_to(one, NULL);
	reload_succeeds(&r);
	cr_expect(answers(one));
	cr_expect(eventually(refuses(two)));
	cr_expect_eq(rig_stop(&r), 0);
}

#define QUEUED	5

/* Stopped by SIGSTOP, a worker leaves its clients in the queue. */
static void
serves_the_queue(const char *old, const char *new)
{
	const char *heard;
	char text[32];
	int fds[QUEUED], kept;

	reload_start(&r, "[pool]\nworkers = 1\n[listen]\nbind = %s\n", old);
	kept = client_connect(old);
	client_say(kept, "first\n");
	cr_expect_str_eq(client_hear(kept), "first\n");
	rig_kill_worker(&r, 0, SIGSTOP);
	for (int i = 0; i < QUEUED; i++) {
		fds[i] = client_connect(old);
		snprintf(text, sizeof(text), "queued %d\n", i);
		client_say(fds[i], text);
	}
	client_say(kept, "second\n");
	reload_write("[pool]\nworkers = 1\n[listen]\nbind = %s\n", new);
	rig_signal(&r, SIGHUP);
	for (int i = 0; i < QUEUED; i++) {
		snprintf(text, sizeof(text), "queued %d\n", i);
		heard = client_hear(fds[i]);
		cr_expect_not_null(heard, "%d was not served", i);
		cr_expect(heard == NULL || strcmp(heard, text) == 0);
		close(fds[i]);
	}
	cr_expect_str_eq(client_hear(kept), "second\n");
	cr_expect(client_ended(kept));
	close(kept);
	rig_await_log(&r, "reload.done");
	cr_expect(eventually(refuses(old)));
	cr_expect(answers(new));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_listen, what_waits_at_an_address_that_goes_is_served)
{
	serves_the_queue(free_address(), free_address());
}

Test(reload_listen, what_waits_at_a_unix_socket_that_goes_is_served)
{
	serves_the_queue(unix_address("old"), unix_address("new"));
	cr_expect_neq(access(rig_path("old"), F_OK), 0);
}

Test(reload_listen, what_waits_at_an_abstract_socket_that_goes_is_served)
{
	serves_the_queue(rig_abstract(), unix_address("new"));
}

/* Clients of a kept address lose nothing when another one goes. */
Test(reload_listen, comings_and_goings_under_load)
{
	const char *kept = free_address(), *other = free_address();
	struct exact *one, *two;
	struct crowd *crowd;
	struct crowd_counts counts;

	reload_start(&r, "[listen]\nbind = %s\nbind = %s\n", kept, other);
	one = reload_load(kept, false);
	two = reload_load(kept, true);
	crowd = crowd_start(other, 4);
	for (int i = 0; i < rig_soak(4); i++) {
		bind_to(kept, i % 2 == 0 ? NULL : other);
		reload_succeeds(&r);
		rig_await_workers(&r, 2);
	}
	counts = crowd_stop(crowd);
	cr_expect_gt(counts.answered, 0);
	cr_expect_eq(counts.lost, 0, "%llu: %s",
	    (unsigned long long)counts.lost, counts.first);
	reload_unload(one, "new connections");
	reload_unload(two, "lasting connections");
	cr_expect_eq(rig_stop(&r), 0);
}

/* It goes, and is back while its old worker still drains. */
Test(reload_listen, an_address_that_comes_back_at_once)
{
	const char *one = free_address(), *two = free_address();
	int fd;

	reload_start(&r, "[pool]\nworkers = 1\n[listen]\nbind = %s\n", one);
	fd = client_connect(one);
	client_say(fd, "whole\nhalf");
	cr_expect_str_eq(client_hear(fd), "whole\n");
	bind_to(two, NULL);
	reload_succeeds(&r);
	cr_expect(eventually(refuses(one)));
	bind_to(one, NULL);
	reload_succeeds(&r);
	cr_expect(answers(one));
	client_say(fd, " a line\n");
	cr_expect_str_eq(client_hear(fd), "half a line\n");
	close(fd);
	rig_await_workers(&r, 2);
	cr_expect(answers(one));
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- Unix sockets */

Test(reload_listen, a_unix_socket_is_kept_and_then_unlinked)
{
	const char *addr = unix_address("sock"), *other = free_address();
	struct stat before, after;

	reload_start(&r, "[listen]\nbind = %s\n", addr);
	cr_assert_eq(stat(rig_path("sock"), &before), 0);
	bind_to(addr, other);
	reload_succeeds(&r);
	cr_assert_eq(stat(rig_path("sock"), &after), 0);
	cr_expect_eq(before.st_ino, after.st_ino);
	cr_expect(answers(addr));
	bind_to(other, NULL);
	reload_succeeds(&r);
	cr_expect_neq(access(rig_path("sock"), F_OK), 0);
	bind_to(addr, NULL);
	reload_succeeds(&r);
	cr_expect(answers(addr));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_neq(access(rig_path("sock"), F_OK), 0);
}

/* ---- what was passed */

static void
manager(void *arg)
{
	char pid[16];

	(void)arg;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_PID", pid, 1);
}

static void
keeps_what_was_passed(const char *rest)
{
	char one[64], two[64];

	r.npass = 2;
	r.pass[0] = net_listen(16);
	r.pass[1] = net_listen(16);
	r.child = manager;
	r.as_is = true;
	snprintf(one, sizeof(one), "127.0.0.1:%d", net_port(r.pass[0]));
	snprintf(two, sizeof(two), "127.0.0.1:%d", net_port(r.pass[1]));
	reload_start(&r, "[pool]\nworkers = 1\n%s", rest);
	reload_succeeds(&r);
	reload_succeeds(&r);
	rig_await_workers(&r, 1);
	cr_expect(answers(one));
	/* The program has it as well, but serves the first alone. */
	cr_expect(*rest != '\0' || answers(two));
	cr_expect(strncmp(look_fd(rig_worker(&r, 0), 4), "socket:", 7) == 0);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 2);
	cr_expect(!rig_log_says(&r, "listen.closed"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_listen, passed_sockets_are_kept)
{
	keeps_what_was_passed("");
}

Test(reload_listen, passed_sockets_are_kept_for_a_program)
{
	keeps_what_was_passed("[worker]\nready = notify\n"
	    "command = @MIS@ serve\n");
}

/* ---- what cannot be done */

static void
fails_for(const char *addr, const char *reason)
{
	char line[1024];

	reload_start(&r, "[listen]\nbind = 127.0.0.1:0\n");
	reload_write("[listen]\nbind = 127.0.0.1:0\nbind = %s\nbind = %s\n"
	    "[pool]\nworkers = 5\n", unix_address("more"), addr);
	snprintf(line, sizeof(line), "%s", reload_fails(&r));
	cr_expect_not_null(strstr(line, addr), "%s", line);
	cr_expect_not_null(strstr(line, reason), "no %s: %s", reason, line);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 1);
	cr_expect_neq(access(rig_path("more"), F_OK), 0);
	cr_expect(answers(r.addr));
	bind_to("127.0.0.1:0", NULL);
	reload_succeeds(&r);
	cr_expect(answers(r.addr));
}

Test(reload_listen, an_address_in_use_changes_nothing)
{
	char addr[64];

	snprintf(addr, sizeof(addr), "127.0.0.1:%d", net_port(net_listen(1)));
	fails_for(addr, "in use");
}

Test(reload_listen, an_address_of_another_machine_changes_nothing)
{
	fails_for("192.0.2.1:0", "assign");
}

Test(reload_listen, a_descriptor_changes_nothing)
{
	fails_for("fd:7", "was not there at the start");
}

/* ---- host names */

Test(reload_listen, a_host_name_keeps_what_is_bound_to_its_address)
{
	const char *addr = free_address();
	char name[64];

	reload_start(&r, "[listen]\nbind = %s\n", addr);
	snprintf(name, sizeof(name), "localhost:%s", strchr(addr, ':') + 1);
	bind_to(name, NULL);
	reload_succeeds(&r);
	cr_expect(answers(addr));
	cr_expect(!rig_log_says(&r, "listen.closed"));
	reload_succeeds(&r);
	bind_to(addr, NULL);
	reload_succeeds(&r);
	cr_expect(answers(addr));
	cr_expect(!rig_log_says(&r, "listen.closed addr=127.0.0.1"));
}

static int dns;			/* the name server: a socket that is silent */
static char dns_addr[32];

/* In the master alone names are asked for at ours. */
static void
use_dns(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount(rig_path("resolv"), "/etc/resolv.conf", NULL, MS_BIND,
	    NULL) == -1)
		_exit(99);
}

static void
start_with_dns(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(53) };
	unsigned pid = (unsigned)getpid();
	char conf[128];

	need_root();
	snprintf(dns_addr, sizeof(dns_addr), "127.53.%u.%u", pid >> 8 & 255,
	    pid & 255);
	inet_pton(AF_INET, dns_addr, &in.sin_addr);
	dns = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(dns, (struct sockaddr *)&in, sizeof(in)) == -1)
		rig_skip("no name server can be had");
	snprintf(conf, sizeof(conf), "nameserver %s\noptions timeout:9\n",
	    dns_addr);
	rig_file("resolv", conf);
	r.child = use_dns;
	reload_write("%s", text);
	rig_launch(&r, "-c", rig_path("conf"), NULL);
	if (!eventually(rig_log_has(&r, "pool.ready") || rig_ended(&r)) ||
	    (r.ended && WEXITSTATUS(r.status) == 99))
		rig_skip("no mount namespace can be had");
	rig_await_ready(&r);
}

/* A query of the master's child is there. */
static bool
asked(void)
{
	char query[512];

	return recv(dns, query, sizeof(query), MSG_DONTWAIT) > 0;
}

#define NAMED	"[listen]\nbind = 127.0.0.1:0\nbind = slow.example.:8000\n"

static void
ask_for_a_name(void)
{
	r.as_is = true;
	start_with_dns("[listen]\nbind = 127.0.0.1:0\n");
	reload_write(NAMED);
	rig_signal(&r, SIGHUP);
	cr_assert(eventually(asked()), "no name server was asked");
}

Test(reload_listen, a_name_that_is_never_answered_holds_up_nobody)
{
	int64_t from;

	ask_for_a_name();
	cr_expect(answers(r.addr));
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") == 3));
	rig_queue(&r, 1);
	/* One of them looks up the name. */
	cr_assert(eventually(rig_count(&r) == 4));
	from = rig_now_ms();
	rig_await_log(&r, "reload.failed");
	cr_expect_lt(rig_now_ms() - from, 5500);
	cr_expect(rig_log_has(&r, "no answer within 5000 ms"));
	rig_await_workers(&r, 3);
	cr_expect(answers(r.addr));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_listen, a_stop_does_not_wait_for_a_name)
{
	int64_t from;

	ask_for_a_name();
	from = rig_now_ms();
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_lt(rig_now_ms() - from, 3000);
}

Test(reload_listen, a_fast_stop_does_not_wait_for_a_name)
{
	ask_for_a_name();
	rig_signal(&r, SIGQUIT);
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(reload_listen, a_second_reload_does_not_wait_for_the_first_ones_name)
{
	ask_for_a_name();
	reload_write("[listen]\nbind = 127.0.0.1:0\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 2);	/* nobody looks up a name any more */
	cr_expect(!rig_log_says(&r, "reload.failed"));
}

/* The end of a renewal is not that of the reload which is prepared by now. */
Test(reload_listen, a_name_is_still_looked_up_when_the_one_before_fails)
{
	r.as_is = true;
	start_with_dns("[listen]\nbind = 127.0.0.1:0\n");
	reload_write("[listen]\nbind = 127.0.0.1:0\n[worker]\n"
	    "command = @MIS@ silent\nready = notify\n"
	    "ready_timeout = 500ms\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.start gen=2");
	reload_write(NAMED);
	rig_signal(&r, SIGHUP);
	cr_assert(eventually(asked()));
	rig_await_log(&r, "reload.failed gen=2");
	rig_await_text(&r, "no answer within 5000 ms");
	cr_expect(answers(r.addr));
}

Test(reload_listen, a_name_that_there_is_not_changes_nothing)
{
	fails_for("no-such-host.invalid:80", "no-such-host.invalid");
}

/* ---- nothing is lost */

static void
loses_nothing(const char *addr, const char *accept)
{
	struct exact *one, *two;

	reload_start(&r, "[listen]\nbind = %s\naccept = %s\n", addr, accept);
	one = reload_load(r.addr, false);
	two = reload_load(r.addr, true);
	for (int i = 0; i < rig_soak(4); i++) {
		reload_succeeds(&r);
		reload_answered(one, 100);
		rig_await_workers(&r, 2);
	}
	reload_unload(one, "new connections");
	reload_unload(two, "lasting connections");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_listen, shared_tcp_loses_nothing)
{
	loses_nothing("127.0.0.1:0", "shared");
}

Test(reload_listen, exclusive_tcp_loses_nothing)
{
	loses_nothing("127.0.0.1:0", "exclusive");
}

Test(reload_listen, reuseport_tcp_loses_nothing)
{
	loses_nothing("127.0.0.1:0", "reuseport");
}

Test(reload_listen, shared_unix_loses_nothing)
{
	loses_nothing(unix_address("sock"), "shared");
}

Test(reload_listen, exclusive_unix_loses_nothing)
{
	loses_nothing(unix_address("sock"), "exclusive");
}
