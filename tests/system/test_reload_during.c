/*
 * What happens while a reload is under way: others, deaths, scalings, stops.
 * Each for the built-in app, and for a program that takes its time to start.
 */
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"
#include "tests/system/reloads.h"

TestSuite(reload_during, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 90);

static struct rig r;

#define WORKERS	4
/* One after the other, a reload of these takes its second. */
#define LATE	"[worker]\nready = notify\ncommand = @MIS@ late 250\n"
#define SERVE	"[worker]\nready = notify\ncommand = @MIS@ serve\n"

static void
start(const char *rest)
{
	reload_start(&r, "[pool]\nworkers = %d\n%s", WORKERS, rest);
	rig_await_workers(&r, WORKERS);
}

static void
begin(void)
{
	int count = rig_log_count(&r, "reload.start");

	rig_signal(&r, SIGHUP);
	cr_assert(eventually(rig_log_count(&r, "reload.start") > count));
}

static int
of_generation(int generation)
{
	char words[32];

	snprintf(words, sizeof(words), "worker.start gen=%d", generation);
	return rig_log_count(&r, words);
}

/* The last reload was done, and all are of its generation. */
static void
ends_with(int workers, int generation)
{
	pid_t pids[RIG_MAX];
	char words[64];
	int count;

	snprintf(words, sizeof(words), "reload.done gen=%d", generation);
	rig_await_log(&r, words);
	rig_await_workers(&r, workers);
	count = rig_workers(&r, pids);
	for (int i = 0; i < count; i++) {
		snprintf(words, sizeof(words), "worker.ready pid=%d gen=%d",
		    (int)pids[i], generation);
		cr_expect(rig_log_says(&r, words), "%s", words);
	}
	cr_expect(!rig_log_says(&r, "reload.failed"));
	reload_serves(&r);
}

/* ---- another reload */

Test(reload_during, another_one_starts_anew_with_the_newest)
{
	start(LATE);
	begin();
	reload_write("[pool]\nworkers = %d\n" SERVE "[env]\nCOLOUR = blue\n",
	    WORKERS);
	rig_signal(&r, SIGHUP);
	ends_with(WORKERS, 3);
	cr_expect(!rig_log_says(&r, "reload.done gen=2"));
	cr_expect_lt(of_generation(2), WORKERS);
	for (int slot = 0; slot < WORKERS; slot++)
		cr_expect_not_null(strstr(look_file(rig_worker(&r, slot),
		    "environ"), "COLOUR=blue"));
	cr_expect_eq(rig_stop(&r), 0);
}

/* The one that is under way goes on; what it started with stays in force. */
Test(reload_during, a_bad_one_does_not_stop_it)
{
	start(LATE);
	begin();
	reload_write("[pool]\nworkers = none\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed");
	cr_expect(rig_log_has(&r, "the configuration is bad"));
	rig_await_log(&r, "reload.done gen=2");
	rig_await_workers(&r, WORKERS);
	for (int slot = 0; slot < WORKERS; slot++)
		cr_expect_eq(reload_generation(&r, slot), 2);
	reload_serves(&r);
}

