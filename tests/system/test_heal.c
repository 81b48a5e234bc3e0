#include <signal.h>

#include "client.h"
#include "look.h"
#include "rig.h"

/*
 * A master that crashes goes on in the same process, with the same sockets
 * and workers, and a fourth crash within a minute ends it in good order.
 * Sanitizers want the crash for themselves: MUSTER_HEAL=1 says otherwise.
 */
static struct rig	 r;

static void
setup(void)
{
	rig_setup();
	setenv("MUSTER_HEAL", "1", 1);
}

TestSuite(heal, .init = setup, .fini = rig_cleanup, .timeout = 60);

static void
crash(int signo, int nr)
{
	char	 words[64];

	rig_signal(&r, signo);
	snprintf(words, sizeof(words), "master.crashed count=%d workers=2", nr);
	rig_await_log(&r, words);
}

Test(heal, a_crash_costs_no_worker_and_no_connection)
{
	pid_t	 worker;
	int	 fd;

	rig_start(&r, "-w", "2", NULL);
	worker = rig_worker(&r, 0);
	fd = rig_connect(&r);
	client_say(fd, "before\n");
	cr_expect_str_eq(client_hear(fd), "before\n");
	crash(SIGSEGV, 1);
	client_say(fd, "after\n");
	cr_expect_str_eq(client_hear(fd), "after\n");
	close(fd);
	cr_expect(look_alive(worker));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(heal, a_worker_that_dies_after_a_crash_is_replaced)
{
	rig_start(&r, "-w", "2", NULL);
	crash(SIGBUS, 1);
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.start") == 3));
	cr_assert(eventually(rig_count(&r) == 2));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(heal, the_fourth_crash_in_a_minute_drains_and_ends_with_70)
{
	rig_start(&r, "-w", "2", NULL);
	crash(SIGSEGV, 1);
	crash(SIGFPE, 2);
	crash(SIGILL, 3);
	rig_signal(&r, SIGSEGV);
	cr_expect_eq(rig_exit_code(&r), 70);
	cr_expect(rig_log_says(&r, "pool.stop mode=graceful"));
}
