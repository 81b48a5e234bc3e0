/*
 * muster --adopt, after a kill of the master. The survivors are the test's
 * children then, so that a master's own are those that it started itself.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"
#include "tests/system/net.h"
#include "tests/system/programs.h"

TestSuite(adopt, .init = rig_setup, .fini = rig_cleanup, .timeout = 90);

#define SERVE		SET("worker.on_master_death=serve")
#define ECHO		"--", "/usr/bin/python3", program_text("@FIX@/echo.py")

static struct rig old, new;
static pid_t survivors[RIG_MAX];
static int count;

static const char *
name(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "adopt-%d", (int)getpid());
	return text;
}

static void
kill_master(struct rig *r)
{
	count = rig_workers(r, survivors);
	cr_assert_gt(count, 0);
	rig_signal(r, SIGKILL);
	cr_assert_eq(rig_exit_code(r), 128 + SIGKILL);
}

static int
alive(void)
{
	int left = 0;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	for (int i = 0; i < count; i++)
		left += look_alive(survivors[i]);
	return left;
}

/* The survivors are gone, and so many of its own serve. */
static void
await_replaced(struct rig *r, int workers)
{
	if (!eventually(alive() == 0))
		rig_fail(r, "%d survivors are left", alive());
	rig_await_workers(r, workers);
	rig_await_log(r, "reload.done");
}

static struct exact *
load(enum exact_protocol protocol, bool keep_alive)
{
	struct exact_plan plan = { .protocol = protocol, .clients = 8,
		.keep_alive = keep_alive, .think_ms = 1 };
	struct exact *exact;

	snprintf(plan.addr, sizeof(plan.addr), "%s", old.addr);
	exact = exact_start(&plan);
	cr_assert_not_null(exact);
	cr_assert(eventually(exact_now(exact).ok > 50));
	return exact;
}

static void
unload(struct exact *exact)
{
	struct exact_counts counts;
	uint64_t before = exact_now(exact).ok;

	cr_expect(eventually(exact_now(exact).ok > before + 50));
	counts = exact_stop(exact);
	cr_expect_eq(exact_lost(&counts), 0, "%s", exact_line(&counts));
	cr_expect_eq(counts.refused, 0, "%s", exact_line(&counts));
}

static void
answers(const char *addr)
{
	cr_expect_str_eq(client_ask(addr, "still there\n"), "still there\n",
	    "%s", addr);
}

/* Two workers of each, the first master killed once they are ready. */
static void
start_old(void)
{
	rig_start(&old, "-n", name(), "-w", "2", SERVE, NULL);
	rig_await_workers(&old, 2);
}

static void
adopt(void)
{
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, NULL);
}

