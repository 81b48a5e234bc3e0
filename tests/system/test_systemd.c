/*
 * Under a service manager: what it is told, and when (sd_notify(3)), and the
 * sockets that it passes (sd_listen_fds(3)).
 */
#include <sys/wait.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"
#include "tests/system/manager.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

TestSuite(systemd, .init = rig_setup, .fini = rig_cleanup, .timeout = 90);

static struct rig r;

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
expect_order(const char *first, const char *then)
{
	int a = manager_at(first, 0), b = manager_at(then, 0);

	cr_expect(a != -1 && a < b, "%s is at %d, %s at %d", first, a, then,
	    b);
}

/* ---- what it is told */

Test(systemd, ready_is_said_once_and_only_when_the_pool_is)
{
	const char *go = rig_path("go");

	for (int abstract = 0; abstract < 2; abstract++) {
		manager_open(abstract);
		rig_launch(&r, "-w", "2", NOTIFY, "--", exec_script("wait",
		    "#!/bin/sh\nwhile ! [ -e %s ]; do sleep 0.02; done\n"
		    "exec %s serve\n", go, exec_mis()), NULL);
		rig_await_log(&r, "worker.start slot=1");
		manager_await(&r, "STATUS=0 of 2 workers ready, generation 1");
		cr_expect(always_ms(manager_count("READY=1") == 0, 100));
		rig_file("go", "");
		manager_await(&r, "READY=1");
		rig_await_ready(&r);
		manager_await(&r, "STATUS=2 of 2 workers ready, generation 1");
		cr_expect_str_eq(manager_text(manager_at("READY=1", 0)),
		    "READY=1");
		cr_expect_eq(rig_stop(&r), 0);
		cr_expect_eq(manager_count("READY=1"), 1);
		cr_expect_eq(manager_count("STOPPING=1"), 1);
		expect_order("READY=1", "STOPPING=1");
		unlink(go);
		manager_gone();
		manager_forget();
	}
}

Test(systemd, a_start_that_fails_is_not_ready)
{
	manager_open(false);
	cr_expect_eq(rig_run(&r, "-b", "127.0.0.1:0", "-w", "1", QUICK,
	    NOTIFY, "--", exec_mis(), "exit", "3", NULL), 75);
	cr_expect_eq(manager_count("READY=1"), 0);
}

Test(systemd, the_status_counts_and_the_stop_is_told_before_it_is_done)
{
	int fd;

	manager_open(false);
	rig_start(&r, "-w", "1", NULL);
	rig_signal(&r, SIGTTIN);
	manager_await(&r, "STATUS=2 of 2 workers ready, generation 1");
	rig_kill_worker(&r, 0, SIGKILL);
	manager_await(&r, "STATUS=1 of 2 workers ready");
	client_say(fd = rig_connect(&r), "half");
	rig_await_workers(&r, 2);
	rig_signal(&r, SIGTERM);
	manager_await(&r, "STOPPING=1");
	manager_await(&r, "STATUS=stopping, workers left: 1");
	cr_expect_not(rig_ended(&r));
	close(fd);
	cr_expect_eq(rig_exit_code(&r), 0);
}

/* HUP; where in what is told it began. Its clock is ours. */
static void
reload(const char *outcome)
{
	int64_t then = 0, before = now_us();

	manager_forget();
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, outcome);
	manager_await(&r, "READY=1");
	cr_expect_eq(sscanf(manager_text(manager_at("RELOADING=1", 0)),
	    "RELOADING=1\nMONOTONIC_USEC=%ld", &then), 1, "%s",
	    manager_text(manager_at("RELOADING=1", 0)));
	cr_expect(then >= before && then <= now_us());
	expect_order("RELOADING=1", "READY=1");
	cr_expect_eq(manager_count("RELOADING=1"), 1);
	cr_expect_eq(manager_count("READY=1"), 1);
}

Test(systemd, a_reload_is_told_from_its_begin_to_its_end)
{
	manager_open(false);
	rig_start(&r, "-c", rig_file("muster.ini", "[pool]\nworkers = 2\n"),
	    NULL);
	manager_await(&r, "READY=1");
	reload("reload.done gen=2");
	manager_await(&r, "STATUS=2 of 2 workers ready, generation 2");
	rig_file("muster.ini", "[pool]\nworkers = many\n");
	reload("reload.failed");
	rig_file("muster.ini", "[worker]\nready = notify\nready_timeout = "
	    "100ms\ncommand = sleep 60\n");
	reload("reload.failed gen=3");
	cr_expect_eq(rig_stop(&r), 0);
}

