/*
 * The master is killed, and cannot say goodbye: what its workers do then
 * (on_master_death, interface section 6). The test process is who they fall
 * to.
 */
#include <sys/wait.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/programs.h"

TestSuite(orphans, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

#define SET(text)	"-s", text
#define SERVE		SET("worker.on_master_death=serve")

static struct rig r;
static pid_t workers[RIG_MAX];
static int count;

static const char *
mis(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 8);

	cr_assert_gt(len, 0);
	path[len] = '\0';
	strcpy(strrchr(path, '/') + 1, "mis");
	return path;
}

static void
kill_master(void)
{
	count = rig_workers(&r, workers);
	cr_assert_gt(count, 0);
	rig_signal(&r, SIGKILL);
	cr_assert_eq(rig_exit_code(&r), 128 + SIGKILL);
}

static int
alive(void)
{
	int left = 0;

	for (int i = 0; i < count; i++)
		left += look_alive(workers[i]);
	return left;
}

static int
with_title(const char *state)
{
	int n = 0;

	for (int i = 0; i < count; i++)
		n += strstr(look_file(workers[i], "cmdline"), state) != NULL;
	return n;
}

static bool
is_refused(void)
{
	int fd = client_try(r.addr, 1000);

	if (fd != -1)
		close(fd);
	return fd == -1;
}

/* ---- built-in workers */

static void
expect_no_orphan(void)
{
	pid_t pids[RIG_MAX];

	rig_signal(&r, SIGKILL);
	cr_assert_eq(rig_exit_code(&r), 128 + SIGKILL);
	cr_expect(eventually_ms(look_children(getpid(), pids, RIG_MAX) == 0,
	    5000), "workers go on without their master");
	cr_expect(client_try(r.addr, 500) == -1, "an orphan holds the port");
}

Test(orphans, none_is_left_when_the_master_is_killed)
{
	rig_start(&r, "-w", "4", NULL);
	expect_no_orphan();
}

Test(orphans, none_is_left_with_reuseport_and_no_watchdog)
{
	rig_start(&r, "-w", "4", "-s", "listen.accept=reuseport", "-s",
	    "worker.watchdog=0", NULL);
	expect_no_orphan();
}

Test(orphans, finish_what_they_have_first_without_haste)
{
	pid_t pids[RIG_MAX], pid;
	int64_t cpu;
	int fd;

	rig_start(&r, "-w", "1", NULL);
	client_say(fd = rig_connect(&r), "a\nhalf");
	cr_expect_str_eq(client_hear(fd), "a\n");
	pid = rig_worker(&r, 0);
	rig_signal(&r, SIGKILL);
	cr_assert_eq(rig_exit_code(&r), 128 + SIGKILL);
	cpu = look_cpu_ms(pid);
	cr_expect(always_ms(look_alive(pid), 400));
	cr_expect_leq(look_cpu_ms(pid) - cpu, 60, "it spins");
	client_say(fd, " whole\n");
	cr_expect_str_eq(client_hear(fd), "half whole\n");
	cr_expect(eventually_ms(look_children(getpid(), pids, RIG_MAX) == 0,
	    5000));
}

Test(orphans, none_is_left_when_the_master_is_killed_at_its_start)
{
	pid_t pids[RIG_MAX];

	for (int i = 0; i < 20; i++) {
		rig_launch(&r, "-w", "8", NULL);
		rig_await_log(&r, i % 2 ? "worker.start slot=3" :
		    "worker.start slot=0");
		rig_signal(&r, SIGKILL);
		rig_exit_code(&r);
	}
	cr_expect(eventually_ms(look_children(getpid(), pids, RIG_MAX) == 0,
	    5000));
}

Test(orphans, that_shall_serve_go_on_and_say_what_they_are)
{
	rig_start(&r, "-w", "2", SERVE, NULL);
	rig_await_workers(&r, 2);
	kill_master();
	cr_expect(eventually(with_title("orphan") == 2));
	for (int i = 0; i < 20; i++)
		cr_expect_str_eq(rig_ask(&r, "still there\n"),
		    "still there\n");
	cr_expect_eq(alive(), 2);
}

Test(orphans, that_serve_can_still_be_told_to_stop)
{
	int fd;

	rig_start(&r, "-w", "1", SERVE, NULL);
	rig_await_workers(&r, 1);
	kill_master();
	fd = rig_connect(&r);
	client_say(fd, "first\nhalf");
	cr_assert_str_eq(client_hear(fd), "first\n");
	kill(workers[0], SIGTERM);
	cr_expect(eventually(is_refused()));
	client_say(fd, " a line\n");
	cr_expect_str_eq(client_hear(fd), "half a line\n");
	cr_expect(eventually(alive() == 0));
	close(fd);
}

Test(orphans, that_shall_die_do_so_at_once)
{
	int fd;

	rig_start(&r, "-w", "2", SET("worker.on_master_death=kill"), NULL);
	rig_await_workers(&r, 2);
	fd = rig_connect(&r);
	client_say(fd, "first\nhalf");
	cr_assert_str_eq(client_hear(fd), "first\n");
	kill_master();
	cr_expect(eventually_ms(alive() == 0, 2000));
	close(fd);
}

Test(orphans, log_to_stderr_as_nobody_reads_what_they_tell_the_master)
{
	int fd;

	rig_start(&r, "-w", "1", SERVE, SET("app echo.fault_word=boom"),
	    NULL);
	rig_await_workers(&r, 1);
	kill_master();
	fd = rig_connect(&r);
	client_say(fd, "boom\n");
	client_hear(fd);
	rig_await_log(&r, "conn.failed slot=0");
	close(fd);
}

/* ---- programs */

static void
start_program(const char *wish, const char *kind)
{
	char death[64];

	snprintf(death, sizeof(death), "worker.on_master_death=%s", wish);
	rig_start(&r, "-w", "2", SET("worker.ready=notify"), "-s", death,
	    "--", mis(), kind, NULL);
	rig_await_workers(&r, 2);
}

Test(orphans, programs_get_their_stop_signal)
{
	start_program("drain", "serve");
	kill_master();
	cr_expect(eventually_ms(alive() == 0, 2000));
}

Test(orphans, programs_of_another_user_get_it_too)
{
	need_root();
	if (access("/usr/bin/sleep", X_OK) == -1)
		rig_skip("needs sleep");
	rig_start(&r, "-w", "2", SET("worker.ready=alive:10ms"),
	    SET("master.user=nobody"), "--", "/usr/bin/sleep", "30", NULL);
	rig_await_workers(&r, 2);
	kill_master();
	cr_expect(eventually_ms(alive() == 0, 2000));
}

Test(orphans, programs_that_shall_serve_are_left_alone)
{
	start_program("serve", "serve");
	kill_master();
	cr_expect(always_ms(alive() == 2, 200));
	cr_expect_str_eq(rig_ask(&r, "still there\n"), "still there\n");
}

Test(orphans, programs_that_shall_die_are_killed)
{
	start_program("kill", "ignore-term");
	kill_master();
	cr_expect(eventually_ms(alive() == 0, 2000));
}

Test(orphans, programs_that_ignore_their_stop_signal_live_on)
{
	start_program("drain", "ignore-term");
	kill_master();
	cr_expect(always_ms(alive() == 2, 200));
}