Test(adopt, built_in_workers_are_replaced_and_nobody_is_lost)
{
	struct exact *exact;

	start_old();
	exact = load(EXACT_ECHO, false);
	kill_master(&old);
	adopt();
	cr_expect_eq(rig_log_count(&new, "survivor.found"), 2);
	cr_expect_eq(rig_log_count(&new, "survivor.socket"), 1);
	await_replaced(&new, 2);
	unload(exact);
	cr_expect_eq(rig_count(&new), 2);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, programs_are_replaced_and_nobody_is_lost)
{
	struct exact *exact;

	rig_start(&old, "-n", name(), "-w", "2", SERVE,
	    SET("worker.ready=alive:300ms"), ECHO, NULL);
	rig_await_workers(&old, 2);
	exact = load(EXACT_ECHO, false);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, SET("worker.ready=alive:300ms"), ECHO, NULL);
	cr_expect_eq(rig_log_count(&new, "survivor.found"), 2);
	await_replaced(&new, 2);
	unload(exact);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, who_connects_while_there_is_no_master_is_served)
{
	int fds[8];

	start_old();
	kill_master(&old);
	for (int i = 0; i < 8; i++)
		client_say(fds[i] = client_connect(old.addr), "half");
	adopt();
	for (int i = 0; i < 8; i++) {
		client_say(fds[i], " whole\n");
		cr_expect_str_eq(client_hear(fds[i]), "half whole\n");
		close(fds[i]);
	}
	await_replaced(&new, 2);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, without_survivors_it_starts_as_usual_and_says_so)
{
	rig_start(&new, "--adopt", "-n", name(), "-w", "1", NULL);
	cr_expect(rig_log_says(&new, "survivor.none"));
	rig_await_workers(&new, 1);
	answers(new.addr);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, workers_that_drain_leave_the_port_to_a_new_start)
{
	rig_start(&old, "-n", name(), "-w", "2", NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	cr_assert(eventually(alive() == 0));
	adopt();
	rig_await_workers(&new, 2);
	answers(old.addr);
}

Test(adopt, a_living_master_of_that_name_is_left_alone)
{
	start_old();
	cr_expect_eq(rig_run(&new, "--adopt", "-n", name(), "-b", old.addr,
	    NULL), 69);
	cr_expect(rig_log_has(&new, "living master"), "%s",
	    rig_read(&new, new.err));
	answers(old.addr);
	cr_expect_eq(rig_count(&old), 2);
	cr_expect_eq(rig_stop(&old), 0);
}

Test(adopt, another_name_is_not_meant)
{
	start_old();
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", "somebody-else", "-w", "1", NULL);
	cr_expect(rig_log_says(&new, "survivor.none"));
	cr_expect_eq(alive(), 2);
	answers(old.addr);
}

/* ---- addresses */

static void
become_nobody(void *arg)
{
	(void)arg;
	if (setgroups(0, NULL) == -1 || setgid(65534) == -1 ||
	    setuid(65534) == -1)
		_exit(126);
}

static void
start_many(struct rig *r, bool adopts, const char *const *addrs)
{
	rig_start(r, adopts ? "--adopt" : "-v", "-n", name(), "-w", "2",
	    SERVE, "-b", addrs[0], "-b", addrs[1], "-b", addrs[2], "-b",
	    addrs[3], NULL);
	rig_await_workers(r, 2);
}

Test(adopt, every_kind_of_address_is_taken_over)
{
	char path[300], v4[64], v6[64];
	const char *addrs[4] = { v4, v6, rig_abstract(), path };
	/* Not port + 1: connect(2) is given even ports, bind(2) odd ones. */
	int fds[2] = { net_listen(1), net_listen(1) };
	int port = net_port(fds[0]), other = net_port(fds[1]);

	close(fds[0]);
	close(fds[1]);
	snprintf(path, sizeof(path), "unix:%s", rig_path("sock"));
	snprintf(v4, sizeof(v4), "localhost:%d", port);
	snprintf(v6, sizeof(v6), "web=:%d", other);
	start_many(&old, false, addrs);
	kill_master(&old);
	start_many(&new, true, addrs);
	await_replaced(&new, 2);
	cr_expect_geq(rig_log_count(&new, "survivor.socket"), 4);
	snprintf(v4, sizeof(v4), "127.0.0.1:%d", port);
	snprintf(v6, sizeof(v6), "[::1]:%d", other);
	for (int i = 0; i < 4; i++)
		answers(addrs[i]);
	cr_expect_eq(rig_stop(&new), 0);
	cr_expect_eq(access(path + 5, F_OK), -1, "its name is left");
}

Test(adopt, a_socket_with_a_port_is_not_taken_for_one_without)
{
	rig_start(&old, "-n", name(), "-w", "1", SERVE, NULL);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "1", "-b",
	    "any=127.0.0.1:0", "-b", old.addr, SERVE, NULL);
	cr_expect_neq(new.port, old.port, "any is %s", new.addr);
	cr_expect(rig_log_says(&new, "survivor.socket"));
	answers(old.addr);
	answers(new.addr);
	await_replaced(&new, 1);
}

Test(adopt, a_user_takes_over_a_unix_socket_too)
{
	char path[300];

	need_root();
	old.child = new.child = become_nobody;
	chmod(rig_path(""), 0777);
	snprintf(path, sizeof(path), "unix:%s", rig_path("sock"));
	rig_start(&old, "-n", name(), "-w", "2", SERVE, "-b", path, NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	adopt();
	await_replaced(&new, 2);
	answers(path);
	cr_expect_eq(rig_stop(&new), 0);
	cr_expect_eq(access(path + 5, F_OK), -1, "its name is left");
}

Test(adopt, an_address_that_changed_is_bound_and_the_old_one_closed)
{
	char kept[128];

	rig_start(&old, "-n", name(), "-w", "2", SERVE, "-b", "127.0.0.1:0",
	    "-b", rig_abstract(), NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	snprintf(kept, sizeof(kept), "%s", old.addr);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", SERVE, "-b", kept,
	    "-b", "127.0.0.1:0", NULL);
	await_replaced(&new, 2);
	answers(kept);
	cr_expect_eq(client_try(rig_abstract(), 500), -1);
	cr_expect_eq(rig_log_count(&new, "listen.open"), 2);
}

Test(adopt, where_each_slot_had_a_socket_nobody_is_lost_either)
{
	struct exact *exact;

	rig_start(&old, "-n", name(), "-w", "3", SERVE,
	    SET("listen.accept=reuseport"), NULL);
	rig_await_workers(&old, 3);
	exact = load(EXACT_ECHO, false);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "3", "-b", old.addr,
	    SERVE, SET("listen.accept=reuseport"), NULL);
	cr_expect_eq(rig_log_count(&new, "survivor.socket"), 3);
	await_replaced(&new, 3);
	unload(exact);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, workers_without_any_socket_are_known_by_their_name)
{
	rig_start(&old, "-n", name(), "-w", "2", SERVE, "-b", "none", NOTIFY,
	    "--", exec_mis(), "serve", NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", SERVE, "-b",
	    "none", NOTIFY, "--", exec_mis(), "serve", NULL);
	await_replaced(&new, 2);
	cr_expect_eq(rig_stop(&new), 0);
}

