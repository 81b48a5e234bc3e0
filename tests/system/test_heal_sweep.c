/*
 * A master that crashes at any point of what it does: the shim makes it do so
 * at one call into the C library after the other.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/look.h"

TestSuite(heal_sweep, .init = rig_setup, .fini = rig_cleanup, .timeout = 120);

static struct rig r;

#define SET(text)	"-s", text

/*
 * One deed, again and again, each time with a crash a few calls into the C
 * library later, until the deed is done before it comes. Whatever was lost, it
 * was the whole deed: afterwards there are as many workers as are wanted, no
 * process that nobody knows, and every signal works.
 */
#define SWEEP_MS	2500	/* of a sweep; to its end in a soak */

struct deed {
	void	(*act)(void);
	int	 low, high;	/* the target afterwards */
	bool	 stops;
};

/* A worker that is a program has a mailbox and its output in the master. */
static bool programs;
static int fds_before;		/* but for those */

static bool
descendants_gone(void)
{
	pid_t pids[RIG_MAX];

	return look_descendants(getpid(), pids, RIG_MAX) == 0;
}

static int
own_fds(int workers)
{
	return look_fds(r.pid) - (programs ? 2 * workers : 0);
}

static void
start(void)
{
	static char bind[200];

	snprintf(bind, sizeof(bind), "unix:%s", rig_path("socket"));
	r.as_is = true;
	if (programs)
		rig_start(&r, "-w", "4", SET("pool.backoff_min=20ms"), "-b",
		    "127.0.0.1:0", "-b", bind, SET("worker.ready=notify"),
		    "--", anew_built("mis"), "serve", "0", NULL);
	else
		rig_start(&r, "-w", "4", SET("pool.backoff_min=20ms"), "-b",
		    "127.0.0.1:0", "-b", bind, NULL);
	rig_await_workers(&r, 4);
	fds_before = own_fds(4);
}

static void
expect_ended(int n)
{
	int code = rig_exit_code(&r);

	/* The very last steps are not healed, for there is no need. */
	if (code != 0 && (code <= 128 ||
	    !rig_log_says(&r, "master.stop code=0")))
		rig_fail(&r, "call %d: it ended with %d", n, code);
	cr_expect_eq(access(rig_path("socket"), F_OK), -1, "call %d", n);
	cr_expect(eventually(descendants_gone()), "call %d", n);
}

static void
expect_after(const struct deed *deed, int n)
{
	int workers, scales;

	if (deed->stops) {
		expect_ended(n);
		return;
	}
	/* All that came before this one has been acted on when it is. */
	rig_signal(&r, SIGUSR1);
	rig_await_log(&r, "log.reopened");
	scales = rig_log_count(&r, "pool.scale");
	rig_queue(&r, 1);
	if (!eventually(rig_log_count(&r, "pool.scale") > scales))
		rig_fail(&r, "call %d: no scaling", n);
	workers = (int)rig_log_int(&r, "pool.scale", "to");
	cr_expect(workers >= deed->low + 1 && workers <= deed->high + 1,
	    "call %d: %d workers", n, workers);
	anew_expect_well(&r, workers);
	if (!eventually(own_fds(workers) == fds_before))
		rig_fail(&r, "call %d: %d descriptors, not %d", n,
		    own_fds(workers), fds_before);
	cr_expect_eq(rig_stop(&r), 0, "call %d", n);
	expect_ended(n);
}

static bool
is_over(void)
{
	return rig_log_has(&r, "master.crashed") ||
	    rig_log_has(&r, "it crashed (SIG") || rig_ended(&r);
}

static void
sweep(const struct deed *deed, int first)
{
	struct shim *shim = anew_shim();
	int64_t until = rig_now_ms() + rig_soak(SWEEP_MS);
	int n = first;

	for (; rig_now_ms() < until; n += rig_soak(1) == 1 ? 8 : 2) {
		*shim = (struct shim){ .how = n / 2 % 3 };
		start();
		shim->countdown = n;
		deed->act();
		if (!eventually_ms(shim->countdown == 0, 300))
			break;
		if (!eventually(is_over()))
			rig_fail(&r, "call %d: not healed", n);
		expect_after(deed, n);
	}
	cr_expect_gt(n, first, "it was never in the middle");
}

