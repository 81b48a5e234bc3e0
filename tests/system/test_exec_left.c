/* What programs leave behind, and how they are stopped. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(exec_left, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* The pid that a script wrote to a file. */
static pid_t
pid_in(const char *name)
{
	const char *path = rig_path(name);

	cr_assert(eventually(strchr(rig_read(&r, path), '\n') != NULL),
	    "%s is empty", name);
	return (pid_t)atoi(rig_read(&r, path));
}

/* ---- processes */

#define GRANDCHILD	"sleep 300 & echo $! >%s/in.$MUSTER_SLOT\n"
#define DAEMON		"test $MUSTER_GENERATION = 1 || exec %s serve\n"	\
			"(setsid sh -c 'echo $$ >%s/out.'$MUSTER_SLOT'; "	\
			"trap \"\" TERM HUP; sleep 300; :' &)\n"

static void
start_with(const char *text)
{
	rig_start(&r, "-w", "2", NOTIFY, "--", text, NULL);
}

Test(exec_left, a_grandchild_in_its_group_goes_with_it)
{
	pid_t mine, others;

	start_with(exec_script("s", "#!/bin/sh\n" GRANDCHILD
	    "exec %s serve\n", rig_path(""), exec_mis()));
	mine = pid_in("in.0");
	others = pid_in("in.1");
	rig_kill_worker(&r, 0, SIGKILL);
	cr_expect(eventually(!look_alive(mine)));
	cr_expect(look_alive(others));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(eventually(exec_all_gone()));
}

