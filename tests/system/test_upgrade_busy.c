/*
 * An upgrade while something else goes on: a start, a reload, a stop, deaths,
 * other upgrades, and every signal at any moment of it.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(upgrade_busy, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 90);

static struct rig r;

/* ---- a gate: the next binary waits in its trial, or right after the exec */

#define IN_TRIAL	"trial"
#define AFTER_EXEC	"upgrade"

static void
install_gate(const char *where)
{
	char lines[900];

	cr_assert(mkfifo(rig_path("gate"), 0600) == 0);
	snprintf(lines, sizeof(lines), "case $MUSTER_STATE in\n"
	    "*:%s:*) read line <%s ;;\nesac\nexec %s \"$@\"", where,
	    rig_path("gate"), anew_built(ANEW_NEXT));
	anew_install_script(lines);
}

static int
try_gate(int *fd)
{
	return *fd = open(rig_path("gate"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

/* USR2, and wait until it is there; what is closed lets it go on. */
static int
begin_upgrade(void)
{
	int fd;

	rig_signal(&r, SIGUSR2);
	if (!eventually(try_gate(&fd) != -1))
		rig_fail(&r, "it never came to the gate");
	/* It may be there before its master has said so. */
	rig_await_log(&r, "upgrade.trial");
	return fd;
}

static void
let_go(int fd)
{
	cr_assert_eq(write(fd, "\n", 1), 1);
	close(fd);
}

static void
start(const char *where)
{
	anew_install(NULL);
	rig_start(&r, "-w", "3", NULL);
	install_gate(where);
}

static void
await_upgrade(void)
{
	rig_await_log(&r, "upgrade.done version=9.9.9");
	rig_await_log(&r, "reload.done");
}

/* ---- signals */

/* The image in between is deaf: what comes is the next one's. */
Test(upgrade_busy, what_comes_right_after_the_exec_is_not_lost)
{
	pid_t pids[RIG_MAX];
	int fd;

	start(AFTER_EXEC);
	rig_workers(&r, pids);
	fd = begin_upgrade();
	rig_signal(&r, SIGTTIN);
	rig_queue(&r, 4);
	rig_queue(&r, -1);
	rig_signal(&r, SIGUSR1);
	kill(pids[0], SIGKILL);
	kill(pids[2], SIGKILL);
	let_go(fd);
	rig_await_log(&r, "upgrade.done");
	rig_await_log(&r, "log.reopened");
	if (!eventually(rig_log_count(&r, "worker.died") == 2))
		rig_fail(&r, "deaths were missed");
	rig_await_log(&r, "reload.done");
	anew_expect_well(&r, 7);
	anew_expect_signals(&r, 7);
}

Test(upgrade_busy, a_hup_right_after_the_exec)
{
	int fd;

	start(AFTER_EXEC);
	fd = begin_upgrade();
	rig_signal(&r, SIGHUP);
	let_go(fd);
	rig_await_log(&r, "reload.done");
	cr_expect(rig_log_says(&r, "reload.start why=signal"));
	anew_expect_well(&r, 3);
}

Test(upgrade_busy, another_usr2_right_after_the_exec)
{
	int fd;

	start(AFTER_EXEC);
	fd = begin_upgrade();
	rig_signal(&r, SIGUSR2);
	let_go(fd);
	rig_await_log(&r, "upgrade.done");
	if (!eventually(try_gate(&fd) != -1))
		rig_fail(&r, "the second was lost");
	let_go(fd);
	cr_assert(eventually(rig_log_count(&r, "upgrade.done") == 2));
	rig_await_log(&r, "reload.done");
	anew_expect_well(&r, 3);
}

static void
stops_right_after_the_exec(int signo, const char *mode)
{
	char words[64];
	int fd;

	start(AFTER_EXEC);
	fd = begin_upgrade();
	rig_signal(&r, signo);
	let_go(fd);
	cr_expect_eq(rig_exit_code(&r), 0);
	snprintf(words, sizeof(words), "pool.stop mode=%s", mode);
	cr_expect(rig_log_says(&r, words));
	cr_expect(rig_log_says(&r, "upgrade.done"));
	cr_expect(eventually(exec_all_gone()));
}

Test(upgrade_busy, a_term_right_after_the_exec)
{
	stops_right_after_the_exec(SIGTERM, "graceful");
}

Test(upgrade_busy, a_quit_right_after_the_exec)
{
	stops_right_after_the_exec(SIGQUIT, "fast");
}

/* All of it is there in the turn in which the trial is seen to have ended. */
Test(upgrade_busy, what_comes_with_the_end_of_the_trial_is_not_lost)
{
	pid_t trial;
	int fd;

	start(IN_TRIAL);
	fd = begin_upgrade();
	trial = (pid_t)rig_log_int(&r, "upgrade.trial", "pid");
	rig_signal(&r, SIGSTOP);
	let_go(fd);
	cr_assert(eventually(look_state(trial) == 'Z'));
	rig_queue(&r, 5);	/* CONT takes TTIN away, signal(7) */
	rig_queue(&r, -2);
	rig_signal(&r, SIGUSR1);
	rig_signal(&r, SIGHUP);
	rig_signal(&r, SIGCONT);
	rig_await_log(&r, "upgrade.done");
	rig_await_log(&r, "log.reopened");
	rig_await_log(&r, "reload.done");
	anew_expect_well(&r, 6);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(upgrade_busy, a_term_with_the_end_of_the_trial)
{
	pid_t trial;
	int fd;

	start(IN_TRIAL);
	fd = begin_upgrade();
	trial = (pid_t)rig_log_int(&r, "upgrade.trial", "pid");
	rig_signal(&r, SIGSTOP);
	let_go(fd);
	cr_assert(eventually(look_state(trial) == 'Z'));
	rig_signal(&r, SIGTERM);
	rig_signal(&r, SIGCONT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "upgrade.failed msg=stopping"));
	cr_expect_eq(rig_log_count(&r, "upgrade.exec"), 0);
}

/*
 * Its slot's socket is empty now: TERM waits until nothing is under way to it,
 * and by then the master is another image.
 */
Test(upgrade_busy, a_worker_that_was_about_to_be_told_to_stop_is_told_once)
{
	const char *script = exec_script("told", "#!/bin/sh\nleft=10 told=0\n"
	    "trap 'echo told >>%s; told=1' TERM\nwhile [ $left -gt 0 ]; do\n"
	    "\tsleep 0.05\n\tleft=$((left - told))\ndone\n",
	    rig_path("tolds"));
	pid_t trial;
	int fd;

	anew_install(NULL);
	rig_start(&r, "-w", "3", SET("listen.accept=reuseport"),
	    SET("worker.ready=alive:10ms"), "--", script, NULL);
	install_gate(IN_TRIAL);
	fd = begin_upgrade();
	trial = (pid_t)rig_log_int(&r, "upgrade.trial", "pid");
	rig_signal(&r, SIGSTOP);
	let_go(fd);
	cr_assert(eventually(look_state(trial) == 'Z'));
	rig_queue(&r, -1);
	rig_signal(&r, SIGCONT);
	rig_await_log(&r, "upgrade.done");
	cr_expect(eventually(rig_count(&r) == 2), "it was never told");
	cr_expect_str_eq(rig_read(&r, rig_path("tolds")), "told\n");
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- strace(1) makes the moments long in which we are to send something */

static bool
is_blocked(void)
{
	return strtoull(look_status(r.pid, "SigBlk"), NULL, 16) >> (SIGTTIN -
	    1) & 1;
}

/* The log is written, the state not yet: a handler still counts. */
Test(upgrade_busy, what_comes_right_before_the_state_is_written_down)
{
	pid_t tracer;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	anew_install(ANEW_NEXT);
	tracer = anew_trace(&r, "write:delay_exit=200000");
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.exec");
	rig_signal(&r, SIGTTIN);
	rig_queue(&r, 1);
	rig_signal(&r, SIGUSR1);
	kill(tracer, SIGTERM);
	await_upgrade();
	rig_await_log(&r, "log.reopened");
	anew_expect_well(&r, 4);
	cr_expect_eq(rig_stop(&r), 0);
}

/* It is, and signals are blocked: what comes waits over the exec. */
Test(upgrade_busy, what_comes_right_before_the_exec)
{
	pid_t tracer;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	anew_install(ANEW_NEXT);
	tracer = anew_trace(&r, "execve:delay_enter=300000");
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.exec");
	cr_assert(eventually(is_blocked()));
	rig_signal(&r, SIGTTIN);
	rig_queue(&r, 1);
	rig_signal(&r, SIGUSR1);
	cr_assert(is_blocked(), "too late");
	kill(tracer, SIGTERM);
	await_upgrade();
	rig_await_log(&r, "log.reopened");
	anew_expect_well(&r, 4);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(upgrade_busy, a_term_right_before_the_exec)
{
	pid_t tracer;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	anew_install(ANEW_NEXT);
	tracer = anew_trace(&r, "write:delay_exit=200000");
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.exec");
	rig_signal(&r, SIGTERM);
	kill(tracer, SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "pool.stop mode=graceful"));
	cr_expect(eventually(exec_all_gone()));
}

/* ---- many */

Test(upgrade_busy, a_storm_of_them_and_of_scaling)
{
	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	anew_install(ANEW_NEXT);
	for (int i = 0; i < rig_soak(60); i++) {
		rig_signal(&r, SIGUSR2);
		rig_queue(&r, i % 2 == 0 ? 2 : -1);
		rig_nap();
	}
	rig_await_log(&r, "upgrade.done");
	/* All that came before this one has been acted on when it is. */
	cr_assert(eventually(rig_log_count(&r, "upgrade.trial") ==
	    rig_log_count(&r, "upgrade.done")));
	rig_signal(&r, SIGUSR1);
	rig_await_log(&r, "log.reopened");
	anew_expect_well(&r, 2 + rig_soak(60) / 2);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(upgrade_busy, a_second_one_during_the_trial_is_ignored)
{
	int fd;

	start(IN_TRIAL);
	fd = begin_upgrade();
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.failed");
	cr_expect(rig_log_has(&r, "is being tried: ignored"));
	let_go(fd);
	await_upgrade();
	cr_expect_eq(rig_log_count(&r, "upgrade.done"), 1);
	anew_expect_well(&r, 3);
}

/* ---- what happens during the trial */

Test(upgrade_busy, the_pool_goes_on_during_the_trial)
{
	pid_t pids[RIG_MAX];
	int fd;

	start(IN_TRIAL);
	rig_workers(&r, pids);
	fd = begin_upgrade();
	kill(pids[1], SIGKILL);
	rig_await_log(&r, "worker.died");
	rig_queue(&r, 2);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") == 6));
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=2");
	cr_expect_str_eq(rig_ask(&r, "there?\n"), "there?\n");
	let_go(fd);
	rig_await_log(&r, "upgrade.done workers=5");
	rig_await_log(&r, "reload.done gen=3");
	anew_expect_well(&r, 5);
	anew_expect_signals(&r, 5);
}

Test(upgrade_busy, a_stop_during_the_trial)
{
	pid_t trial;

	start(IN_TRIAL);
	begin_upgrade();
	trial = (pid_t)rig_log_int(&r, "upgrade.trial", "pid");
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(eventually(!look_alive(trial)));
	cr_expect_eq(rig_log_count(&r, "upgrade.exec"), 0);
	cr_expect(eventually(exec_all_gone()));
}

Test(upgrade_busy, none_while_it_stops)
{
	int fd;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	fd = rig_connect(&r);
	client_say(fd, "one\nha");
	cr_assert_str_eq(client_hear(fd), "one\n");
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "pool.stop");
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.failed");
	cr_expect(rig_log_has(&r, "stopping: ignored"));
	client_say(fd, "lf\n");
	cr_expect_str_eq(client_hear(fd), "half\n");
	cr_expect_eq(rig_exit_code(&r), 0);
}

/* The linker of a new image that has none ends it. */
Test(upgrade_busy, descriptors_that_run_out_during_the_trial)
{
	struct rlimit few = { 0, 4096 };
	int fd;

	start(IN_TRIAL);
	fd = begin_upgrade();
	few.rlim_cur = (rlim_t)look_fds(r.pid);
	cr_assert_eq(prlimit(r.pid, RLIMIT_NOFILE, &few, NULL), 0);
	let_go(fd);
	rig_await_log(&r, "upgrade.failed");
	cr_expect(rig_log_has(&r, "Too many open files"));
	few.rlim_cur = 4096;
	cr_assert_eq(prlimit(r.pid, RLIMIT_NOFILE, &few, NULL), 0);
	anew_install(ANEW_NEXT);
	anew_upgrade(&r, "9.9.9");
	anew_expect_signals(&r, 3);
}

/* ---- at the start */

Test(upgrade_busy, while_it_starts)
{
	anew_install(NULL);
	rig_launch(&r, "-w", "3", NOTIFY, "--", exec_mis(), "slow-start",
	    "500", NULL);
	cr_assert(eventually(rig_log_count(&r, "worker.start") == 3));
	anew_install(ANEW_NEXT);
	anew_upgrade(&r, "9.9.9");
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 0);
	rig_await_ready(&r);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 3);
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Of a failure that the image before us has counted, too. */
Test(upgrade_busy, a_start_that_fails_ends_as_before)
{
	anew_install(NULL);
	rig_launch(&r, "-w", "1", NOTIFY, SET("pool.backoff_min=300ms"),
	    SET("pool.boot_retries=3"), "--", exec_mis(), "exit", "3", NULL);
	rig_await_log(&r, "worker.died");
	anew_install(ANEW_NEXT);
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.done");
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 3);
}

/* ---- while workers are replaced */

#define LATE	NOTIFY, QUICK, SET("worker.ready_timeout=9s")

Test(upgrade_busy, a_renewal_of_programs_goes_on)
{
	pid_t before[RIG_MAX];

	anew_install(NULL);
	rig_start(&r, "-w", "4", LATE, "--", exec_mis(), "late", "150", NULL);
	rig_await_workers(&r, 4);
	rig_workers(&r, before);
	anew_install(ANEW_NEXT);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "worker.ready gen=2");
	anew_upgrade(&r, "9.9.9");
	cr_expect_eq(rig_log_count(&r, "reload.done"), 0, "too late");
	rig_await_log(&r, "reload.done gen=2");
	rig_await_workers(&r, 4);
	cr_expect_eq(rig_log_count(&r, "worker.start gen=2"), 4);
	for (int i = 0; i < 4; i++)
		cr_expect(eventually(!look_alive(before[i])));
	cr_expect_eq(rig_log_count(&r, "reload.start"), 1);
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Nothing of the new generation was ever ready: all is as it was. */
Test(upgrade_busy, a_renewal_that_fails_afterwards_is_taken_back)
{
	static char config[256], script[256];
	struct anew before;

	anew_install(NULL);
	snprintf(script, sizeof(script), "%s", exec_script("worker",
	    "#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.02; done\nexit 7\n",
	    rig_path("go")));
	snprintf(config, sizeof(config), "%s", rig_path("my.ini"));
	exec_script("my.ini", "[pool]\nworkers = 2\n[worker]\ncommand = %s "
	    "serve\nready = notify\n", exec_mis());
	rig_start(&r, "-c", config, NULL);
	rig_await_workers(&r, 2);
	anew_look(&r, &before);
	exec_script("my.ini", "[pool]\nworkers = 4\n[worker]\ncommand = %s\n"
	    "ready = notify\n", script);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "worker.start gen=2");
	anew_install(ANEW_NEXT);
	anew_upgrade(&r, "9.9.9");
	rig_file("go", "");
	rig_await_log(&r, "reload.failed kept=all");
	anew_expect_same(&r, &before);
	anew_expect_well(&r, 2);
	cr_expect_eq(rig_log_count(&r, "worker.start gen=1"), 2);
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_workers(&r, 2);
}

/* One that is being prepared is prepared anew. */
Test(upgrade_busy, a_reload_that_had_just_begun)
{
	anew_install(NULL);
	rig_start(&r, "-w", "2", NOTIFY, "--", exec_mis(), "serve", NULL);
	rig_await_workers(&r, 2);
	anew_install(ANEW_NEXT);
	for (int i = 0; i < 8; i++) {
		int done = rig_log_count(&r, "reload.done");

		rig_signal(&r, SIGUSR2);
		for (int nap = 0; nap < i; nap++)
			rig_nap();
		rig_signal(&r, SIGHUP);
		if (!eventually(rig_log_count(&r, "reload.done") > done))
			rig_fail(&r, "the reload was lost");
		if (!eventually(rig_log_count(&r, "upgrade.done") == i + 1))
			rig_fail(&r, "the upgrade was lost");
	}
	rig_await_workers(&r, 2);
	anew_expect_well(&r, 2);
}
