/* When the system has no more to give, sections 4 and 6: say so, go on. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(scarce, .init = rig_setup, .fini = rig_cleanup, .timeout = 100);

static struct rig r;

static void
few_descriptors(void *arg)
{
	struct rlimit limit = { 0, 4096 };

	limit.rlim_cur = *(rlim_t *)arg;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * With n descriptors the start either works or ends with a message and a
 * code that says why: the system (71), the address (69), the workers (75).
 */
Test(scarce, descriptors_at_the_start)
{
	rlim_t nofile;
	int code, started = 0, refused = 0;

	r.child = few_descriptors;
	r.arg = &nofile;
	for (nofile = 5; nofile <= 40 && started < 3; nofile++) {
		rig_launch(&r, "-w", "2", "-s", "pool.backoff_min=10ms",
		    NULL);
		cr_assert(eventually(rig_log_says(&r, "pool.ready") ||
		    rig_ended(&r)), "neither ready nor ended with %d",
		    (int)nofile);
		if (!r.ended) {
			started++;
			cr_expect_eq(rig_stop(&r), 0);
			continue;
		}
		refused++;
		code = rig_exit_code(&r);
		cr_expect(code == 69 || code == 71 || code == 75,
		    "exit %d with %d: %s", code, (int)nofile,
		    rig_read(&r, r.err));
		cr_expect_neq(rig_read(&r, r.err)[0], '\0', "silent exit");
	}
	cr_expect_geq(started, 3, "it wants more than 40 descriptors");
	cr_expect_geq(refused, 1);
}

/*
 * fork(2) is never refused to root, so be somebody with few processes; the
 * leak checker would need one more of them.
 */
static void
become_somebody(void *arg)
{
	const char *old = getenv("ASAN_OPTIONS");
	char options[512];

	(void)arg;
	snprintf(options, sizeof(options), "%s:detect_leaks=0",
	    old != NULL ? old : "");
	setenv("ASAN_OPTIONS", options, 1);
	if (geteuid() == 0 && (setgroups(0, NULL) == -1 ||
	    setresgid(54321, 54321, 54321) == -1 ||
	    setresuid(54321, 54321, 54321) == -1))
		_exit(126);
}

/* By a process of the same user: root may need CAP_SYS_RESOURCE for it. */
static void
allow_processes(rlim_t count)
{
	struct rlimit limit;
	pid_t pid;
	int status;

	if ((pid = fork()) == 0) {
		become_somebody(NULL);
		if (prlimit(r.pid, RLIMIT_NPROC, NULL, &limit) == -1)
			_exit(1);
		limit.rlim_cur = count;
		_exit(prlimit(r.pid, RLIMIT_NPROC, &limit, NULL) == -1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "prlimit failed");
}

Test(scarce, a_refused_fork_is_tried_again)
{
	r.child = become_somebody;
	rig_start(&r, "-w", "2", "-s", "pool.backoff_min=50ms", "-s",
	    "pool.backoff_max=100ms", NULL);
	allow_processes(1);
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_log(&r, "spawn.failed slot=0");
	cr_expect_str_eq(rig_ask(&r, "one is left\n"), "one is left\n");
	cr_assert(eventually(rig_log_count(&r, "spawn.failed") >= 3));
	allow_processes(1000);
	rig_await_workers(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(scarce, a_refused_fork_does_not_spin)
{
	int64_t cpu;

	r.child = become_somebody;
	rig_start(&r, "-w", "2", "-s", "pool.backoff_min=200ms", NULL);
	allow_processes(1);
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_log(&r, "spawn.failed slot=0");
	cpu = look_cpu_ms(r.pid);
	cr_assert(always_ms(!rig_ended(&r), 600));
	cr_expect_leq(look_cpu_ms(r.pid) - cpu, 100);
	cr_expect_leq(rig_log_count(&r, "spawn.failed"), 6);
}

Test(scarce, a_stop_ends_while_forks_are_refused)
{
	r.child = become_somebody;
	rig_start(&r, "-w", "2", NULL);
	allow_processes(1);
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_log(&r, "spawn.failed slot=0");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(scarce, absurd_values_are_cut_not_added_up)
{
	rig_start(&r, "-w", "2", "-s", "pool.max_workers=5", NULL);
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	for (int i = 0; i < 10; i++)
		rig_queue(&r, INT_MAX);
	rig_signal(&r, SIGCONT);
	cr_expect(always_ms(rig_count(&r) >= 2 && rig_count(&r) <= 5, 300));
	for (int i = 0; i < 10; i++)
		rig_queue(&r, INT_MIN);
	cr_expect(always_ms(rig_count(&r) >= 1 && rig_count(&r) <= 5, 300));
	cr_expect_str_eq(rig_ask(&r, "sane\n"), "sane\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(scarce, a_filled_accept_queue_is_served_in_the_end)
{
	int fds[30], served = 0;

	rig_start(&r, "-w", "1", "-s", "listen.backlog=2", "-s",
	    "worker.watchdog=0", NULL);
	rig_kill_worker(&r, 0, SIGSTOP);
	for (int i = 0; i < 30; i++)
		if ((fds[i] = client_try(r.addr, 20)) != -1)
			client_say(fds[i], "patience\n");
	rig_kill_worker(&r, 0, SIGCONT);
	for (int i = 0; i < 30; i++)
		if (fds[i] != -1)
			served += strcmp(client_hear(fds[i]), "patience\n")
			    == 0;
	cr_expect_geq(served, 3);
	cr_expect_str_eq(rig_ask(&r, "after\n"), "after\n");
}

/* Some workers of a turn are forked, the next has no socket: all must end. */
Test(scarce, giving_up_in_the_midst_of_a_turn_leaves_nobody)
{
	rlim_t nofile = 24;

	r.child = few_descriptors;
	r.arg = &nofile;
	rig_launch(&r, "-w", "40", "-s", "listen.accept=reuseport", "-s",
	    "pool.boot_retries=1", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_says(&r, "pool.failed"));
	cr_expect_geq(rig_log_count(&r, "worker.start"), 1);
	cr_expect_eq(rig_log_count(&r, "worker.start"),
	    rig_log_count(&r, "worker.exit") + rig_log_count(&r,
	    "worker.died"));
}