/* It may be what crashed us: it is not repeated, but nobody waits for it. */
Test(systemd, a_reload_that_a_crash_cut_off_has_failed)
{
	struct shim *shim = anew_shim();

	manager_open(false);
	rig_start(&r, "-w", "2", "-b", "localhost:0", NULL);
	manager_await(&r, "READY=1");
	manager_forget();
	shim->names_ms = 4000;
	rig_signal(&r, SIGHUP);
	manager_await(&r, "RELOADING=1");
	cr_assert(eventually(rig_count(&r) == 3));
	manager_forget();
	anew_crash(&r, SIGSEGV);
	rig_await_log(&r, "reload.failed why=signal");
	manager_await(&r, "READY=1");
	cr_expect(rig_log_has(&r, "ask for it again"));
	shim->names_ms = 0;
	reload("reload.done gen=2");
	/* That one has come to its end, whatever comes. */
	anew_crash(&r, SIGSEGV);
	anew_expect_well(&r, 2);
	cr_expect_eq(rig_log_count(&r, "reload.failed"), 1);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(systemd, a_slow_start_asks_for_more_time)
{
	manager_open(false);
	rig_launch(&r, "-w", "1", NOTIFY, "--", exec_mis(), "silent", NULL);
	manager_await(&r, "EXTEND_TIMEOUT_USEC=30000000");
	cr_expect_eq(manager_count("READY=1"), 0);
	rig_signal(&r, SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(systemd, a_daemon_says_which_process_it_is)
{
	char want[48], *log = strdup(rig_path("log")), set[PATH_MAX];

	manager_open(false);
	setenv("WATCHDOG_USEC", "200000", 1);
	manager_name_pid(&r, "WATCHDOG_PID");
	snprintf(set, sizeof(set), "master.log=%s", log);
	setenv("MUSTER_HEAL", "1", 1);
	anew_install(NULL);
	cr_assert_eq(rig_run(&r, "-d", "-b", "127.0.0.1:0", "-p",
	    rig_path("pid"), "-s", set, NULL), 0);
	r.log = log;
	r.pid = (pid_t)atoi(rig_read(&r, rig_path("pid")));
	r.ended = false;
	snprintf(want, sizeof(want), "READY=1\nMAINPID=%d", (int)r.pid);
	cr_expect_str_eq(manager_text(manager_at("READY=1", 0)), want);
	manager_forget();
	manager_await(&r, "WATCHDOG=1");
	/* Every image of it is the one that was meant. */
	anew_crash(&r, SIGSEGV);
	manager_forget();
	for (int pings = 0; pings < 2; pings++) {
		manager_await(&r, "WATCHDOG=1");
		manager_forget();
	}
	anew_install(ANEW_NEXT);
	anew_upgrade(&r, "9.9.9");
	manager_forget();
	for (int pings = 0; pings < 2; pings++) {
		manager_await(&r, "WATCHDOG=1");
		manager_forget();
	}
	cr_expect_eq(rig_stop(&r), 0);
	free(log);
}

/* ---- the watchdog */

#define PING_MS	150

static void
start_watched(void)
{
	manager_open(true);
	setenv("WATCHDOG_USEC", "300000", 1);
	manager_name_pid(&r, "WATCHDOG_PID");
}

static void
await_pings(int count)
{
	manager_forget();
	if (!eventually_ms(manager_count("WATCHDOG=1") >= count, 20000))
		rig_fail(&r, "%d pings, not %d",
		    manager_count("WATCHDOG=1"), count);
}

Test(systemd, is_pinged_twice_in_the_time_allowed_while_the_loop_turns)
{
	int64_t before, took;

	start_watched();
	rig_start(&r, "-w", "1", NULL);
	before = rig_now_ms();
	await_pings(8);
	took = rig_now_ms() - before;
	cr_expect(took >= 7 * PING_MS - 20, "8 pings within %d ms",
	    (int)took);
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	manager_forget();
	cr_expect(always_ms(manager_count("WATCHDOG=1") == 0, 4 * PING_MS));
	rig_signal(&r, SIGCONT);
	await_pings(2);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(systemd, is_pinged_whatever_becomes_of_workers)
{
	start_watched();
	rig_start(&r, "-w", "2", QUICK, NOTIFY, "--", exec_mis(), "serve",
	    NULL);
	for (int i = 0; i < 3; i++) {
		rig_kill_worker(&r, i % 2, SIGKILL);
		rig_kill_worker(&r, 1 - i % 2, SIGSTOP);
		await_pings(3);
		rig_await_workers(&r, 2);
	}
}

Test(systemd, is_told_by_every_image_of_the_master)
{
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
	start_watched();
	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	rig_await_workers(&r, 2);
	await_pings(2);
	anew_upgrade(&r, "");
	await_pings(2);
	reload("reload.done");
	anew_crash(&r, SIGSEGV);
	await_pings(2);
	reload("reload.done");
	manager_await(&r, "STATUS=2 of 2 workers ready, generation 4");
	manager_forget();
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(manager_count("STOPPING=1"), 1);
	cr_expect_eq(manager_count("READY=1"), 0);
}

/* ---- a manager that is no help */

Test(systemd, that_does_not_read_holds_nothing_up)
{
	manager_open(false);
	manager_fill();
	setenv("WATCHDOG_USEC", "20000", 1);
	manager_name_pid(&r, "WATCHDOG_PID");
	rig_start(&r, "-w", "2", NULL);
	rig_await_workers(&r, 2);
	for (int i = 0; i < 20; i++)
		cr_expect_str_eq(rig_ask(&r, "who waits?\n"), "who waits?\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done");
	/* It reads at last: what may not be lost is not. */
	manager_await(&r, "READY=1");
	cr_expect(eventually(manager_count("READY=1") == 2));
	expect_order("READY=1", "RELOADING=1");
	manager_await(&r, "STATUS=2 of 2 workers ready, generation 2");
	manager_fill();
	cr_expect_eq(rig_stop(&r), 0);
}

Test(systemd, that_is_gone_or_away_holds_nothing_up)
{
	manager_open(false);
	manager_gone();
	rig_start(&r, "-w", "1", NULL);
	cr_expect_str_eq(rig_ask(&r, "alone\n"), "alone\n");
	manager_back();
	manager_await(&r, "READY=1");
	manager_gone();
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	rig_start(&r, "-w", "1", NULL);
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- what it passes */

static void
pass(const char *names)
{
	r.npass = 2;
	r.pass[0] = net_listen(16);
	r.pass[1] = net_listen(16);
	r.as_is = true;
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static void
expect_variable(const char *key, const char *value)
{
	const char *got = exec_value(&r, 0, key);

	if (value == NULL || got == NULL)
		cr_expect(value == got, "%s is %s", key, got);
	else
		cr_expect_str_eq(got, value, "%s is %s", key, got);
}

Test(systemd, its_sockets_are_used_and_its_variables_are_for_the_master)
{
	pid_t pid;

	manager_open(true);
	pass("web:muster-1-admin");
	manager_name_pid(&r, "LISTEN_PID");
	manager_name_pid(&r, "WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "60000000", 1);
	setenv("FDSTORE", "8", 1);
	rig_start(&r, "-w", "1", OWN_OUTPUT, SET("worker.watchdog=0"),
	    SET("worker.ready=alive:10ms"), "--", exec_show(), "hold", NULL);
	exec_shown(&r, 1);
	pid = exec_pid(&r, 0);
	expect_variable("env.LISTEN_FDS", "2");
	expect_variable("env.LISTEN_FDNAMES", "web:muster-1-admin");
	cr_expect_eq(atoi(exec_value(&r, 0, "env.LISTEN_PID")), pid);
	expect_variable("env.WATCHDOG_USEC", NULL);
	expect_variable("env.WATCHDOG_PID", NULL);
	expect_variable("env.FDSTORE", NULL);
	cr_expect_not_null(exec_value(&r, 0, "env.NOTIFY_SOCKET"));
	cr_expect_str_neq(exec_value(&r, 0, "env.NOTIFY_SOCKET"),
	    getenv("NOTIFY_SOCKET"));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(manager_count("FDSTORE"), 0, "they are not ours");
}

Test(systemd, sockets_for_another_process_are_not_ours)
{
	int port;

	pass("web:admin");
	port = net_port(r.pass[0]);
	setenv("LISTEN_PID", "1", 1);
	rig_start(&r, "-w", "1", "-b", "127.0.0.1:0", NULL);
	cr_expect_neq(r.port, port);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 1);
	/* Nor are they closed, as those for us are if there is a bind. */
	cr_expect_eq(strncmp(look_fd(r.pid, 3), "socket:", 7), 0);
	cr_expect_eq(rig_stop(&r), 0);
	manager_name_pid(&r, "LISTEN_PID");
	rig_start(&r, "-w", "1", "-b", "127.0.0.1:0", NULL);
	cr_expect(rig_log_has(&r, "closed the 2 sockets passed"));
	cr_expect_neq(r.port, port);
	cr_expect_eq(rig_stop(&r), 0);
}
