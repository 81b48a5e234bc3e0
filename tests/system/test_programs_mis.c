/*
 * Programs that misbehave: whatever one does, the master stays, says what
 * happened, keeps the others, and leaves nothing behind. The fixture `mis`
 * has a kind for each.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/programs.h"

TestSuite(mis, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* Built beside us. */
static const char *
mis(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 8);

	cr_assert_gt(len, 0);
	path[len] = '\0';
	strcpy(strrchr(path, '/') + 1, "mis");
	return path;
}

#define SET(text)	"-s", text
#define QUICK		SET("pool.backoff_min=10ms"), \
			SET("pool.backoff_max=20ms"), \
			SET("pool.boot_retries=2")

static void
start(const char *kind, const char *number)
{
	rig_start(&r, "-w", "2", SET("worker.ready=notify"), "--", mis(), kind,
	    number, NULL);
	rig_await_workers(&r, 2);
}

static void
serves(void)
{
	cr_expect_str_eq(rig_ask(&r, "still there\n"), "still there\n");
}

/* ---- at the start */

static int
fails_at_start(const char *kind, const char *number, const char *ready)
{
	rig_launch(&r, "-w", "2", QUICK, SET(ready), "--", mis(), kind, number,
	    NULL);
	return rig_exit_code(&r);
}

Test(mis, one_that_exits_with_1_at_once_ends_the_start_with_75)
{
	cr_expect_eq(fails_at_start("exit", "1", "worker.ready=auto"), 75);
	cr_expect(rig_log_says(&r, "worker.died code=1"));
	cr_expect_geq(rig_log_count(&r, "worker.start"), 3);
}

Test(mis, one_that_exits_with_0_at_once_ends_the_start_with_75)
{
	cr_expect_eq(fails_at_start("exit", "0", "worker.ready=auto"), 75);
}

Test(mis, one_that_exits_with_7_before_it_was_ready_ends_the_start_with_75)
{
	cr_expect_eq(fails_at_start("exit", "7", "worker.ready=notify"), 75);
}

Test(mis, a_fatal_exit_code_is_not_tried_again)
{
	cr_expect_eq(fails_at_start("exit", "78", "worker.ready=auto"), 75);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect_eq(rig_log_count(&r, "slot.parked code=78"), 2);
}

Test(mis, a_crash_at_the_start_names_the_signal)
{
	cr_expect_eq(fails_at_start("segv", NULL, "worker.ready=auto"), 75);
	cr_expect(rig_log_says(&r, "worker.died signal=SEGV"));
}

Test(mis, its_last_words_are_shown_when_the_start_is_given_up)
{
	cr_expect_eq(fails_at_start("nonsense", NULL, "worker.ready=auto"),
	    75);
	cr_expect(rig_log_has(&r, "usage: mis KIND"));
}

Test(mis, one_that_is_never_ready_is_given_up_after_ready_timeout)
{
	rig_launch(&r, "-w", "1", QUICK, SET("worker.ready=notify"),
	    SET("worker.ready_timeout=200ms"), SET("pool.boot_retries=1"),
	    "--", mis(), "silent", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_says(&r, "worker.late"));
}

Test(mis, why_it_cannot_go_on_is_told_with_its_end)
{
	cr_expect_eq(fails_at_start("errno", NULL, "worker.ready=notify"), 75);
	cr_expect(rig_log_says(&r, "worker.died code=1 "
	    "status=\"no permission\" error=\"Permission denied\""));
}

/* ---- that cannot be executed */

static void
cannot_be_executed(const char *path)
{
	rig_launch(&r, "-w", "2", QUICK, "--", path, NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_has(&r, path), "the log does not name it");
	cr_expect_leq(rig_log_count(&r, "worker.start"), 2);
	cr_expect(eventually(program_all_gone()));
}

Test(mis, a_program_that_is_missing_is_named)
{
	cannot_be_executed(rig_path("no-such-program"));
}

Test(mis, a_program_without_execute_permission_is_named)
{
	const char *path = rig_file("plain", "#!/bin/sh\nsleep 10\n");

	chmod(path, 0644);
	cannot_be_executed(path);
}

Test(mis, a_program_with_a_bad_interpreter_is_named)
{
	const char *path = rig_file("bad", "#!/no/such/interpreter\n");

	chmod(path, 0755);
	cannot_be_executed(path);
}

Test(mis, a_program_that_is_being_written_is_named)
{
	const char *path = rig_file("busy", "\177ELF");
	int fd;

	chmod(path, 0755);
	cr_assert_neq(fd = open(path, O_WRONLY | O_CLOEXEC), -1);
	cannot_be_executed(path);
	close(fd);
}

/* ---- at the stop */

Test(mis, one_that_ignores_term_is_killed_in_time)
{
	rig_start(&r, "-w", "2", SET("worker.ready=notify"),
	    SET("worker.graceful_timeout=300ms"), "--", mis(), "ignore-term",
	    NULL);
	serves();
	cr_expect_eq(rig_stop(&r), 1);
	cr_expect_eq(rig_log_count(&r, "worker.kill"), 2);
	cr_expect(eventually(program_all_gone()));
}