/* The same, each worker a program. */
static void
sweep_programs(const struct deed *deed, int first)
{
	programs = true;
	sweep(deed, first);
}

static void
scale_up(void)
{
	rig_queue(&r, 3);
}

static void
scale_down(void)
{
	rig_queue(&r, -3);
}

static void
reload(void)
{
	rig_signal(&r, SIGHUP);
}

static void
upgrade(void)
{
	rig_signal(&r, SIGUSR2);
}

static void
kill_workers(void)
{
	pid_t pids[RIG_MAX];
	int count = rig_workers(&r, pids);

	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
}

static void
stop(void)
{
	rig_signal(&r, SIGTERM);
}

static void
stop_fast(void)
{
	rig_signal(&r, SIGQUIT);
}

static const struct deed deeds[] = {
	{ scale_up, 4, 7, false },
	{ scale_down, 1, 4, false },
	{ reload, 4, 4, false },
	{ upgrade, 4, 4, false },
	{ kill_workers, 4, 4, false },
	{ stop, 0, 0, true },
	{ stop_fast, 0, 0, true },
};

/* By two beginnings, so that they run side by side. */
#define SWEEP(name, nr)							\
Test(heal_sweep, anywhere_in_ ## name ## _odd) { sweep(&deeds[nr], 1); }	\
Test(heal_sweep, anywhere_in_ ## name ## _even) { sweep(&deeds[nr], 4); }

SWEEP(a_scaling_up, 0)
SWEEP(a_scaling_down, 1)
SWEEP(a_reload, 2)
SWEEP(an_upgrade, 3)
SWEEP(many_deaths, 4)
SWEEP(a_stop, 5)
SWEEP(a_fast_stop, 6)

#define SWEEP_PROGRAMS(name, nr, first)					\
Test(heal_sweep, anywhere_in_ ## name ## _of_programs) {		\
	sweep_programs(&deeds[nr], first);				\
}

SWEEP_PROGRAMS(a_scaling_up, 0, 1)
SWEEP_PROGRAMS(a_reload, 2, 2)
SWEEP_PROGRAMS(many_deaths, 4, 3)
SWEEP_PROGRAMS(a_stop, 5, 4)

/* Before it has written anything down, there is nothing to go on from. */
Test(heal_sweep, anywhere_in_the_start)
{
	struct shim *shim = anew_shim();
	int64_t until = rig_now_ms() + rig_soak(SWEEP_MS);
	int code, healed = 0;

	for (int n = 20; rig_now_ms() < until; n += 23) {
		*shim = (struct shim){ .countdown = n };
		rig_launch(&r, "-w", "4", NULL);
		cr_assert(eventually(rig_log_has(&r, "pool.ready") ||
		    rig_ended(&r)), "call %d", n);
		if (shim->countdown != 0)
			break;
		if (r.ended) {
			code = rig_exit_code(&r);
			cr_expect_eq(code, 128 + SIGSEGV, "call %d: %d", n,
			    code);
			cr_expect(!rig_log_has(&r, "worker.start"),
			    "call %d", n);
		} else {
			rig_await_ready(&r);
			rig_await_log(&r, "master.crashed");
			anew_expect_well(&r, 4);
			cr_expect_eq(rig_stop(&r), 0, "call %d", n);
			healed++;
		}
		cr_expect(eventually(descendants_gone()), "call %d", n);
	}
	cr_expect_gt(healed, 0);
}

/* The healed image crashes, too, while it takes up the work. */
Test(heal_sweep, anywhere_in_the_healing)
{
	struct shim *shim = anew_shim();
	int64_t until = rig_now_ms() + rig_soak(SWEEP_MS);
	struct anew before;
	int n = 5;

	for (; rig_now_ms() < until; n += 17) {
		*shim = (struct shim){ .how = SHIM_NULL };
		rig_start(&r, "-w", "3", NULL);
		anew_look(&r, &before);
		shim->crash_countdown = n;
		anew_crash(&r, SIGSEGV);
		if (!eventually_ms(shim->countdown == 0, 100))
			break;
		anew_expect_well(&r, 3);
		cr_expect(rig_log_says(&r, "master.crashed count=2"));
		anew_expect_same(&r, &before);
		cr_expect_eq(rig_stop(&r), 0, "call %d", n);
	}
	cr_expect_gt(n, 5);
}
