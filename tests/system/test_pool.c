/* The life of the pool: deaths, failures, culling; sections 4 and 6. */
#include <sys/resource.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(pool, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/*
 * Let workers fail at their start, later than the first ones: limits are
 * inherited, and without a descriptor there is no event loop.
 */
static void
starve_new_workers(rlim_t nofile)
{
	struct rlimit limit;

	cr_assert_eq(prlimit(r.pid, RLIMIT_NOFILE, NULL, &limit), 0);
	limit.rlim_cur = nofile;
	cr_assert_eq(prlimit(r.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

Test(pool, a_killed_worker_is_replaced_at_once)
{
	pid_t old;

	rig_start(&r, "-w", "2", NULL);
	old = rig_worker(&r, 0);
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_worker(&r, 0) != old));
	rig_await_workers(&r, 2);
	cr_expect(rig_log_says(&r, "worker.died slot=0 signal=KILL"), "%s",
	    rig_log_line(&r, "worker.died"));
	cr_expect(!rig_log_says(&r, "slot.wait"));
	cr_expect_eq(look_zombies(r.pid), 0);
}

Test(pool, a_worker_asked_to_leave_by_somebody_else_is_replaced)
{
	pid_t old;

	rig_start(&r, "-w", "2", NULL);
	old = rig_worker(&r, 1);
	rig_kill_worker(&r, 1, SIGTERM);
	cr_assert(eventually(rig_worker(&r, 1) != old));
	rig_await_workers(&r, 2);
}

Test(pool, all_workers_killed_at_once_come_back)
{
	pid_t pids[RIG_MAX];
	int count;

	rig_start(&r, "-w", "8", NULL);
	rig_await_workers(&r, 8);
	count = rig_workers(&r, pids);
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") == 16));
	rig_await_workers(&r, 8);
	cr_expect_str_eq(rig_ask(&r, "back\n"), "back\n");
}

/* Kill slot 0's worker; its successor is there, or the slot waits. */
static void
kill_slot_0(void)
{
	pid_t old = rig_worker(&r, 0);

	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_worker(&r, 0) != old));
}

Test(pool, young_deaths_in_a_row_back_off)
{
	int64_t first, second;

	rig_start(&r, "-w", "1", "-s", "pool.min_uptime=60s", "-s",
	    "pool.backoff_min=100ms", "-s", "pool.backoff_max=150ms", NULL);
	kill_slot_0();
	cr_expect(!rig_log_says(&r, "slot.wait"));
	kill_slot_0();
	cr_assert(rig_log_says(&r, "slot.wait slot=0 failures=1"));
	first = rig_log_ms(&r, "slot.wait failures=1", "delay");
	cr_expect(first >= 100 && first <= 125, "%lld", (long long)first);
	kill_slot_0();
	second = rig_log_ms(&r, "slot.wait failures=2", "delay");
	cr_expect(second >= 150 && second <= 188, "%lld", (long long)second);
	kill_slot_0();
	second = rig_log_ms(&r, "slot.wait failures=3", "delay");
	cr_expect(second >= 150 && second <= 188, "%lld", (long long)second);
}

Test(pool, backoff_doubles)
{
	int64_t second;

	rig_start(&r, "-w", "1", "-s", "pool.min_uptime=60s", "-s",
	    "pool.backoff_min=50ms", NULL);
	for (int i = 0; i < 4; i++)
		kill_slot_0();
	second = rig_log_ms(&r, "slot.wait failures=2", "delay");
	cr_expect(second >= 100 && second <= 125, "%lld", (long long)second);
	second = rig_log_ms(&r, "slot.wait failures=3", "delay");
	cr_expect(second >= 200 && second <= 250, "%lld", (long long)second);
}

