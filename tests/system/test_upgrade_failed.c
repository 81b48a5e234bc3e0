/*
 * Binaries that cannot take over. After each the master is what it was, says
 * why in its log, hears every signal, and the next good one succeeds.
 */
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

TestSuite(upgrade_failed, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 90);

static struct rig r;

static void
start(void)
{
	anew_install(NULL);
	rig_start(&r, "-w", "2", NOTIFY, SET("worker.upgrade_timeout=20s"),
	    "--", exec_mis(), "serve", NULL);
	rig_await_workers(&r, 2);
}

/* After one that failed: all is heard, and a good one gets through. */
static void
go_on(void)
{
	anew_expect_signals(&r, 2);
	anew_install(ANEW_NEXT);
	anew_upgrade(&r, "9.9.9");
	anew_expect_well(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
}

/* A program by rename(2), as any that is put there: text, with this mode. */
static void
install_text(const char *text, mode_t mode)
{
	chmod(rig_file("fresh", text), mode);
	cr_assert_eq(rename(rig_path("fresh"), rig_path("muster")), 0);
}

/*
 * What does on_trial when it is tried, on_upgrade when it is to take over,
 * and then is the next version.
 */
static void
install_wrapper(const char *on_trial, const char *on_upgrade)
{
	char lines[900];

	snprintf(lines, sizeof(lines), "case $MUSTER_STATE in\n"
	    "*:trial:*) %s ;;\n*:upgrade:*) %s ;;\nesac\nexec %s \"$@\"",
	    on_trial, on_upgrade, anew_built(ANEW_NEXT));
	anew_install_script(lines);
}

/* ---- that cannot be executed */

Test(upgrade_failed, files_that_are_no_programs)
{
	int fd;

	start();
	install_text("#!/bin/sh\nexit 0\n", 0644);
	anew_upgrade_fails(&r, "cannot be executed: Permission denied");
	install_text("#!/no/such/interpreter\n", 0755);
	anew_upgrade_fails(&r, "cannot be executed: No such file");
	install_text("\1\2\3 no program\n", 0755);
	anew_upgrade_fails(&r, "cannot be executed: Exec format error");
	cr_assert_eq(unlink(rig_path("muster")), 0);
	anew_upgrade_fails(&r, "cannot be executed: No such file");
	cr_assert_eq(mkdir(rig_path("muster"), 0755), 0);
	anew_upgrade_fails(&r, "cannot be executed: Permission denied");
	cr_assert_eq(rmdir(rig_path("muster")), 0);
	anew_install(ANEW_NEXT);
	cr_assert_neq(fd = open(rig_path("muster"), O_WRONLY | O_CLOEXEC), -1);
	anew_upgrade_fails(&r, "cannot be executed: Text file busy");
	close(fd);
	go_on();
}

/* ---- that fail when they are tried */

Test(upgrade_failed, programs_that_do_not_pass)
{
	const char *told;

	start();
	anew_install_script("exit 0");
	anew_upgrade_fails(&r, "ended with 0 when it was tried, and said "
	    "nothing");
	anew_install_script("exit 1");
	anew_upgrade_fails(&r, "ended with 1 when it was tried, and said "
	    "nothing");
	anew_install_script("kill -SEGV $$");
	anew_upgrade_fails(&r, "was ended by SIGSEGV while it was tried");
	anew_install_script("kill -KILL $$");
	anew_upgrade_fails(&r, "was ended by SIGKILL while it was tried");
	anew_install_script("echo ok 1.2.3 >/dev/fd/${MUSTER_STATE##*:}\n"
	    "exit 3");
	anew_upgrade_fails(&r, "ended with 3 when it was tried, though it "
	    "said ok");
	anew_install_script("printf 'no \\033[31m\\n' "
	    ">/dev/fd/${MUSTER_STATE##*:}\nexit 1");
	anew_upgrade_fails(&r, ": no ?[31m");
	/* As the loader says it, which has no answer for us. */
	anew_install_script("echo out; printf 'libx.so: \\033 no\\n\\n' "
	    ">&2\nexit 127");
	anew_upgrade_fails(&r, "ended with 127 when it was tried: libx.so: "
	    "? no");
	cr_assert_not_null(told = strstr(rig_read(&r, r.err), "libx.so"));
	cr_expect_null(strstr(told + 1, "libx.so"), "%s", told);
	anew_install_script("yes much >&2\nkill -ABRT $$");
	anew_upgrade_fails(&r, "by SIGABRT while it was tried: ");
	anew_install("mis");
	anew_upgrade_fails(&r, "ended with 64");
	go_on();
}

Test(upgrade_failed, a_program_that_crashes_when_it_is_tried)
{
	char lines[512];

	start();
	snprintf(lines, sizeof(lines), "exec %s segv", exec_mis());
	anew_install_script(lines);
	anew_upgrade_fails(&r, "was ended by SIGSEGV while it was tried");
	go_on();
}

Test(upgrade_failed, one_that_reads_no_state_of_ours)
{
	start();
	anew_install(ANEW_ALIEN);
	anew_upgrade_fails(&r, "version");
	go_on();
}

/* All of it is ended with it, and the next need not wait. */
Test(upgrade_failed, programs_that_do_not_answer)
{
	pid_t pids[RIG_MAX];

	anew_install(NULL);
	rig_start(&r, "-w", "2", NOTIFY, SET("worker.upgrade_timeout=400ms"),
	    "--", exec_mis(), "serve", NULL);
	rig_await_workers(&r, 2);
	anew_install_script("trap '' TERM; sleep 1000");
	anew_upgrade_fails(&r, "did not answer within 400 ms");
	anew_install_script("echo ok 1.2.3 >/dev/fd/${MUSTER_STATE##*:}\n"
	    "exec sleep 1000");
	anew_upgrade_fails(&r, "did not answer within 400 ms");
	anew_install_script("exec yes no >/dev/fd/${MUSTER_STATE##*:}");
	anew_upgrade_fails(&r, "did not answer within 400 ms");
	cr_expect(eventually(look_descendants(r.pid, pids, RIG_MAX) == 2));
	anew_expect_signals(&r, 2);
}

static void
spoil_config(const char *text, const char *why)
{
	rig_file("my.ini", text);
	anew_upgrade_fails(&r, why);
}

Test(upgrade_failed, a_config_that_is_bad_by_now)
{
	static char config[256];

	snprintf(config, sizeof(config), "%s", rig_file("my.ini",
	    "[pool]\nworkers = 2\n"));
	anew_install(NULL);
	rig_start(&r, "-c", config, NULL);
	anew_install(ANEW_NEXT);
	spoil_config("[pool]\nworkers = 2\nwrokers = 3\n",
	    "my.ini:3: [pool] wrokers: no such key");
	spoil_config("[pool]\nworkers = -1\n", "my.ini:2: ");
	cr_assert_eq(unlink(config), 0);
	anew_upgrade_fails(&r, "my.ini: ");
	rig_file("my.ini", "[pool]\nworkers = 2\n");
	go_on();
}

/* ---- that fail afterwards */

Test(upgrade_failed, one_that_is_gone_after_its_trial)
{
	start();
	install_wrapper("rm -f $0", "");
	anew_upgrade_fails(&r, "cannot become");
	cr_expect(strstr(rig_log_line(&r, "upgrade.failed"),
	    "No such file") != NULL);
	install_wrapper("chmod 644 $0", "");
	anew_upgrade_fails(&r, "Permission denied");
	install_wrapper("cp $0 $0.x; echo no >$0.x; mv -f $0.x $0", "");
	anew_upgrade_fails(&r, "Exec format error");
	go_on();
}

/* The new image is there, cannot go on, and makes room for the old one. */
Test(upgrade_failed, one_that_cannot_restore)
{
	char lines[300];

	start();
	snprintf(lines, sizeof(lines), "exec %s \"$@\"",
	    anew_built(ANEW_ALIEN));
	install_wrapper("", lines);
	anew_upgrade_fails(&r, "it could not go on, we are back: ");
	cr_expect(strstr(rig_log_line(&r, "upgrade.failed"),
	    "version") != NULL);
	cr_expect_eq(rig_log_count(&r, "upgrade.done"), 0);
	anew_upgrade_fails(&r, "it could not go on, we are back: ");
	go_on();
}

Test(upgrade_failed, one_that_cannot_restore_with_app_workers_and_a_log_file)
{
	static char set_log[300], log[256];
	char lines[300];

	snprintf(log, sizeof(log), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log);
	r.log = log;
	anew_install(NULL);
	rig_start(&r, "-w", "2", "-s", set_log, NULL);
	snprintf(lines, sizeof(lines), "exec %s \"$@\"",
	    anew_built(ANEW_ALIEN));
	install_wrapper("", lines);
	anew_upgrade_fails(&r, "it could not go on, we are back: ");
	cr_expect_eq(rig_log_count(&r, "reload.start"), 0);
	go_on();
}

/*
 * Each call of these, one after the other, is refused once: before the exec,
 * or in the new image. There, too, nothing is touched that the old one needs.
 */
static const struct refusal {
	const char	*what;		/* for strace(1) */
	int		 last;		/* calls of it */
	bool		 borne;		/* libevent has another way */
} refusals[] = {
	{ "memfd_create", 3, false }, { "epoll_create1", 2, true },
	{ "epoll_ctl", 12, false }, { "pipe2", 3, false },
	{ "fallocate", 8, false }, { "clone", 1, false },
	{ "execve", 1, false }, { "pwrite64", 12, false },
	{ "ftruncate", 3, false },
};

static void
refuse(const struct refusal *refusal, int nr)
{
	const char *what = refusal->what;
	char inject[64];
	int failed = rig_log_count(&r, "upgrade.failed");
	int done = rig_log_count(&r, "upgrade.done");
	struct anew before;
	pid_t tracer;

	anew_look(&r, &before);
	snprintf(inject, sizeof(inject), "%s:error=ENOMEM:when=%d", what, nr);
	tracer = anew_trace(&r, inject);
	rig_signal(&r, SIGUSR2);
	if (!eventually(rig_log_count(&r, "upgrade.failed") > failed ||
	    rig_log_count(&r, "upgrade.done") > done || rig_ended(&r)) ||
	    r.ended)
		rig_fail(&r, "%s: it is lost", inject);
	/* The first is made, and needed; a later one may be neither. */
	if (nr == 1 && !refusal->borne)
		cr_expect_eq(rig_log_count(&r, "upgrade.failed"), failed + 1,
		    "%s: it went by unnoticed", inject);
	kill(tracer, SIGTERM);
	waitpid(tracer, NULL, 0);
	anew_expect_same(&r, &before);
	cr_expect_str_eq(rig_ask(&r, "there?\n"), "there?\n");
}

Test(upgrade_failed, one_that_the_system_refuses_something)
{
	start();
	anew_install(ANEW_NEXT);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		for (int nr = 1; nr <= refusals[i].last; nr++)
			refuse(&refusals[i], nr);
	go_on();
}

/* The same anywhere in the restore, by a crash. */
Test(upgrade_failed, one_that_crashes_in_its_restore)
{
	struct shim *shim = anew_shim();
	int64_t until = rig_now_ms() + rig_soak(2500);
	struct anew before;
	int n = 1, failed;

	start();
	anew_look(&r, &before);
	anew_install(ANEW_NEXT);
	for (; rig_now_ms() < until; n += 7) {
		shim->how = n % 2 == 0 ? SHIM_NULL : SHIM_ABORT;
		shim->upgrade_countdown = n;
		failed = rig_log_count(&r, "upgrade.failed");
		rig_signal(&r, SIGUSR2);
		if (!eventually(rig_log_count(&r, "upgrade.failed") > failed ||
		    rig_log_has(&r, "upgrade.done") || rig_ended(&r)) ||
		    r.ended)
			rig_fail(&r, "call %d: it is lost", n);
		anew_expect_same(&r, &before);
		if (rig_log_has(&r, "upgrade.done"))
			break;
		cr_expect(strstr(rig_log_line(&r, "upgrade.failed"),
		    "crashed") != NULL);
	}
	/* Not even many of them are counted as crashes of ours. */
	cr_expect_gt(n, 4 * 7);
	anew_expect_well(&r, 2);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

/* What wakes it: to be missed while there still is a way back. */
Test(upgrade_failed, one_that_does_not_find_the_signal_pipe)
{
	struct shim *shim = anew_shim();

	start();
	shim->upgrade_without_pipes = 1;
	anew_install(ANEW_NEXT);
	anew_upgrade_fails(&r, "the signal pipe is gone");
	anew_expect_well(&r, 2);
	shim->upgrade_without_pipes = 0;
	anew_upgrade(&r, "9.9.9");
	anew_expect_signals(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
}
