/*
 * Sockets that the service manager keeps while muster is away (FDSTORE of
 * sd_notify(3)): whoever connects then waits, and is answered by the next.
 */
#include <sys/socket.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/exact/exact.h"
#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/manager.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

TestSuite(store, .init = rig_setup, .fini = rig_cleanup, .timeout = 90);

#define SET(text)	"-s", text
#define WEB		"web=127.0.0.1:0"

#define ONE		"[listen]\nbind = web=127.0.0.1:0\n"

static struct rig r;

static void
setup(const char *room)
{
	manager_open(false);
	if (room != NULL)
		setenv("FDSTORE", room, 1);
}

static void
kill_master(void)
{
	rig_signal(&r, SIGKILL);
	cr_assert_eq(rig_exit_code(&r), 128 + SIGKILL);
}

static void
await_kept(int count)
{
	if (!eventually_ms(manager_kept() == count, 20000))
		rig_fail(&r, "%d sockets are kept, not %d", manager_kept(),
		    count);
}

/* In the queue of a socket that nobody serves yet. */
static int
wait_at(const char *addr)
{
	int fd = client_connect(addr);

	client_say(fd, "who serves?\n");
	return fd;
}

static void
expect_answer(int fd)
{
	const char *line = client_hear(fd);

	cr_expect(line != NULL && strcmp(line, "who serves?\n") == 0, "%s",
	    line);
	close(fd);
}

static const char *
unix_addr(void)
{
	static char text[PATH_MAX];

	snprintf(text, sizeof(text), "unix:%s", rig_path("sock"));
	return text;
}

Test(store, who_connects_after_a_kill_is_answered_by_the_next)
{
	const char *abstract = rig_abstract();
	char addr[128];
	pid_t pids[RIG_MAX];
	int fds[3];

	setup("8");
	rig_start(&r, "-w", "2", "-b", WEB, "-b", unix_addr(), "-b", abstract,
	    NULL);
	rig_await_workers(&r, 2);
	await_kept(3);
	cr_expect_neq(manager_kept_at("-web"), -1);
	cr_expect_str_eq(manager_text(manager_at("FDSTORE=1", 0)) + 10,
	    strstr(manager_text(manager_at("FDSTORE=1", 0)), "FDPOLL=0\n"));
	for (int i = 0; i < 3; i++) {
		snprintf(addr, sizeof(addr), "%s", r.addr);
		kill_master();
		cr_assert(eventually(look_children(getpid(), pids, RIG_MAX) ==
		    0));
		fds[0] = wait_at(addr);
		fds[1] = wait_at(unix_addr());
		fds[2] = wait_at(abstract);
		manager_pass_kept(&r);
		rig_start(&r, "-w", "2", "-b", WEB, "-b", unix_addr(), "-b",
		    abstract, NULL);
		cr_expect_eq(rig_log_count(&r, "listen.kept"), 3);
		cr_expect_str_eq(r.addr, addr);
		for (int n = 0; n < 3; n++)
			expect_answer(fds[n]);
		cr_expect_eq(manager_kept(), 3);
	}
	cr_expect_eq(rig_stop(&r), 0);
	/* The names of the others went, and they let nobody in again. */
	await_kept(1);
	cr_expect_neq(manager_kept_at("-web"), -1);
	cr_expect_eq(access(rig_path("sock"), F_OK), -1);
}

Test(store, restarts_under_load_lose_nobody)
{
	struct exact_plan plan = { .protocol = EXACT_ECHO, .clients = 8,
		.think_ms = 1 };
	struct exact_counts counts;
	struct exact *exact;
	uint64_t before;

	setup("1");
	rig_start(&r, "-w", "2", NULL);
	rig_await_workers(&r, 2);
	await_kept(1);
	snprintf(plan.addr, sizeof(plan.addr), "%s", r.addr);
	cr_assert_not_null(exact = exact_start(&plan));
	for (int i = 0; i < rig_soak(2); i++) {
		before = exact_now(exact).ok;
		cr_assert(eventually(exact_now(exact).ok > before + 100));
		cr_assert_eq(rig_stop(&r), 0);
		manager_pass_kept(&r);
		rig_start(&r, "-w", "2", NULL);
		cr_assert_str_eq(r.addr, plan.addr);
	}
	before = exact_now(exact).ok;
	cr_assert(eventually(exact_now(exact).ok > before + 100));
	counts = exact_stop(exact);
	cr_expect_eq(exact_lost(&counts), 0, "%s", exact_line(&counts));
	cr_expect_eq(counts.refused, 0, "%s", exact_line(&counts));
}

Test(store, knows_sockets_without_a_port_of_their_own_by_their_names)
{
	char addr[128], line[512];
	int port;

	setup("8");
	rig_start(&r, "-w", "1", "-b", "a=127.0.0.1:0", "-b",
	    "b=127.0.0.1:0", NULL);
	await_kept(2);
	snprintf(addr, sizeof(addr), "%s", r.addr);
	kill_master();
	manager_pass_kept(&r);
	port = net_port(r.pass[0]);
	/* And one that has a port is not taken for another's. */
	snprintf(line, sizeof(line), "b=127.0.0.1:%d", port);
	rig_start(&r, "-w", "1", "-b", "a=127.0.0.1:0", "-b", line, NULL);
	cr_expect_str_eq(r.addr, addr);
	cr_expect_eq(rig_log_count(&r, "listen.kept"), 2);
	await_kept(2);
	kill_master();
	manager_pass_kept(&r);
	cr_expect_eq(net_port(r.pass[0]), port);
	rig_start(&r, "-w", "1", "-b", "a=127.0.0.1:0", "-b",
	    "b=127.0.0.1:0", NULL);
	cr_expect_str_eq(r.addr, addr);
}

