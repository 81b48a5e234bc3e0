/* muster --adopt: how many it takes over, and what it says of them. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(adopt_pool, .init = rig_setup, .fini = rig_cleanup, .timeout = 90);

#define SERVE		SET("worker.on_master_death=serve")

static struct rig old, new;
static pid_t survivors[RIG_MAX];
static int count;

static const char *
name(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "adopt-pool-%d", (int)getpid());
	return text;
}

static void
start_old(void)
{
	rig_start(&old, "-n", name(), "-w", "2", SERVE, NULL);
	rig_await_workers(&old, 2);
}

static void
kill_master(struct rig *r)
{
	count = rig_workers(r, survivors);
	rig_signal(r, SIGKILL);
	cr_assert_eq(rig_exit_code(r), 128 + SIGKILL);
}

static void
adopt(void)
{
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, NULL);
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

/* Nobody goes before somebody is there in his place. */
Test(adopt_pool, a_pool_that_was_scaled_stays_so_large)
{
	start_old();
	for (int i = 3; i <= 5; i++) {
		rig_signal(&old, SIGTTIN);
		rig_await_workers(&old, i);
	}
	kill_master(&old);
	adopt();
	cr_expect_eq(rig_log_count(&new, "survivor.found"), 5);
	await_replaced(&new, 5);
	cr_expect_eq(rig_log_count(&new, "why=scale"), 0);
	cr_expect_eq(rig_log_count(&new, "pool.scale from=2 to=5"), 1);
	cr_expect_eq(rig_stop(&new), 0);
}

Test(adopt_pool, a_pool_that_was_scaled_stays_within_max_workers)
{
	start_old();
	for (int i = 3; i <= 4; i++) {
		rig_signal(&old, SIGTTIN);
		rig_await_workers(&old, i);
	}
	kill_master(&old);
	rig_start(&new, "--adopt", "-n", name(), "-w", "2", "-b", old.addr,
	    SERVE, SET("pool.max_workers=3"), NULL);
	await_replaced(&new, 3);
	cr_expect_eq(rig_log_count(&new, "worker.stop why=scale"), 1);
	cr_expect_eq(rig_stop(&new), 0);
}

/* Its age is its own; what it used nobody tells us. */
Test(adopt_pool, of_a_survivors_end_nothing_is_invented)
{
	const char *line, *log;
	int64_t age;

	start_old();
	/* Some age. */
	cr_expect(always_ms(rig_count(&old) == 2, 1200));
	kill_master(&old);
	adopt();
	await_replaced(&new, 2);
	cr_assert_not_null(line = rig_log_line(&new, "worker.exit"));
	cr_expect_null(strstr(line, " cpu="), "%s", line);
	cr_expect_null(strstr(line, " rss="), "%s", line);
	cr_expect_null(strstr(line, " code="), "%s", line);
	cr_assert_not_null(strstr(line, " age="), "%s", line);
	age = rig_log_ms(&new, "worker.exit", "age");
	cr_expect(age >= 1100 && age < 60000, "%s", line);
	log = rig_read(&new, new.err);
	cr_expect_lt(strstr(log, "master.start"), strstr(log,
	    "survivor.found"), "%s", log);
	cr_expect_lt(strstr(log, "master.start"), strstr(log, "pool.ready"),
	    "%s", log);
	cr_expect_eq(rig_stop(&new), 0);
}

static int
ended_of(struct rig *rigs, int n)
{
	int ended = 0;

	for (int i = 0; i < n; i++)
		ended += rig_ended(&rigs[i]);
	return ended;
}

Test(adopt_pool, of_several_that_are_started_at_once_one_goes_on)
{
	static struct rig more[6];
	int last = 0;

	start_old();
	kill_master(&old);
	for (int i = 0; i < 6; i++)
		rig_launch(&more[i], "--adopt", "-n", name(), "-w", "2", "-b",
		    old.addr, SERVE, NULL);
	cr_assert(eventually(ended_of(more, 6) >= 5), "%d of them live",
	    6 - ended_of(more, 6));
	for (int i = 0; i < 6; i++)
		if (rig_ended(&more[i]))
			cr_expect_eq(rig_exit_code(&more[i]), 69);
		else
			last = i;
	cr_assert_eq(ended_of(more, 6), 5, "all gave up");
	rig_await_ready(&more[last]);
	cr_expect(eventually(alive() == 0));
	rig_await_workers(&more[last], 2);
	cr_expect_str_eq(client_ask(old.addr, "there\n"), "there\n");
	cr_expect_eq(rig_stop(&more[last]), 0);
}