/* ---- users */

Test(adopt, a_user_adopts_his_own_workers)
{
	need_root();
	old.child = new.child = become_nobody;
	start_old();
	kill_master(&old);
	rig_launch(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, NULL);
	if (eventually(rig_log_has(&new, "pool.ready") || rig_ended(&new)) &&
	    rig_log_has(&new, "ptrace_scope"))
		rig_skip("ptrace is restricted here");
	rig_await_ready(&new);
	await_replaced(&new, 2);
	answers(old.addr);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, root_adopts_workers_of_the_configured_user)
{
	need_root();
	rig_start(&old, "-n", name(), "-w", "2", SERVE,
	    SET("master.user=nobody"), NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, SET("master.user=nobody"), NULL);
	await_replaced(&new, 2);
	answers(old.addr);
}

Test(adopt, is_refused_where_the_sockets_may_not_be_taken)
{
	need_root();
	rig_start(&old, "-n", name(), "-w", "2", SERVE,
	    SET("master.user=nobody"), NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	new.child = become_nobody;
	cr_expect_eq(rig_run(&new, "--adopt", "-n", name(), "-b", old.addr,
	    NULL), 69);
	cr_expect(rig_log_has(&new, "that needs root"), "%s",
	    rig_read(&new, new.err));
	cr_expect_eq(alive(), 2);
	answers(old.addr);
}

/* A process of somebody else that calls itself our worker. */
Test(adopt, root_does_not_take_what_another_user_offers)
{
	need_root();
	old.child = become_nobody;
	start_old();
	kill_master(&old);
	cr_expect_eq(rig_run(&new, "--adopt", "-n", name(), "-b", old.addr,
	    NULL), 69);
	cr_expect(rig_log_says(&new, "survivor.left slot=0"));
	cr_expect_eq(alive(), 2);
}

/* ---- while they are still there */

/* Past its exec: a program is known by what it was started with. */
static bool
has_successor(void)
{
	pid_t pids[RIG_MAX];

	return rig_workers(&new, pids) == 1 &&
	    strstr(look_file(pids[0], "environ"), "MUSTER_SLOT=") != NULL;
}

/* The successors never become ready, so the survivors stay. */
static void
adopt_for_long(void)
{
	rig_start(&old, "-n", name(), "-w", "2", SERVE, NOTIFY, "--", exec_mis(),
	    "serve", NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, NOTIFY, "--", exec_mis(), "silent", NULL);
	if (!eventually(has_successor()))
		rig_fail(&new, "no successor was started");
	cr_expect_eq(alive(), 2);
}

Test(adopt, a_survivor_that_dies_before_its_time_is_replaced)
{
	char words[64];

	adopt_for_long();
	kill(survivors[1], SIGKILL);
	snprintf(words, sizeof(words), "worker.died pid=%d",
	    (int)survivors[1]);
	cr_assert(eventually(alive() == 1));
	rig_await_log(&new, words);
	cr_expect(eventually(rig_count(&new) >= 2));
	answers(old.addr);
}

Test(adopt, a_stop_stops_the_survivors_too)
{
	adopt_for_long();
	cr_expect_eq(rig_stop(&new), 0);
	cr_expect_eq(alive(), 0);
	cr_expect_eq(client_try(old.addr, 500), -1);
}

Test(adopt, a_survivor_that_does_not_stop_is_killed)
{
	rig_start(&old, "-n", name(), "-w", "1", SERVE, NOTIFY, "--", exec_mis(),
	    "ignore-term", NULL);
	rig_await_workers(&old, 1);
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "1", "-b", old.addr,
	    NOTIFY, SET("worker.graceful_timeout=200ms"), "--", exec_mis(),
	    "serve", NULL);
	await_replaced(&new, 1);
	rig_await_log(&new, "worker.kill");
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, killed_again_it_is_adopted_again)
{
	struct rig third = { 0 };
	struct exact *exact;

	start_old();
	exact = load(EXACT_ECHO, true);
	kill_master(&old);
	adopt();
	await_replaced(&new, 2);
	kill_master(&new);
	rig_start(&third, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, NULL);
	await_replaced(&third, 2);
	unload(exact);
	cr_expect_eq(rig_stop(&third), 0);
}