Test(store, follows_reloads)
{
	static const char one[] = ONE, fails[] = ONE "[worker]\n"
	    "command = sleep 60\nready = notify\nready_timeout = 50ms\n";
	char both[256];

	setup("8");
	snprintf(both, sizeof(both), ONE "bind = more=%s\n",
	    rig_abstract());
	r.as_is = true;
	rig_start(&r, "-c", rig_file("muster.ini", one), NULL);
	await_kept(1);
	rig_file("muster.ini", both);
	rig_signal(&r, SIGHUP);
	await_kept(2);
	rig_await_log(&r, "reload.done gen=2");
	rig_file("muster.ini", fails);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed");
	cr_expect(eventually(manager_kept_at("-more") != -1));
	cr_expect_eq(manager_kept(), 2);
	rig_file("muster.ini", one);
	rig_signal(&r, SIGHUP);
	await_kept(1);
	cr_expect_neq(manager_kept_at("-web"), -1);
	/* Under another name it is the same to systemd. */
	rig_file("muster.ini", "[listen]\nbind = www=127.0.0.1:0\n");
	rig_signal(&r, SIGHUP);
	cr_expect(eventually(manager_kept_at("-www") != -1));
	cr_expect_eq(manager_kept(), 1);
}

Test(store, is_known_to_every_image_of_the_master)
{
	char both[256];

	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
	setup("8");
	anew_install(NULL);
	snprintf(both, sizeof(both), ONE "bind = %s\n", rig_abstract());
	r.as_is = true;
	rig_start(&r, "-c", rig_file("muster.ini", both), NULL);
	await_kept(2);
	anew_upgrade(&r, "");
	anew_crash(&r, SIGSEGV);
	cr_expect_eq(manager_kept(), 2);
	rig_file("muster.ini", ONE);
	rig_signal(&r, SIGHUP);
	await_kept(1);
	cr_expect_neq(manager_kept_at("-web"), -1);
}

/* Shut for good they would be of no use to the next, and hold its name. */
Test(store, a_stop_cut_short_leaves_what_can_be_used_again)
{
	const char *abstract = rig_abstract();
	pid_t pids[RIG_MAX];
	int fd;

	setup("8");
	rig_start(&r, "-w", "1", SET("worker.on_master_death=kill"), "-b",
	    WEB, "-b", abstract, "-b", unix_addr(), NULL);
	await_kept(3);
	client_say(fd = rig_connect(&r), "whole\nhalf");
	cr_assert_str_eq(client_hear(fd), "whole\n");
	rig_signal(&r, SIGTERM);
	await_kept(1);
	cr_expect_not(rig_ended(&r));
	kill_master();
	cr_assert(eventually(look_children(getpid(), pids, RIG_MAX) == 0));
	close(fd);
	manager_pass_kept(&r);
	rig_start(&r, "-w", "1", "-b", WEB, "-b", abstract, "-b",
	    unix_addr(), NULL);
	cr_expect_eq(rig_log_count(&r, "listen.kept"), 1);
	expect_answer(wait_at(r.addr));
	expect_answer(wait_at(abstract));
	expect_answer(wait_at(unix_addr()));
}

/* As where no filter is allowed: nobody gets in any more. */
Test(store, one_that_is_spent_is_bound_anew)
{
	int nowhere = INT_MAX;
	char addr[128];

	need_root();
	setup("8");
	rig_start(&r, "-w", "1", NULL);
	await_kept(1);
	snprintf(addr, sizeof(addr), "%s", r.addr);
	kill_master();
	manager_pass_kept(&r);
	cr_assert_eq(setsockopt(r.pass[0], SOL_SOCKET, SO_BINDTOIFINDEX,
	    &nowhere, sizeof(nowhere)), 0);
	rig_start(&r, "-w", "1", "-b", addr, NULL);
	cr_expect_eq(rig_log_count(&r, "listen.kept"), 0);
	expect_answer(wait_at(addr));
	await_kept(1);
}

Test(store, what_is_not_asked_for_any_more_is_closed_and_forgotten)
{
	char addr[64];
	int held;

	setup("8");
	rig_start(&r, "-w", "1", NULL);
	await_kept(1);
	kill_master();
	manager_pass_kept(&r);
	held = dup(r.pass[0]);		/* systemd's */
	snprintf(addr, sizeof(addr), "0.0.0.0:%d", r.port);
	rig_start(&r, "-w", "1", "-b", addr, NULL);
	cr_expect(rig_log_says(&r, "listen.note"));
	cr_expect_eq(rig_log_count(&r, "listen.kept"), 0);
	cr_expect(eventually(manager_count("FDSTOREREMOVE=1") == 1));
	await_kept(1);
	cr_expect_str_eq(rig_ask(&r, "anew\n"), "anew\n");
	close(held);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(store, takes_what_fits_and_what_was_asked_for)
{
	const char *abstract = rig_abstract();

	setup(NULL);
	rig_start(&r, "-w", "1", NULL);
	manager_await(&r, "READY=1");
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(manager_count("FDSTORE"), 0);
	setenv("FDSTORE", "1", 1);
	rig_start(&r, "-w", "1", "-b", WEB, "-b", abstract, NULL);
	cr_expect_eq(rig_log_count(&r, "systemd.note"), 1);
	await_kept(1);
	cr_expect_eq(rig_stop(&r), 0);
	manager_pass_kept(&r);
	/* Each slot has one of its own, in an order that would be lost. */
	rig_start(&r, "-w", "2", SET("listen.accept=reuseport"), "-b", WEB,
	    NULL);
	await_kept(0);
	cr_expect_str_eq(rig_ask(&r, "mine\n"), "mine\n");
	cr_expect_eq(rig_stop(&r), 0);
}
