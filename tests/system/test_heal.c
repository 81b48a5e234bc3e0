/*
 * A master that crashes goes on in the same process: same pid, same workers,
 * same sockets, and nobody outside notices.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/look.h"

static void
setup(void)
{
	rig_setup();
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
}

TestSuite(heal, .init = setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

#define SET(text)	"-s", text

/* ---- what is as before */

static void
heals_of(int signo)
{
	struct anew before;
	char words[64];

	rig_start(&r, "-w", "3", NULL);
	anew_look(&r, &before);
	anew_crash(&r, signo);
	anew_expect_same(&r, &before);
	anew_expect_well(&r, 3);
	snprintf(words, sizeof(words), "master.crashed signal=%s workers=3 "
	    "count=1", sigabbrev_np(signo));
	cr_expect(rig_log_says(&r, words), "%s",
	    rig_log_line(&r, "master.crashed"));
	cr_expect(rig_log_has(&r, "where=\"+0x"));
	anew_expect_signals(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(heal, of_a_segv)
{
	heals_of(SIGSEGV);
}

Test(heal, of_a_bus)
{
	heals_of(SIGBUS);
}

Test(heal, of_an_fpe)
{
	heals_of(SIGFPE);
}

Test(heal, of_an_ill)
{
	heals_of(SIGILL);
}

/* A service manager that aborts us goes on to KILL: it wants us gone. */
Test(heal, not_of_an_abort_that_another_process_sent)
{
	pid_t pids[RIG_MAX];
	int count;

	rig_start(&r, "-w", "3", NULL);
	count = rig_workers(&r, pids);
	rig_signal(&r, SIGABRT);
	cr_expect_eq(rig_exit_code(&r), 128 + SIGABRT);
	for (int i = 0; i < count; i++)
		cr_expect(eventually(!look_alive(pids[i])));
	cr_expect_eq(client_try(r.addr, 500), -1);
}

Test(heal, programs_are_not_touched)
{
	struct anew before;

	rig_start(&r, "-w", "2", SET("worker.ready=notify"), "--",
	    anew_built("mis"), "serve", "0", NULL);
	rig_await_workers(&r, 2);
	anew_look(&r, &before);
	anew_crash(&r, SIGSEGV);
	anew_expect_same(&r, &before);
	anew_expect_well(&r, 2);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(heal, with_64_workers)
{
	struct anew before;

	rig_start(&r, "-w", "64", NULL);
	anew_look(&r, &before);
	anew_crash(&r, SIGSEGV);
	anew_expect_same(&r, &before);
	anew_expect_well(&r, 64);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 64);
	/* One that dies is seen by the healed, and replaced. */
	kill(before.workers[17], SIGKILL);
	rig_await_log(&r, "worker.died");
	anew_expect_well(&r, 64);
}

Test(heal, the_scale_before_the_crash_is_kept)
{
	rig_start(&r, "-w", "2", NULL);
	rig_queue(&r, 3);
	rig_await_workers(&r, 5);
	anew_crash(&r, SIGSEGV);
	anew_expect_well(&r, 5);
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, 4);
	cr_expect(rig_log_says(&r, "pool.scale from=5 to=4"));
}

Test(heal, a_binary_that_was_deleted)
{
	struct anew before;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	cr_assert_eq(unlink(rig_path("muster")), 0);
	anew_look(&r, &before);
	anew_crash(&r, SIGSEGV);
	anew_expect_same(&r, &before);
	anew_expect_signals(&r, 2);
}

Test(heal, as_the_old_image_when_the_binary_was_replaced)
{
	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	anew_install("mis");	/* that one could not */
	anew_crash(&r, SIGSEGV);
	anew_expect_well(&r, 2);
	cr_expect(strncmp(look_file(r.pid, "comm"), "muster", 6) == 0);
}

Test(heal, a_daemon_with_a_pidfile)
{
	static char path[256], set_log[300], log_path[256];

	snprintf(path, sizeof(path), "%s", rig_path("muster.pid"));
	snprintf(log_path, sizeof(log_path), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log_path);
	r.log = log_path;
	cr_assert_eq(rig_run(&r, "-d", "-p", path, "-b", "127.0.0.1:0", "-s",
	    set_log, NULL), 0, "%s", rig_read(&r, r.err));
	r.pid = (pid_t)atoi(rig_read(&r, path));
	r.ended = false;
	rig_await_ready(&r);
	anew_crash(&r, SIGSEGV);
	anew_expect_well(&r, 2);
	cr_expect_eq(atoi(rig_read(&r, path)), r.pid);
	rig_signal(&r, SIGTERM);
	cr_expect(eventually(!look_alive(r.pid)));
	cr_expect_eq(access(path, F_OK), -1);
}

/* ---- signals around a crash */

/*
 * Stopped, all of it waits for the same moment. But not before it stands: a
 * signal that comes first may be delivered, and its handler not have begun.
 */
static void
stand_still(void)
{
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
}

Test(heal, a_term_right_before_the_crash_is_not_lost)
{
	rig_start(&r, "-w", "2", NULL);
	stand_still();
	rig_signal(&r, SIGTERM);
	rig_signal(&r, SIGSEGV);
	rig_signal(&r, SIGCONT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "master.crashed signal=SEGV"));
	cr_expect(rig_log_says(&r, "pool.stop mode=graceful"));
}