Test(pool, a_worker_that_lasts_resets_the_backoff)
{
	int64_t from;

	rig_start(&r, "-w", "1", "-s", "pool.min_uptime=300ms", "-s",
	    "pool.backoff_min=50ms", NULL);
	kill_slot_0();
	kill_slot_0();
	cr_assert(rig_log_says(&r, "slot.wait failures=1"));
	from = rig_now_ms();
	cr_assert(eventually(rig_now_ms() > from + 400));
	kill_slot_0();
	cr_expect_eq(rig_log_count(&r, "slot.wait"), 1);
}

Test(pool, without_min_uptime_only_failed_starts_count)
{
	rig_start(&r, "-w", "1", "-s", "pool.min_uptime=0", NULL);
	for (int i = 0; i < 6; i++)
		kill_slot_0();
	cr_expect(!rig_log_says(&r, "slot.wait"));
}

/* ---- workers that cannot start */

Test(pool, a_pool_that_never_starts_ends_with_75)
{
	rig_launch(&r, "-s", "limits.nofile=3", "-s", "pool.backoff_min=20ms",
	    "-s", "pool.boot_retries=3", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_says(&r, "pool.failed"));
	cr_expect_geq(rig_log_count(&r, "worker.died"), 3);
	cr_expect_leq(rig_log_count(&r, "worker.start"), 8);
	cr_expect(rig_log_says(&r, "worker.failed"), "no reason is given");
}

static void
become_nobody(void *arg)
{
	(void)arg;
	if (setgroups(0, NULL) == -1 || setresgid(65534, 65534, 65534) == -1 ||
	    setresuid(65534, 65534, 65534) == -1)
		_exit(126);
}

Test(pool, a_user_that_cannot_be_taken_ends_with_75)
{
	need_root();
	r.child = become_nobody;
	rig_launch(&r, "-s", "master.user=daemon", "-s",
	    "pool.backoff_min=20ms", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_says(&r, "worker.died code=77"), "%s",
	    rig_log_line(&r, "worker.died"));
}

Test(pool, fatal_exit_codes_in_every_slot_end_with_75)
{
	rig_launch(&r, "-s", "limits.nofile=3", "-s",
	    "worker.fatal_exit_codes=70 71 78", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect_eq(rig_log_count(&r, "slot.parked"), 2);
}

Test(pool, after_the_first_success_failures_never_end_it)
{
	rig_start(&r, "-w", "2", "-s", "pool.backoff_min=20ms", "-s",
	    "pool.backoff_max=20ms", "-s", "pool.boot_retries=2", NULL);
	starve_new_workers(3);
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_log(&r, "slot.wait slot=0 failures=5");
	cr_expect_str_eq(rig_ask(&r, "still here\n"), "still here\n");
	starve_new_workers(1024);
	rig_await_workers(&r, 2);
}

Test(pool, a_fatal_exit_code_parks_its_slot_until_a_scaling)
{
	rig_start(&r, "-w", "2", "-s", "worker.fatal_exit_codes=71", NULL);
	starve_new_workers(3);
	rig_kill_worker(&r, 1, SIGKILL);
	rig_await_log(&r, "slot.parked slot=1 code=71");
	starve_new_workers(1024);
	cr_expect(always_ms(rig_count(&r) == 1, 200));
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
}

/* ---- who goes, who comes */

Test(pool, the_oldest_goes_first)
{
	rig_start(&r, "-w", "3", NULL);
	kill_slot_0();
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "worker.stop slot=1");
	rig_await_workers(&r, 2);
	cr_expect_eq(rig_log_count(&r, "worker.stop"), 1);
}

Test(pool, or_the_newest_when_told_so)
{
	rig_start(&r, "-w", "3", "-s", "pool.cull=newest", NULL);
	kill_slot_0();
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "worker.stop slot=0");
	rig_await_workers(&r, 2);
}