Test(mis, one_that_asks_for_more_time_gets_it)
{
	rig_start(&r, "-w", "2", SET("worker.ready=notify"),
	    SET("worker.graceful_timeout=400ms"), "--", mis(), "extend",
	    "1200", NULL);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(!rig_log_says(&r, "worker.kill"));
}

Test(mis, a_slow_stop_within_graceful_timeout_is_waited_for)
{
	start("slow-stop", "700");
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(!rig_log_says(&r, "worker.kill"));
}

Test(mis, a_crash_in_the_stop_is_not_judged)
{
	start("die-stopping", NULL);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(rig_log_count(&r, "worker.exit signal=SEGV"), 2);
}

/* ---- the watchdog */

Test(mis, one_that_stops_showing_life_is_replaced)
{
	rig_start(&r, "-w", "1", SET("worker.ready=notify"),
	    SET("worker.watchdog=300ms"), SET("worker.kill_timeout=300ms"),
	    "--", mis(), "hang", NULL);
	rig_await_log(&r, "worker.stuck slot=0");
	cr_assert(eventually(rig_log_count(&r, "worker.ready") >= 2));
}

Test(mis, one_without_a_heartbeat_is_not_held_to_one)
{
	rig_start(&r, "-w", "1", SET("worker.ready=notify"),
	    SET("worker.watchdog=200ms"), "--", mis(), "serve", NULL);
	cr_expect(always_ms(!rig_log_says(&r, "worker.stuck"), 900));
	serves();
}

Test(mis, one_without_a_heartbeat_is_replaced_where_it_is_required)
{
	rig_start(&r, "-w", "1", SET("worker.ready=notify"),
	    SET("worker.watchdog=200ms"),
	    SET("worker.watchdog_required=yes"), "--", mis(), "serve", NULL);
	rig_await_log(&r, "worker.stuck slot=0");
}

Test(mis, one_that_triggers_its_watchdog_is_replaced)
{
	rig_start(&r, "-w", "1", SET("worker.ready=notify"), "--", mis(),
	    "trigger", NULL);
	rig_await_log(&r, "worker.stuck slot=0");
	cr_assert(eventually(rig_log_count(&r, "worker.ready") >= 2));
}

/* ---- its output */

static void
flood(const char *mib)
{
	int64_t rss;

	start("flood", mib);
	serves();
	rss = look_rss_kb(r.pid);
	cr_expect_lt(rss, 64 << 10, "the master has %lld kB", (long long)rss);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(mis, a_flood_of_output_holds_up_nobody)
{
	flood(getenv("MUSTER_SOAK") != NULL ? "1024" : "16");
}

/* ---- processes it makes */

Test(mis, a_child_it_leaves_in_its_group_goes_with_it)
{
	start("child", NULL);
	serves();
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.ready slot=0") == 2));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(eventually(program_all_gone()));
}

Test(mis, a_child_it_leaves_in_a_session_of_its_own_goes_with_the_pool)
{
	start("stranger", NULL);
	serves();
	rig_stop(&r);
	cr_expect(eventually(program_all_gone()));
}

Test(mis, one_that_daemonizes_is_a_failed_start_and_leaves_nothing)
{
	cr_expect_eq(fails_at_start("daemonize", NULL, "worker.ready=auto"),
	    75);
	cr_expect(eventually(program_all_gone()));
}

/* ---- what it says */

Test(mis, wild_notifications_are_survived)
{
	int fds;

	start("wild", "2000");
	serves();
	fds = look_fds(r.pid);
	cr_expect_lt(fds, 64, "the master has %d descriptors", fds);
	cr_expect(!rig_log_has(&r, "\033"), "escapes came through");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(mis, a_child_that_speaks_for_it_harms_nothing)
{
	start("deputy", NULL);
	serves();
	cr_expect_eq(rig_stop(&r), 0);
}

Test(mis, one_that_says_stopping_is_replaced)
{
	rig_start(&r, "-w", "1", SET("worker.ready=notify"),
	    SET("pool.min_uptime=100ms"), "--", mis(), "stopping", "400",
	    NULL);
	rig_await_log(&r, "worker.leaving slot=0");
	cr_assert(eventually(rig_log_count(&r, "worker.ready slot=0") >= 2));
}

/* ---- its socket */

Test(mis, one_that_has_its_own_port_is_stopped_as_any_other)
{
	start("own-port", NULL);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(mis, one_that_closes_its_socket_closes_nobody_elses)
{
	int fd;

	start("close", NULL);
	fd = rig_connect(&r);		/* the queue is there, still */
	close(fd);
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- a reload with a broken program */

static void
write_script(const char *text)
{
	const char *path = rig_file("new", text);

	chmod(path, 0755);
	cr_assert_eq(rename(path, rig_path("script")), 0);
}

Test(mis, a_reload_with_a_broken_program_leaves_the_old_workers)
{
	char good[PATH_MAX + 64];

	snprintf(good, sizeof(good), "#!/bin/sh\nexec %s serve\n", mis());
	write_script(good);
	rig_start(&r, "-w", "2", QUICK, SET("worker.ready=notify"), "--",
	    rig_path("script"), NULL);
	write_script("#!/bin/sh\nexit 7\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed gen=2");
	rig_await_workers(&r, 2);
	serves();
	write_script(good);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=3");
	rig_await_workers(&r, 2);
	serves();
	cr_expect_eq(rig_stop(&r), 0);
}
