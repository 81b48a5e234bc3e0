/* When a program serves, and whether it still does: by what it says itself. */
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(exec_ready, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* Limits run from a millisecond's beginning, what is told is exact. */
#define SLACK_MS	5

static int64_t
took(void)
{
	return rig_log_ms(&r, "worker.ready slot=0", "took");
}

/* ---- ready */

Test(exec_ready, by_default_one_that_lives_for_a_second_is)
{
	rig_start(&r, "-w", "1", "--", exec_mis(), "silent", NULL);
	cr_expect(took() >= 1000 - SLACK_MS && took() < 2500, "%lld", (long long)took());
}

Test(exec_ready, by_default_one_that_says_so_is_at_once)
{
	rig_start(&r, "-w", "1", "--", exec_mis(), "serve", NULL);
	cr_expect_lt(took(), 900);
}

Test(exec_ready, one_that_lives_for_as_long_as_configured_is)
{
	rig_start(&r, "-w", "1", SET("worker.ready=alive:150ms"), "--",
	    exec_mis(), "silent", NULL);
	cr_expect(took() >= 150 - SLACK_MS && took() < 900, "%lld", (long long)took());
}

Test(exec_ready, one_that_has_to_live_first_is_not_by_its_word)
{
	rig_start(&r, "-w", "1", SET("worker.ready=alive:600ms"), "--",
	    exec_mis(), "serve", NULL);
	cr_expect_geq(took(), 600 - SLACK_MS);
	cr_expect_eq(rig_stop(&r), 0);
	rig_start(&r, "-w", "1", SET("worker.ready=alive:600ms"),
	    SET("worker.sockets=einhorn"), "--", exec_mis(), "ack", NULL);
	cr_expect_geq(took(), 600 - SLACK_MS);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_ready, one_that_has_to_say_so_is_killed_when_it_never_does)
{
	rig_launch(&r, "-w", "1", NOTIFY, QUICK,
	    SET("worker.ready_timeout=150ms"),
	    SET("worker.kill_timeout=100ms"), SET("pool.boot_retries=1"),
	    "--", "/bin/sh", "-c", "trap '' TERM QUIT ABRT; echo I never do;"
	    "while :; do sleep 1; done", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_says(&r, "worker.late limit=ready_timeout"));
	cr_expect(rig_log_says(&r, "worker.kill slot=0"));
	cr_expect(strstr(rig_log_line(&r, "pool.failed"), "I never do") !=
	    NULL, "%s", rig_log_line(&r, "pool.failed"));
}

Test(exec_ready, one_that_asks_for_more_time_gets_it)
{
	rig_start(&r, "-w", "1", NOTIFY, SET("worker.ready_timeout=200ms"),
	    "--", exec_mis(), "slow-start", "700", NULL);
	cr_expect_geq(took(), 700 - SLACK_MS);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 1);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_ready, one_that_stops_asking_is_late)
{
	int64_t from = rig_now_ms();

	if (access("/usr/bin/systemd-notify", X_OK) == -1)
		rig_skip("needs systemd-notify");
	rig_launch(&r, "-w", "1", NOTIFY, SET("worker.ready_timeout=800ms"),
	    SET("pool.boot_retries=1"), "--", "/bin/sh", "-c",
	    "systemd-notify EXTEND_TIMEOUT_USEC=1600000; exec sleep 60",
	    NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect_geq(rig_now_ms() - from, 1600 - SLACK_MS);
	cr_expect(rig_log_says(&r, "worker.late limit=ready_timeout"));
}

Test(exec_ready, einhorns_acknowledgement_counts_as_the_word)
{
	rig_start(&r, "-w", "2", NOTIFY, SET("worker.sockets=einhorn"), "--",
	    exec_mis(), "ack", NULL);
	rig_await_workers(&r, 2);
	cr_expect_str_eq(rig_ask(&r, "acked\n"), "acked\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_ready, a_child_that_is_gone_at_once_may_have_said_so)
{
	rig_start(&r, "-w", "4", NOTIFY, "--", exec_mis(), "herald", NULL);
	rig_await_workers(&r, 4);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 4);
}

Test(exec_ready, systemd_notify_in_a_script_may_say_so)
{
	if (access("/usr/bin/systemd-notify", X_OK) == -1)
		rig_skip("needs systemd-notify");
	rig_start(&r, "-w", "2", NOTIFY, "-v", "--", "/bin/sh", "-c",
	    "systemd-notify --ready --status='all is well';exec sleep 60",
	    NULL);
	rig_await_workers(&r, 2);
	rig_await_text(&r, "all is well");
	cr_expect(rig_log_says(&r, "worker.status slot=0"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_ready, one_that_dies_before_the_word_is_not)
{
	rig_launch(&r, "-w", "1", QUICK, SET("pool.boot_retries=2"), "--",
	    exec_mis(), "exit", "0", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 0);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
}

/* ---- leaving */

Test(exec_ready, one_that_says_stopping_gets_a_successor)
{
	rig_start(&r, "-w", "1", NOTIFY, SET("pool.min_uptime=10ms"), "--",
	    exec_mis(), "stopping", "100", NULL);
	rig_await_log(&r, "worker.leaving slot=0");
	cr_expect(eventually(rig_log_count(&r, "worker.ready slot=0") >= 2));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(rig_log_count(&r, "worker.died"), 0);
}

Test(exec_ready, one_that_stops_may_ask_for_more_time)
{
	rig_start(&r, "-w", "1", NOTIFY,
	    SET("worker.graceful_timeout=350ms"), "--", exec_mis(), "extend",
	    "900", NULL);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(rig_log_count(&r, "worker.kill"), 0);
}

/* ---- life signs */

Test(exec_ready, one_that_was_alive_and_is_silent_is_aborted)
{
	rig_start(&r, "-w", "1", NOTIFY, SET("worker.watchdog=300ms"), "--",
	    exec_mis(), "hang", NULL);
	rig_await_log(&r, "worker.stuck slot=0");
	rig_await_log(&r, "worker.died slot=0 signal=ABRT");
	cr_expect_eq(rig_log_count(&r, "worker.kill"), 0);
}

Test(exec_ready, one_that_withstands_abort_is_killed)
{
	rig_start(&r, "-w", "1", NOTIFY, SET("worker.watchdog=200ms"),
	    SET("worker.kill_timeout=100ms"), "--", exec_mis(), "stay", NULL);
	rig_await_log(&r, "worker.stuck slot=0");
	rig_await_log(&r, "worker.stop slot=0 signal=ABRT");
	rig_await_log(&r, "worker.kill slot=0");
	cr_expect(eventually(rig_log_count(&r, "worker.start slot=0") >= 2));
}

Test(exec_ready, one_that_asks_for_it_is_aborted_at_once)
{
	rig_start(&r, "-w", "1", NOTIFY, SET("worker.watchdog=0"), "--",
	    exec_mis(), "trigger", NULL);
	rig_await_log(&r, "worker.stuck slot=0");
	rig_await_log(&r, "worker.died slot=0 signal=ABRT");
}

Test(exec_ready, silence_counts_only_where_signs_are_required)
{
	rig_start(&r, "-w", "1", NOTIFY, SET("worker.watchdog=150ms"), "--",
	    exec_mis(), "serve", NULL);
	cr_expect(always_ms(!rig_log_says(&r, "worker.stuck"), 500));
	rig_stop(&r);
	rig_start(&r, "-w", "1", NOTIFY, SET("worker.watchdog=150ms"),
	    SET("worker.watchdog_required=yes"), "--", exec_mis(), "serve",
	    NULL);
	rig_await_log(&r, "worker.stuck slot=0");
}

/* ---- too much of it */

/* It is answered while the others shout. */
static void
answers_soon(int signo, const char *words)
{
	int64_t from = rig_now_ms();

	rig_signal(&r, signo);
	rig_await_log(&r, words);
	cr_expect_lt(rig_now_ms() - from, 1000, "%s took %lld ms", words,
	    (long long)(rig_now_ms() - from));
}

Test(exec_ready, a_flood_of_words_holds_up_nobody)
{
	int64_t cpu, from;
	int fds;

	rig_start(&r, "-w", "2", NOTIFY, SET("worker.graceful_timeout=1s"),
	    "--", exec_mis(), "talk", NULL);
	rig_await_workers(&r, 2);
	fds = look_fds(r.pid);
	cpu = look_cpu_ms(r.pid);
	from = rig_now_ms();
	cr_expect(always_ms(look_fds(r.pid) == fds, 1000));
	cpu = (look_cpu_ms(r.pid) - cpu) * 1000 / (rig_now_ms() - from);
	cr_log_info("the master took %lld ms a second", (long long)cpu);
	answers_soon(SIGTTIN, "pool.scale from=2 to=3");
	answers_soon(SIGUSR1, "log.reopened");
	cr_expect(eventually(rig_log_count(&r, "worker.ready") == 3));
	cr_expect_lt(look_rss_kb(r.pid), 32 << 10);
	answers_soon(SIGTERM, "pool.stop mode=graceful");
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(exec_ready, a_flood_of_words_starves_no_other)
{
	const char *path = exec_script("script", "#!/bin/sh\n"
	    "test $MUSTER_SLOT = 0 && exec %s talk\nexec %s serve\n",
	    exec_mis(), exec_mis());

	rig_start(&r, "-w", "3", NOTIFY, SET("pool.min_uptime=0"), "--", path,
	    NULL);
	rig_await_workers(&r, 3);
	for (int i = 1; i <= 5; i++) {
		rig_kill_worker(&r, 1, SIGKILL);
		cr_assert(eventually_ms(rig_log_count(&r,
		    "worker.ready slot=1") == i + 1, 4000), "%d", i);
		if (i == 1)
			rig_signal(&r, SIGTTIN);
	}
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_ready, descriptors_that_are_passed_do_not_stay)
{
	int fds;

	rig_start(&r, "-w", "1", NOTIFY, "--", exec_mis(), "pass", "3000",
	    NULL);
	fds = look_fds(r.pid);
	cr_expect_lt(fds, 60, "%d descriptors", fds);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 2);
	cr_expect_lt(look_fds(r.pid), fds + 10);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_ready, a_barrier_is_answered_once_what_came_before_was_heard)
{
	rig_launch(&r, "-w", "2", NOTIFY, "-v", SET("pool.boot_retries=1"),
	    "--", exec_mis(), "barrier", NULL);
	rig_await_ready(&r);
	rig_await_workers(&r, 2);
	cr_expect_eq(rig_log_count(&r, "worker.status"), 2);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect_lt(took(), 5000);
	cr_expect_eq(rig_stop(&r), 0);
}