Test(heal, a_worker_that_died_meanwhile_is_replaced)
{
	pid_t pids[RIG_MAX];

	rig_start(&r, "-w", "3", NULL);
	rig_workers(&r, pids);
	stand_still();
	kill(pids[1], SIGKILL);
	rig_signal(&r, SIGSEGV);
	rig_signal(&r, SIGCONT);
	rig_await_log(&r, "master.crashed");
	rig_await_log(&r, "worker.died");
	anew_expect_well(&r, 3);
}

/*
 * A reload that crashes the master must not be tried again by the healed. That
 * it was asked for was about to be told.
 */
Test(heal, a_reload_that_crashes_is_not_repeated)
{
	struct shim *shim = anew_shim();

	rig_start(&r, "-w", "2", NULL);
	shim->countdown = 14;
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "master.crashed");
	cr_expect(rig_log_says(&r, "signal.received signal=HUP"));
	anew_expect_well(&r, 2);
	cr_expect(always_ms(rig_log_count(&r, "master.crashed") == 1, 300));
	anew_expect_signals(&r, 2);
}

/* ---- stops */

Test(heal, a_crash_while_it_stops)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = rig_connect(&r);
	client_say(fd, "one\nha");
	cr_assert_str_eq(client_hear(fd), "one\n");
	rig_signal(&r, SIGTERM);
	cr_assert(eventually(rig_count(&r) == 1));
	anew_crash(&r, SIGSEGV);
	cr_expect(always_ms(!rig_ended(&r), 100));
	client_say(fd, "lf\n");
	cr_expect_str_eq(client_hear(fd), "half\n");
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(heal, a_crash_while_it_is_drained)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGWINCH);
	cr_assert(eventually(rig_log_count(&r, "worker.exit") == 2));
	anew_crash(&r, SIGSEGV);
	cr_expect(always_ms(rig_count(&r) == 0, 200));
	rig_signal(&r, SIGHUP);
	anew_expect_well(&r, 2);
}

Test(heal, a_crash_before_the_pool_is_ready)
{
	rig_launch(&r, "-w", "2", SET("worker.ready=notify"),
	    SET("worker.ready_timeout=30s"), "--", "/bin/sleep", "50", NULL);
	cr_assert(eventually(rig_log_count(&r, "worker.start") == 2));
	anew_crash(&r, SIGSEGV);
	cr_expect(always_ms(rig_count(&r) == 2, 200));
	cr_expect(!rig_log_has(&r, "pool.ready"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(heal, three_crashes_a_minute_are_healed_and_the_fourth_is_the_end)
{
	pid_t pids[RIG_MAX];
	struct anew before;
	int count;

	rig_start(&r, "-w", "3", NULL);
	anew_look(&r, &before);
	for (int i = 0; i < 3; i++)
		anew_crash(&r, i % 2 == 0 ? SIGSEGV : SIGBUS);
	anew_expect_same(&r, &before);
	anew_expect_well(&r, 3);
	count = rig_workers(&r, pids);
	rig_signal(&r, SIGSEGV);
	cr_expect_eq(rig_exit_code(&r), 70);
	cr_expect_eq(rig_log_count(&r, "master.crashed"), 4);
	cr_expect(rig_log_says(&r, "pool.stop mode=graceful"));
	cr_expect(rig_log_says(&r, "master.stop code=70"));
	for (int i = 0; i < count; i++)
		cr_expect(!look_alive(pids[i]));
	cr_expect_eq(client_try(r.addr, 500), -1);
}

Test(heal, the_fourth_lets_clients_finish)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = rig_connect(&r);
	client_say(fd, "one\nha");
	cr_assert_str_eq(client_hear(fd), "one\n");
	for (int i = 0; i < 4; i++)
		anew_crash(&r, SIGSEGV);
	rig_await_log(&r, "pool.stop");
	client_say(fd, "lf\n");
	cr_expect_str_eq(client_hear(fd), "half\n");
	cr_expect_eq(rig_exit_code(&r), 70);
}

/* ---- real faults, anywhere */

static void
heals_of_fault(enum shim_how how, const char *signal)
{
	struct shim *shim = anew_shim();
	char words[64];

	shim->how = how;
	rig_start(&r, "-w", "2", NULL);
	shim->countdown = 3;
	rig_signal(&r, SIGTTIN);
	snprintf(words, sizeof(words), "master.crashed signal=%s", signal);
	rig_await_log(&r, words);
	rig_signal(&r, SIGUSR1);	/* both lost and done are fine */
	rig_await_log(&r, "log.reopened");
	if (rig_count(&r) != 3)
		anew_expect_well(&r, 2);
	else
		anew_expect_well(&r, 3);
	anew_expect_signals(&r, rig_count(&r));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(heal, of_a_null_pointer)
{
	heals_of_fault(SHIM_NULL, "SEGV");
}

Test(heal, of_its_own_abort)
{
	heals_of_fault(SHIM_ABORT, "ABRT");
}

Test(heal, of_a_stack_overflow)
{
	heals_of_fault(SHIM_OVERFLOW, "SEGV");
}

Test(heal, of_a_trap)
{
	heals_of_fault(SHIM_TRAP, "ILL");
}
