/*
 * Programs that cannot be executed: the slot is parked, with the reason, and
 * not tried again until somebody asks for it.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(exec_failed, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 60);

static struct rig r;

/* ---- all of the first: the start is given up */

static void
gives_up(const char *path, const char *reason)
{
	rig_launch(&r, "-w", "3", "--", path, NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect_eq(rig_log_count(&r, "worker.failed"), 3);
	cr_expect_eq(rig_log_count(&r, "slot.parked"), 3);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 0);
	cr_expect_eq(rig_log_count(&r, "pool.failed"), 1);
	cr_expect_not_null(strstr(rig_log_line(&r, "pool.failed"), reason),
	    "%s", rig_log_line(&r, "pool.failed"));
	cr_expect_not_null(strstr(rig_log_line(&r, "worker.failed"), reason),
	    "%s", rig_log_line(&r, "worker.failed"));
	cr_expect(eventually(exec_all_gone()));
}

Test(exec_failed, one_that_is_missing)
{
	gives_up(rig_path("nothing"), "No such file");
}

Test(exec_failed, one_that_is_not_in_path)
{
	rig_launch(&r, "-w", "1", "--", "no-such-program-anywhere", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_has(&r, "is not in PATH"));
}

Test(exec_failed, one_that_is_not_executable)
{
	const char *path = rig_file("plain", "#!/bin/sh\n");

	gives_up(path, "chmod +x");
}

Test(exec_failed, one_whose_interpreter_is_missing)
{
	gives_up(exec_script("bad", "#!/no/such\n"), "/no/such");
}

Test(exec_failed, one_whose_lines_end_as_in_dos)
{
	gives_up(exec_script("dos", "#!/bin/sh\r\nexit\r\n"),
	    "carriage return");
}

Test(exec_failed, one_that_is_being_written)
{
	const char *path = exec_script("busy", "#!/bin/sh\n");
	int fd;

	cr_assert_neq(fd = open(path, O_WRONLY | O_CLOEXEC), -1);
	gives_up(path, "somebody is writing to it");
	close(fd);
}

Test(exec_failed, a_folder)
{
	gives_up("/tmp/", "folder");
}

Test(exec_failed, an_empty_file)
{
	gives_up(exec_script("empty", "%s", ""), "empty");
}

Test(exec_failed, stderr_says_why_where_the_log_is_a_file)
{
	rig_launch(&r, "-w", "1", SET("master.log=/dev/null"), "--",
	    rig_path("nothing"), NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_has(&r, "No such file"), "stderr says: %s",
	    rig_read(&r, r.err));
}

Test(exec_failed, stderr_says_what_it_printed_last_where_the_log_is_a_file)
{
	rig_launch(&r, "-w", "1", QUICK, SET("master.log=/dev/null"),
	    SET("pool.boot_retries=1"), "--", "/bin/sh", "-c",
	    "echo my last words; exit 3", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	cr_expect(rig_log_has(&r, "my last words"), "stderr says: %s",
	    rig_read(&r, r.err));
}

Test(exec_failed, a_daemon_says_why_to_whoever_started_it)
{
	cr_expect_eq(rig_run(&r, "-b", "127.0.0.1:0", "-d",
	    SET("master.log=/dev/null"), "--", rig_path("nothing"), NULL),
	    75);
	cr_expect(rig_log_has(&r, "No such file"), "stderr says: %s",
	    rig_read(&r, r.err));
}

/* ---- later: the slot is parked */

static const char *
good_script(void)
{
	return exec_script("script", "#!/bin/sh\nexec %s serve\n",
	    exec_mis());
}

static void
lose_script(void)
{
	cr_assert_eq(unlink(rig_path("script")), 0);
}

static void
start(const char *workers)
{
	rig_start(&r, "-w", workers, NOTIFY, "--", good_script(), NULL);
	rig_await_workers(&r, workers[0] - '0');
}

/* Its program is gone, and then it is. */
static void
park(int slot)
{
	char words[64];

	lose_script();
	rig_kill_worker(&r, slot, SIGKILL);
	snprintf(words, sizeof(words), "slot.parked slot=%d", slot);
	rig_await_log(&r, words);
}

Test(exec_failed, a_parked_slot_is_not_tried_again_by_itself)
{
	start("2");
	park(0);
	cr_expect(always_ms(rig_log_count(&r, "worker.failed") == 1, 300));
	cr_expect_eq(rig_count(&r), 1);
	cr_expect_str_eq(rig_ask(&r, "slot 1\n"), "slot 1\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_failed, a_scaling_tries_a_parked_slot_again)
{
	start("2");
	park(0);
	good_script();
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_failed, a_reload_tries_a_parked_slot_again)
{
	start("2");
	park(0);
	good_script();
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=2");
	rig_await_workers(&r, 2);
	cr_expect(rig_log_says(&r, "worker.ready slot=0 gen=2"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_failed, all_parked_later_is_not_the_end)
{
	start("1");
	park(0);
	cr_expect(always_ms(!rig_ended(&r), 200));
	good_script();
	rig_signal(&r, SIGHUP);
	rig_await_workers(&r, 1);
	cr_expect_str_eq(rig_ask(&r, "back\n"), "back\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_failed, a_reload_to_it_keeps_the_old_workers)
{
	pid_t before[2];

	start("2");
	for (int i = 0; i < 2; i++)
		before[i] = rig_worker(&r, i);
	lose_script();
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed gen=2 kept=all");
	cr_expect(rig_log_has(&r, "No such file"));
	for (int i = 0; i < 2; i++)
		cr_expect(look_alive(before[i]));
	cr_expect_eq(rig_log_count(&r, "slot.parked"), 0);
	cr_expect_str_eq(rig_ask(&r, "old\n"), "old\n");
	good_script();
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=3");
	cr_expect_eq(rig_stop(&r), 0);
}

/* Half of the way: the new one serves, its slot is not parked by the next. */
Test(exec_failed, one_in_the_middle_of_a_reload)
{
	const char *path = exec_script("script", "#!/bin/sh\n"
	    "test $MUSTER_GENERATION = 2 && mv %s %s\nexec %s serve\n",
	    rig_path("script"), rig_path("away"), exec_mis());

	rig_start(&r, "-w", "3", NOTIFY, "--", path, NULL);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed gen=2 kept=workers");
	cr_expect(rig_log_says(&r, "worker.ready gen=2"));
	rig_await_workers(&r, 3);
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	good_script();
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=3");
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}