Test(pool, or_the_idlest_when_told_so)
{
	pid_t pids[RIG_MAX];
	int quiet[RIG_MAX], idlest = 0;
	char words[64];

	rig_start(&r, "-w", "3", "-s", "pool.cull=idlest", "-s",
	    "worker.watchdog=300ms", NULL);
	rig_await_workers(&r, 3);
	for (int i = 0; i < 3; i++)
		quiet[i] = look_sockets(pids[i] = rig_worker(&r, i));
	for (int i = 0; i < 8; i++) {	/* 3, 3 and 2 */
		int fd = rig_connect(&r);

		client_say(fd, "x\n");
		cr_assert_str_eq(client_hear(fd), "x\n");
	}
	for (int i = 1; i < 3; i++)
		if (look_sockets(pids[i]) - quiet[i] <
		    look_sockets(pids[idlest]) - quiet[idlest])
			idlest = i;
	snprintf(words, sizeof(words), "worker.stop slot=%d", idlest);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, words);
}

Test(pool, a_waiting_slot_goes_before_a_ready_one)
{
	rig_start(&r, "-w", "3", "-s", "pool.backoff_min=30s", NULL);
	starve_new_workers(3);
	rig_kill_worker(&r, 2, SIGKILL);
	rig_await_log(&r, "slot.wait slot=2");
	starve_new_workers(1024);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "pool.scale from=3 to=2");
	cr_expect(always_ms(rig_count(&r) == 2, 200));
	cr_expect(!rig_log_says(&r, "worker.stop"));
}

Test(pool, the_lowest_free_slot_is_filled_first)
{
	rig_start(&r, "-w", "3", NULL);
	kill_slot_0();
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGTTOU);	/* slot 1, the oldest */
	rig_await_workers(&r, 2);
	rig_queue(&r, 2);
	rig_await_workers(&r, 4);
	cr_expect_eq(rig_log_count(&r, "worker.start slot=1"), 2);
	cr_expect_eq(rig_log_count(&r, "worker.start slot=3"), 1);
	cr_expect_eq(rig_log_count(&r, "worker.start slot=4"), 0);
}

/* ---- the watchdog */

Test(pool, the_watchdog_ends_a_worker_that_shows_no_life)
{
	pid_t old;

	rig_start(&r, "-w", "2", "-s", "worker.watchdog=600ms", "-s",
	    "worker.kill_timeout=200ms", NULL);
	old = rig_worker(&r, 0);
	kill(old, SIGSTOP);
	rig_await_log(&r, "worker.stuck slot=0");
	rig_await_log(&r, "worker.died slot=0 signal=ABRT");
	cr_assert(eventually(rig_worker(&r, 0) != old));
	rig_await_workers(&r, 2);
}

Test(pool, the_watchdog_leaves_living_workers_alone)
{
	rig_start(&r, "-w", "2", "-s", "worker.watchdog=600ms", NULL);
	cr_expect(always_ms(!rig_log_says(&r, "worker.stuck"), 1500));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
}

Test(pool, a_master_that_slept_kills_nobody)
{
	int64_t from;

	rig_start(&r, "-w", "2", "-s", "worker.watchdog=600ms", NULL);
	rig_signal(&r, SIGSTOP);
	from = rig_now_ms();
	cr_assert(eventually(rig_now_ms() > from + 1300));
	rig_signal(&r, SIGCONT);
	cr_expect(always_ms(!rig_log_says(&r, "worker.stuck"), 900));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect_str_eq(rig_ask(&r, "awake\n"), "awake\n");
}

Test(pool, a_whole_pool_that_slept_goes_on)
{
	pid_t pids[RIG_MAX];
	int count;
	int64_t from;

	rig_start(&r, "-w", "2", "-s", "worker.watchdog=600ms", NULL);
	count = rig_workers(&r, pids);
	rig_signal(&r, SIGSTOP);
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGSTOP);
	from = rig_now_ms();
	cr_assert(eventually(rig_now_ms() > from + 1300));
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGCONT);
	rig_signal(&r, SIGCONT);
	cr_expect(always_ms(!rig_log_says(&r, "worker.stuck"), 900));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
}