/* The cause is told, not the exit code alone. */
Test(exec_left, a_program_that_goes_to_the_background_is_told_of)
{
	rig_launch(&r, "-w", "1", NOTIFY, SET("pool.boot_retries=1"), "--",
	    "/bin/sh", "-c", "setsid sleep 300 & sleep .2; exit 0", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	rig_await_log(&r, "leftover.killed name=sleep");
	cr_expect_not_null(strstr(rig_log_line(&r, "pool.failed"),
	    "exit code 0; it left processes behind: did it go to the "
	    "background?"), "%s", rig_log_line(&r, "pool.failed"));
	cr_expect(eventually(exec_all_gone()));
}

Test(exec_left, one_that_fails_is_not_said_to_be_a_daemon)
{
	rig_launch(&r, "-w", "1", NOTIFY, SET("pool.boot_retries=1"), "--",
	    "/bin/sh", "-c", "setsid sleep 300 & sleep .2; exit 3", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_has(&r, "exit code 3"));
	cr_expect(!rig_log_has(&r, "background"));
	cr_expect(eventually(exec_all_gone()));
}

/* Not before: it may be what serves. */
Test(exec_left, a_daemon_that_it_made_goes_once_it_is_gone)
{
	pid_t mine, others;

	start_with(exec_script("s", "#!/bin/sh\n" DAEMON "exec %s serve\n",
	    exec_mis(), rig_path(""), exec_mis()));
	mine = pid_in("out.0");
	others = pid_in("out.1");
	cr_expect_neq(getpgid(mine), rig_worker(&r, 0));
	/* Strangers' and other workers' deaths are none of its business. */
	rig_signal(&r, SIGCHLD);
	cr_expect(always_ms(look_alive(mine), 150));
	rig_kill_worker(&r, 0, SIGKILL);
	cr_expect(eventually(!look_alive(mine)));
	rig_await_log(&r, "leftover.killed slot=0");
	cr_expect(look_alive(others));
	rig_stop(&r);
	cr_expect(eventually(exec_all_gone()));
}

Test(exec_left, a_daemon_goes_with_a_worker_that_a_reload_replaced)
{
	pid_t mine;

	start_with(exec_script("s", "#!/bin/sh\n" DAEMON "exec %s serve\n",
	    exec_mis(), rig_path(""), exec_mis()));
	mine = pid_in("out.0");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=2");
	cr_expect(eventually(!look_alive(mine)));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_left, orphans_are_reaped_without_a_word)
{
	start_with(exec_script("s", "#!/bin/sh\n"
	    "(setsid sh -c 'sleep 0.1' &)\nexec %s serve\n", exec_mis()));
	rig_await_text(&r, "pool.ready");
	cr_expect(eventually(look_zombies(r.pid) == 0 &&
	    rig_count(&r) == 2));
	cr_expect(!rig_log_says(&r, "worker.died"));
	cr_expect(!rig_log_says(&r, "leftover.killed"));
	cr_expect_eq(rig_stop(&r), 0);
}

/* Nobody can tell whose it is: it is let be, and reaped when it ends. */
Test(exec_left, one_that_hides_where_it_comes_from_is_only_reaped)
{
	pid_t hidden;

	start_with(exec_script("s", "#!/bin/sh\n"
	    "(setsid env -i sh -c 'echo $$ >%s/hidden.new; mv %s/hidden.new "
	    "%s/hidden; exec sleep 300' >/dev/null 2>&1 &)\n"
	    "exec %s serve\n", rig_path(""), rig_path(""), rig_path(""),
	    exec_mis()));
	hidden = pid_in("hidden");
	rig_kill_worker(&r, 0, SIGKILL);
	rig_kill_worker(&r, 1, SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") >= 4));
	rig_signal(&r, SIGCHLD);
	cr_expect(always_ms(look_alive(hidden), 150));
	cr_assert_eq(kill(hidden, SIGKILL), 0);
	cr_expect(eventually(look_zombies(r.pid) == 0 &&
	    !look_alive(hidden)));
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- as the first process of a container */

/* The rest of the test's way to the master: it is not our child. */
static pid_t
start_as_first(const char *script)
{
	pid_t pids[RIG_MAX];
	int count;

	rig_launch(&r, "--help", NULL);	/* a folder's file to write to */
	rig_exit_code(&r);
	r.pid = fork();
	if (r.pid == 0) {
		dup2(open(r.err, O_WRONLY | O_CREAT | O_APPEND, 0644), 2);
		execlp("unshare", "unshare", "--pid", "--fork",
		    "--kill-child", "--mount-proc", getenv("MUSTER"), "-b",
		    "127.0.0.1:0", "-w", "1", "-s", "worker.ready=notify",
		    "--", script, NULL);
		_exit(127);
	}
	r.ended = false;
	rig_await_ready(&r);
	cr_assert(eventually((count = look_descendants(r.pid, pids,
	    RIG_MAX)) >= 2));
	return pids[0];
}

static void
need_pid_namespaces(void)
{
	need_root();
	if (system("unshare --pid --fork --mount-proc true 2>/dev/null") != 0)
		rig_skip("needs to make a pid namespace");
}

Test(exec_left, as_pid_1_it_reaps_strangers_and_heeds_term)
{
	pid_t first;

	need_pid_namespaces();
	first = start_as_first(exec_script("s", "#!/bin/sh\n"
	    "for i in 1 2 3 4 5; do (setsid sh -c 'sleep 0.1' &); done\n"
	    "exec %s serve\n", exec_mis()));
	cr_expect(rig_log_says(&r, "master.start pid=1"));
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	cr_expect(eventually(look_zombies(first) == 0 &&
	    rig_workers(&r, (pid_t[RIG_MAX]){ 0 }) == 1));
	cr_assert_eq(kill(first, SIGTERM), 0);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_has(&r, "from outside our pid namespace"));
	cr_expect(!rig_log_says(&r, "worker.died"));
}

Test(exec_left, as_pid_1_its_exit_code_is_right)
{
	pid_t first;

	need_pid_namespaces();
	first = start_as_first(exec_script("s", "#!/bin/sh\n"
	    "exec %s ignore-term\n", exec_mis()));
	cr_assert_eq(kill(first, SIGTERM), 0);
	rig_await_log(&r, "pool.stop mode=graceful");
	cr_assert_eq(kill(first, SIGTERM), 0);
	cr_expect(eventually(rig_ended(&r)));
	cr_expect_eq(rig_exit_code(&r), 0);	/* of QUIT it died itself */
}