Test(adopt, killed_while_it_adopts_all_are_adopted)
{
	struct rig third = { 0 };
	pid_t first[2];

	adopt_for_long();
	memcpy(first, survivors, sizeof(first));
	kill_master(&new);
	survivors[count++] = first[0];
	survivors[count++] = first[1];
	cr_expect_eq(count, 3);
	rig_start(&third, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    NOTIFY, "--", exec_mis(), "serve", NULL);
	cr_expect_eq(rig_log_count(&third, "survivor.found"), 3);
	await_replaced(&third, 2);
	answers(old.addr);
	cr_expect_eq(rig_stop(&third), 0);
}

Test(adopt, a_crash_meanwhile_forgets_no_survivor)
{
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
	adopt_for_long();
	rig_signal(&new, SIGSEGV);
	rig_await_log(&new, "master.crashed");
	kill(survivors[1], SIGKILL);
	cr_assert(eventually(alive() == 1));
	rig_await_log(&new, "worker.died slot=1 gen=1");
	cr_expect_eq(rig_stop(&new), 0);
	cr_expect_eq(alive(), 0);
}

Test(adopt, an_upgrade_meanwhile_forgets_no_survivor)
{
	adopt_for_long();
	rig_signal(&new, SIGUSR2);
	rig_await_log(&new, "upgrade.done");
	kill(survivors[1], SIGKILL);
	cr_assert(eventually(alive() == 1));
	rig_await_log(&new, "worker.died slot=1 gen=1");
	cr_expect_eq(rig_stop(&new), 0);
	cr_expect_eq(alive(), 0);
}

/* ---- afterwards */

Test(adopt, a_reload_that_fails_goes_back_to_what_was_adopted)
{
	const char *file = rig_file("conf", "[worker]\nready = notify\n"
	    "ready_timeout = 500ms\n");
	char conf[PATH_MAX], bad[64];

	snprintf(conf, sizeof(conf), "%s", file);
	start_old();
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    "-c", conf, SERVE, NULL);
	await_replaced(&new, 2);
	snprintf(bad, sizeof(bad), "[worker]\ncommand = /bin/false\n");
	rig_file("conf", bad);
	rig_signal(&new, SIGHUP);
	rig_await_log(&new, "reload.failed");
	answers(old.addr);
	rig_kill_worker(&new, 0, SIGKILL);
	cr_expect(eventually(rig_log_count(&new, "worker.ready slot=0") ==
	    2), "its replacement is of the failed configuration");
	rig_file("conf", "");
	rig_signal(&new, SIGHUP);
	cr_expect(eventually(rig_log_count(&new, "reload.done") == 2));
	answers(old.addr);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt, a_pidfile_that_was_left_is_taken_over)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", rig_path("pid"));
	rig_start(&old, "-n", name(), "-w", "2", "-p", path, SERVE, NULL);
	rig_await_workers(&old, 2);
	kill_master(&old);
	cr_assert_eq(access(path, F_OK), 0);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-p", path, "-b",
	    old.addr, SERVE, NULL);
	await_replaced(&new, 2);
	cr_expect_eq(atoi(rig_read(&new, path)), new.pid);
	cr_expect_eq(rig_stop(&new), 0);
	cr_expect_eq(access(path, F_OK), -1);
}

/* The command has returned; from here on the rig is about the daemon. */
static void
follow_daemon(struct rig *r, const char *path)
{
	r->pid = (pid_t)atoi(rig_read(r, path));
	r->ended = false;
	cr_assert_gt(r->pid, 1);
	rig_await_ready(r);
}

Test(adopt, a_daemon_adopts_what_a_daemon_left)
{
	char pid[256], logs[2][256], set[2][300];

	snprintf(pid, sizeof(pid), "%s", rig_path("pid"));
	for (int i = 0; i < 2; i++) {
		snprintf(logs[i], sizeof(logs[i]), "%s",
		    rig_path(i == 0 ? "old.log" : "new.log"));
		snprintf(set[i], sizeof(set[i]), "master.log=%s", logs[i]);
	}
	old.log = logs[0];
	new.log = logs[1];
	cr_assert_eq(rig_run(&old, "-d", "-n", name(), "-p", pid, "-b",
	    "127.0.0.1:0", SERVE, NOTIFY, SET(set[0]), "--", exec_mis(), "serve",
	    NULL), 0);
	follow_daemon(&old, pid);
	rig_await_workers(&old, 2);
	kill_master(&old);
	cr_assert_eq(rig_run(&new, "-d", "--adopt", "-n", name(), "-p", pid,
	    "-b", old.addr, SERVE, NOTIFY, SET(set[1]), "--", exec_mis(), "serve",
	    NULL), 0, "%s", rig_read(&new, new.log));
	follow_daemon(&new, pid);
	await_replaced(&new, 2);
	answers(old.addr);
	cr_expect_eq(rig_stop(&new), 0);
}
