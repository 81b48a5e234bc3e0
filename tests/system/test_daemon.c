/* --daemon and --pidfile, section 2. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

TestSuite(daemon, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);
TestSuite(pidfile, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;
static char path[256], set_log[300], log_path[256];

static void
name_files(void)
{
	snprintf(path, sizeof(path), "%s", rig_path("muster.pid"));
	snprintf(log_path, sizeof(log_path), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log_path);
	r.log = log_path;
}

static pid_t
pid_in_file(void)
{
	return (pid_t)atoi(rig_read(&r, path));
}

/* The command has returned; from here on the rig is about the daemon. */
static void
follow_daemon(void)
{
	r.pid = pid_in_file();
	r.ended = false;
	cr_assert_gt(r.pid, 1);
	rig_await_ready(&r);
}

Test(daemon, the_command_returns_once_the_pool_is_ready)
{
	name_files();
	cr_assert_eq(rig_run(&r, "-d", "-p", path, "-b", "127.0.0.1:0", "-s",
	    set_log, NULL), 0, "%s", rig_read(&r, r.err));
	cr_expect(rig_log_says(&r, "pool.ready"), "it was too early");
	follow_daemon();
	cr_expect_str_eq(rig_ask(&r, "far away\n"), "far away\n");
	cr_expect_eq(getsid(r.pid) == getsid(0), 0);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(daemon, it_lets_go_of_the_standard_descriptors)
{
	name_files();
	cr_assert_eq(rig_run(&r, "-d", "-p", path, "-b", "127.0.0.1:0", "-s",
	    set_log, NULL), 0);
	follow_daemon();
	for (int fd = 0; fd < 3; fd++)
		cr_expect_str_eq(look_fd(r.pid, fd), "/dev/null");
	for (int fd = 0; fd < 3; fd++)
		cr_expect_str_eq(look_fd(rig_worker(&r, 0), fd), "/dev/null",
		    "worker: %s", look_fd(rig_worker(&r, 0), fd));
}

Test(daemon, it_can_be_steered_like_any_master)
{
	name_files();
	cr_assert_eq(rig_run(&r, "-d", "-p", path, "-b", "127.0.0.1:0", "-s",
	    set_log, NULL), 0);
	follow_daemon();
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGWINCH);
	cr_expect(eventually(rig_count(&r) == 0));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(access(path, F_OK), -1);
}

Test(daemon, one_that_is_stopped_before_it_was_ready_is_no_success)
{
	char set[160];

	snprintf(set, sizeof(set), "master.pidfile=%s", rig_path("early.pid"));
	rig_launch(&r, "-d", "-b", "127.0.0.1:0", "-s", set, "-s",
	    "pool.spawn_jitter=1h", NULL);
	cr_assert(eventually(access(rig_path("early.pid"), F_OK) == 0));
	kill(atoi(rig_read(&r, rig_path("early.pid"))), SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 75);
}

Test(daemon, a_failing_start_gives_its_exit_code)
{
	char addr[64];
	int fd = net_listen(1);

	snprintf(addr, sizeof(addr), "127.0.0.1:%d", net_port(fd));
	cr_expect_eq(rig_run(&r, "-d", "-b", addr, NULL), 69);
	cr_expect(rig_log_has(&r, addr), "%s", rig_read(&r, r.err));
	cr_expect_eq(rig_run(&r, "-d", "-c", "/nowhere.ini", NULL), 78);
	cr_expect_eq(rig_run(&r, "-d", "-w", "x", NULL), 64);
	cr_expect_eq(rig_run(&r, "-d", "-b", "127.0.0.1:0", "-s",
	    "limits.nofile=3", "-s", "pool.backoff_min=20ms", NULL), 75);
}

/* ---- the pidfile */

Test(pidfile, holds_the_masters_pid_and_goes_with_it)
{
	char want[32];
	struct stat st;

	name_files();
	r.log = NULL;
	rig_start(&r, "-p", path, NULL);
	snprintf(want, sizeof(want), "%d\n", (int)r.pid);
	cr_expect_str_eq(rig_read(&r, path), want);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 022, 0);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(access(path, F_OK), -1);
}

Test(pidfile, of_a_live_master_is_refused_with_69)
{
	static struct rig second;
	char pid[32];

	name_files();
	r.log = NULL;
	rig_start(&r, "-p", path, NULL);
	cr_expect_eq(rig_run(&second, "-p", path, "-b", "127.0.0.1:0", NULL),
	    69);
	snprintf(pid, sizeof(pid), "%d", (int)r.pid);
	cr_expect(rig_log_has(&second, pid), "%s",
	    rig_read(&second, second.err));
	cr_expect(rig_log_has(&second, "muster.pid"));
	cr_expect_eq(pid_in_file(), r.pid);
	cr_expect_str_eq(rig_ask(&r, "mine\n"), "mine\n");
}

Test(pidfile, of_a_killed_master_is_taken_over)
{
	name_files();
	r.log = NULL;
	rig_start(&r, "-p", path, NULL);
	rig_signal(&r, SIGKILL);
	cr_expect_eq(rig_exit_code(&r), 128 + SIGKILL);
	cr_expect_gt(pid_in_file(), 1);
	rig_start(&r, "-p", path, NULL);
	cr_expect_eq(pid_in_file(), r.pid);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(pidfile, with_another_process_pid_is_taken_over)
{
	char text[32];

	name_files();
	r.log = NULL;
	snprintf(text, sizeof(text), "%d\n", (int)getppid());
	rig_file("muster.pid", text);
	rig_start(&r, "-p", path, NULL);
	cr_expect_eq(pid_in_file(), r.pid);
}

Test(pidfile, is_never_written_through_a_symbolic_link)
{
	const char *victim = rig_file("victim", "precious\n");

	name_files();
	r.log = NULL;
	cr_assert_eq(symlink(victim, path), 0);
	rig_launch(&r, "-p", path, NULL);
	cr_assert(eventually(rig_ended(&r) ||
	    rig_log_says(&r, "pool.ready")));
	cr_expect_str_eq(rig_read(&r, rig_path("victim")), "precious\n");
}

Test(pidfile, that_cannot_be_written_ends_the_start)
{
	cr_expect_eq(rig_run(&r, "-p", "/nowhere/muster.pid", "-b",
	    "127.0.0.1:0", NULL), 71);
	cr_expect(rig_log_has(&r, "/nowhere/muster.pid"));
}

Test(pidfile, of_several_starters_exactly_one_wins)
{
	static struct rig many[6];
	int running = 0;

	name_files();
	for (int i = 0; i < 6; i++)
		rig_launch(&many[i], "-w", "1", "-p", path, NULL);
	for (int i = 0; i < 6; i++) {
		cr_assert(eventually(rig_ended(&many[i]) ||
		    rig_log_says(&many[i], "pool.ready")));
		if (!many[i].ended) {
			running++;
			cr_expect_eq(pid_in_file(), many[i].pid);
		} else {
			cr_expect_eq(rig_exit_code(&many[i]), 69);
		}
	}
	cr_expect_eq(running, 1);
}

Test(pidfile, of_somebody_else_is_not_removed)
{
	name_files();
	r.log = NULL;
	rig_start(&r, "-p", path, NULL);
	unlink(path);
	rig_file("muster.pid", "1\n");
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_str_eq(rig_read(&r, path), "1\n");
}