/* To what never starts, and back before that was found out. */
Test(reload_during, a_good_one_takes_the_place_of_a_bad_one)
{
	start(SERVE);
	reload_write("[pool]\nworkers = %d\n[worker]\nready = notify\n"
	    "command = @MIS@ silent\n", WORKERS);
	begin();
	cr_assert(eventually(rig_log_says(&r, "worker.start gen=2")));
	reload_write("[pool]\nworkers = %d\n" SERVE, WORKERS);
	rig_signal(&r, SIGHUP);
	ends_with(WORKERS, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Every HUP so far has begun its reload, and the last of these is done. */
static bool
settled(int *generation)
{
	const char *at, *text = rig_read(&r, r.err);
	const char *asked = NULL, *begun = NULL;
	char words[64];

	for (at = text; (at = strstr(at, "signal=HUP")) != NULL; at++)
		asked = at;
	for (at = text; (at = strstr(at, "reload.start")) != NULL; at++)
		begun = at;
	if (begun == NULL || begun < asked)
		return false;
	*generation = (int)rig_log_int(&r, "reload.start", "gen");
	snprintf(words, sizeof(words), "reload.done gen=%d", *generation);
	return rig_log_says(&r, words);
}

static void
storm(const char *rest)
{
	struct exact *load;
	int fds, last = 0;

	start(rest);
	load = reload_load(r.addr, false);
	reload_succeeds(&r);
	rig_await_workers(&r, WORKERS);
	fds = look_fds(r.pid);
	for (int i = 0; i < 50; i++) {
		rig_signal(&r, SIGHUP);
		if (i % 7 == 0)
			rig_nap();
	}
	reload_write("[pool]\nworkers = %d\n%s[env]\nCOLOUR = blue\n",
	    WORKERS + 1, rest);
	rig_signal(&r, SIGHUP);
	rig_queue(&r, 0);	/* heard after all of them */
	rig_await_log(&r, "signal.received signal=RTMIN+1");
	cr_assert(eventually_ms(settled(&last), 2 * WAIT_MS));
	ends_with(WORKERS + 1, last);
	cr_expect(!rig_log_says(&r, "worker.died"));
	cr_expect(!rig_log_says(&r, "worker.kill"));
	reload_unload(load, "a storm");
	/* One more program has an output and a mailbox. */
	cr_expect(eventually(look_fds(r.pid) <= fds + 2), "%d, then %d", fds,
	    look_fds(r.pid));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_during, fifty_at_once_of_an_app)
{
	storm("");
}

Test(reload_during, fifty_at_once_of_a_program)
{
	storm(SERVE);
}

/* ---- deaths */

Test(reload_during, an_old_one_dies)
{
	start(LATE);
	begin();
	rig_kill_worker(&r, WORKERS - 1, SIGKILL);
	rig_await_log(&r, "worker.died gen=1 signal=KILL");
	ends_with(WORKERS, 2);
	cr_expect_eq(rig_log_count(&r, "worker.died"), 1);
}

Test(reload_during, a_new_one_dies)
{
	pid_t pid;

	start(LATE);
	begin();
	rig_await_log(&r, "worker.ready gen=2");
	pid = (pid_t)rig_log_int(&r, "worker.ready gen=2", "pid");
	cr_assert_eq(kill(pid, SIGKILL), 0);
	rig_await_log(&r, "worker.died gen=2 signal=KILL");
	cr_expect(eventually(rig_log_says(&r, "reload.done gen=2")));
	ends_with(WORKERS, 2);
}

/* The first of all: as if it could not start. */
Test(reload_during, a_new_one_dies_before_it_is_ready)
{
	const char *line;
	pid_t pid;

	start(LATE);
	begin();
	rig_await_log(&r, "worker.start gen=2");
	pid = (pid_t)rig_log_int(&r, "worker.start gen=2", "pid");
	cr_assert_eq(kill(pid, SIGKILL), 0);
	rig_await_log(&r, "reload.failed gen=2 kept=all");
	line = rig_log_line(&r, "reload.failed");
	cr_expect_not_null(strstr(line, "KILL"), "%s", line);
	rig_await_workers(&r, WORKERS);
	for (int slot = 0; slot < WORKERS; slot++)
		cr_expect_eq(reload_generation(&r, slot), 1);
	reload_succeeds(&r);
	rig_await_workers(&r, WORKERS);
	cr_expect_eq(reload_generation(&r, 0), 3);
}

Test(reload_during, many_die)
{
	pid_t pids[RIG_MAX];
	int count, kills = 0;

	reload_start(&r, "[pool]\nworkers = 24\nmin_uptime = 0\n"
	    "backoff_min = 10ms\n");
	for (int i = 0; i < rig_soak(10); i++) {
		rig_signal(&r, SIGHUP);
		count = rig_workers(&r, pids);
		for (int j = i % 3; j < count; j += 5)
			kills += kill(pids[j], SIGKILL) == 0;
		rig_nap();
	}
	cr_expect_gt(kills, 0);
	/* One that was killed before it was ready may have ended the last. */
	cr_assert(eventually(rig_log_says(&r, "reload.done") ||
	    rig_log_says(&r, "reload.failed")));
	rig_await_workers(&r, 24);
	reload_succeeds(&r);
	rig_await_workers(&r, 24);
	cr_expect(eventually(look_zombies(r.pid) == 0));
	reload_serves(&r);
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- how many */

static void
grows(const char *rest)
{
	start(rest);
	begin();
	rig_queue(&r, 2);
	ends_with(WORKERS + 2, 2);
}

Test(reload_during, an_app_is_scaled_up)
{
	grows("");
}

Test(reload_during, a_program_is_scaled_up)
{
	grows(LATE);
}

static void
shrinks(const char *rest)
{
	start(rest);
	begin();
	rig_queue(&r, -3);
	ends_with(WORKERS - 3, 2);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_during, an_app_is_scaled_down)
{
	shrinks("");
}

Test(reload_during, a_program_is_scaled_down)
{
	shrinks(LATE);
}

Test(reload_during, one_more_and_one_fewer)
{
	start(LATE);
	begin();
	rig_signal(&r, SIGTTIN);
	rig_await_log(&r, "pool.scale to=5");
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "pool.scale to=4");
	rig_signal(&r, SIGTTOU);
	ends_with(WORKERS - 1, 2);
}

/* What was scaled during one that fails stays. */
Test(reload_during, a_scaling_outlives_its_failure)
{
	start(SERVE);
	reload_write("[pool]\nworkers = %d\n[worker]\nready = notify\n"
	    "ready_timeout = 500ms\ncommand = @MIS@ silent\n", WORKERS);
	begin();
	rig_queue(&r, -2);
	rig_await_log(&r, "reload.failed gen=2 kept=all");
	rig_await_workers(&r, WORKERS - 2);
	reload_serves(&r);
	cr_expect_eq(reload_generation(&r, WORKERS - 1), 1);
}

static void
drains(const char *rest)
{
	start(rest);
	begin();
	rig_signal(&r, SIGWINCH);
	cr_assert(eventually(rig_count(&r) == 0));
	rig_await_log(&r, "reload.done gen=2");
	cr_expect(always_ms(rig_count(&r) == 0, 100));
	reload_succeeds(&r);
	ends_with(WORKERS, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_during, an_app_is_drained)
{
	drains("");
}

Test(reload_during, a_program_is_drained)
{
	drains(LATE);
}

/* ---- stops */

static const struct stop {
	const char *rest, *await;
	int signo;
} stops[] = {
	{ "", NULL, SIGTERM },
	{ "", NULL, SIGINT },
	{ "", NULL, SIGQUIT },
	{ LATE, NULL, SIGTERM },
	{ LATE, "worker.start gen=2", SIGTERM },
	{ LATE, "worker.ready gen=2", SIGTERM },
	{ LATE, "worker.start gen=2", SIGINT },
	{ LATE, "worker.ready gen=2", SIGQUIT },
};

Test(reload_during, a_stop_ends_all)
{
	pid_t pids[RIG_MAX];
	char label[64];

	for (size_t i = 0; i < sizeof(stops) / sizeof(*stops); i++) {
		r = (struct rig){ 0 };
		snprintf(label, sizeof(label), "row %zu", i);
		start(stops[i].rest);
		rig_signal(&r, SIGHUP);
		if (stops[i].await != NULL)
			rig_await_log(&r, stops[i].await);
		rig_signal(&r, stops[i].signo);
		cr_expect_eq(rig_exit_code(&r), 0, "%s", label);
		cr_expect(!rig_log_says(&r, "worker.kill"), "%s", label);
		cr_expect_eq(look_descendants(getpid(), pids, RIG_MAX), 0,
		    "%s", label);
	}
}

/* Both in one turn: the stop wins. */
Test(reload_during, a_stop_in_the_same_turn)
{
	start("");
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	rig_signal(&r, SIGHUP);
	rig_signal(&r, SIGTERM);
	rig_signal(&r, SIGCONT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(!rig_log_says(&r, "reload.start"));
}

/* ---- nothing is lost */

static void
twenty(const char *rest, bool keep_alive)
{
	struct exact *load;
	int fds = 0;

	start(rest);
	load = reload_load(r.addr, keep_alive);
	for (int i = 0; i < rig_soak(20); i++) {
		reload_succeeds(&r);
		reload_answered(load, 100);
		rig_await_workers(&r, WORKERS);
		if (i == 3)
			fds = look_fds(r.pid);
	}
	reload_unload(load, "twenty reloads");
	cr_expect(eventually(look_fds(r.pid) <= fds), "%d, then %d", fds,
	    look_fds(r.pid));
	cr_expect_eq(rig_log_count(&r, "reload.failed"), 0);
	cr_expect_eq(rig_log_count(&r, "worker.died"), 0);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_during, twenty_under_load_of_an_app)
{
	twenty("", false);
}

Test(reload_during, twenty_under_lasting_load_of_an_app)
{
	twenty("", true);
}

Test(reload_during, twenty_under_load_of_a_program)
{
	twenty(SERVE, false);
}
