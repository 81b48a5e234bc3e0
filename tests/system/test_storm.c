/* Many signals, many deaths: section 3's promises under pressure. */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(storm, .init = rig_setup, .fini = rig_cleanup, .timeout = 300);

static struct rig r;

#define SIGNALS	100000		/* from two senders */
#define KILLS	500

/* A process that sends its half, in its own order; never returns. */
static pid_t
start_sender(unsigned seed)
{
	static const int signals[] = { SIGTTIN, SIGTTOU, SIGUSR1, SIGCHLD,
		SIGPIPE, SIGCONT };
	pid_t master = r.pid, pid = fork();
	int signo;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < rig_soak(SIGNALS / 2); i++) {
		signo = signals[rand_r(&seed) % 6];
		if (rand_r(&seed) % 4 == 0)
			while (sigqueue(master, SIGRTMIN + 1, (union sigval){
			    .sival_int = i % 2 ? 1 : -1 }) == -1)
				rig_nap();
		else if (kill(master, signo) == -1)
			_exit(1);
		if (i % 100 == 0)	/* let a turn of the loop pass */
			rig_nap();
	}
	_exit(0);
}

static bool
sender_ended(pid_t *pid)
{
	int status;

	if (*pid == 0 || waitpid(*pid, &status, WNOHANG) != *pid)
		return *pid == 0;
	*pid = 0;
	return true;
}

static void
kill_any_worker(unsigned *seed)
{
	pid_t pids[RIG_MAX];
	int count = rig_workers(&r, pids);

	if (count > 0)
		kill(pids[rand_r(seed) % (unsigned)count], SIGKILL);
}

static bool
stays_at(int count)
{
	return always_ms(rig_count(&r) == count, 100);
}

Test(storm, signals_and_deaths_lose_nothing)
{
	pid_t one, two;
	unsigned seed = 7;

	rig_start(&r, "-w", "3", "-s", "pool.max_workers=8", "-s",
	    "pool.min_uptime=0", "-s", "pool.backoff_min=10ms", NULL);
	one = start_sender(1);
	two = start_sender(2);
	while (!sender_ended(&one) || !sender_ended(&two)) {
		cr_assert(!rig_ended(&r), "the master did not survive");
		kill_any_worker(&seed);
		nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	}
	rig_queue(&r, -10000);
	cr_assert(eventually(rig_count(&r) == 1));
	rig_queue(&r, 3);		/* exact, as ever */
	/* A reload may still be under way: one more for a while. */
	cr_assert(eventually(stays_at(4)));
	cr_expect_str_eq(rig_ask(&r, "calm\n"), "calm\n");
	rig_signal(&r, SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(storm, queued_values_beyond_the_pipes_size_are_exact)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	for (int i = 0; i < 10000; i++) {
		rig_queue(&r, 1);
		if (i >= 3)
			rig_queue(&r, -1);
	}
	rig_signal(&r, SIGCONT);
	rig_await_workers(&r, 5);
	cr_expect_eq(rig_stop(&r), 0);
}

static void
kill_in_a_row(int times)
{
	pid_t pids[RIG_MAX], now[RIG_MAX];

	for (int i = 0; i < times; i++) {
		cr_assert(eventually(rig_workers(&r, pids) == 2));
		kill(pids[i % 2], SIGKILL);
		cr_assert(eventually(rig_workers(&r, now) == 2 &&
		    now[0] != pids[i % 2] && now[1] != pids[i % 2]));
	}
}

Test(storm, deaths_in_a_row_leave_nothing_behind)
{
	int64_t rss;
	int fds;

	rig_start(&r, "-w", "2", "-s", "pool.min_uptime=0", "-s",
	    "pool.backoff_min=1ms", "-s", "pool.backoff_max=1ms", NULL);
	kill_in_a_row(50);
	fds = look_fds(r.pid);
	rss = look_rss_kb(r.pid);
	kill_in_a_row(rig_soak(KILLS));
	rig_await_workers(&r, 2);
	cr_expect_eq(look_zombies(r.pid), 0);
	cr_expect_eq(look_fds(r.pid), fds);
	if (!rig_sanitized())
		cr_expect_leq(look_rss_kb(r.pid) - rss, 512);
	cr_expect_str_eq(rig_ask(&r, "alive\n"), "alive\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(storm, start_and_stop_leave_no_process)
{
	pid_t pids[RIG_MAX];

	for (int i = 0; i < rig_soak(20); i++) {
		rig_launch(&r, "-w", "3", NULL);
		rig_await_log(&r, "master.start");
		rig_signal(&r, SIGTTIN);
		rig_signal(&r, i % 2 ? SIGQUIT : SIGINT);
		cr_expect_eq(rig_exit_code(&r), 0, "round %d: %s", i,
		    rig_read(&r, r.err));
		cr_expect_eq(look_descendants(getpid(), pids, RIG_MAX), 0);
	}
}
