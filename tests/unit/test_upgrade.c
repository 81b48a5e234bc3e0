#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/options.h"
#include "tests/unit/heal_rig.h"

TestSuite(upgrade, .timeout = 60);

static struct heal_rig	 rig;

static void
start(const char *binary, const char *trial)
{
	char	*path = heal_rig_path();

	setenv("HEAL_NEW", binary == NULL ? path : binary, 1);
	if (trial != NULL)
		setenv("HEAL_TRIAL", trial, 1);
	heal_rig_start(&rig, NULL);
	heal_rig_expect(&rig, "ready fresh");
	free(path);
}

static void
try_it(const char *binary, const char *trial, const char *outcome)
{
	start(binary, trial);
	heal_rig_say(&rig, "try");
	heal_rig_line(&rig);
	cr_expect(strncmp(rig.line, "tried ", 6) == 0, "%s", rig.line);
	cr_expect_not_null(strstr(rig.line, outcome), "\"%s\" lacks \"%s\"",
	    rig.line, outcome);
	/* And nothing has changed: it goes on, and can try again. */
	kill(rig.pid, SIGTERM);
	heal_rig_expect(&rig, "term 1");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(upgrade, a_good_binary_says_its_version)
{
	try_it(NULL, NULL, MUSTER_VERSION);
}

Test(upgrade, a_binary_that_refuses_says_why)
{
	try_it(NULL, "bad", ": I do not?like it");
}

#ifndef __SANITIZE_ADDRESS__	/* which ends it in its own way */
Test(upgrade, a_binary_that_crashes)
{
	try_it(NULL, "crash", "was ended by SIGSEGV while it was tried");
}
#endif

Test(upgrade, a_binary_that_says_nothing)
{
	try_it(NULL, "silent", "ended with 5 when it was tried, and said");
}

Test(upgrade, a_binary_that_hangs)
{
	try_it(NULL, "hang", "did not answer within 500 ms");
}

Test(upgrade, a_binary_that_is_not_there)
{
	try_it("/nonexistent/muster", NULL,
	    "cannot be executed: No such file");
}

Test(upgrade, a_file_that_is_no_program)
{
	try_it("/etc/passwd", NULL, "cannot be executed: Permission denied");
}

Test(upgrade, a_program_that_knows_nothing_of_it)
{
	try_it("/bin/true", NULL, "ended with 0 when it was tried, and said");
}

Test(upgrade, one_at_a_time)
{
	start(NULL, "hang");
	heal_rig_say(&rig, "try");
	heal_rig_say(&rig, "try");
	heal_rig_expect(&rig, "no trial: an upgrade is being tried already");
	heal_rig_expect(&rig, "tried ");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(upgrade, becomes_the_other_image_in_the_same_pid)
{
	char	 pid[32];

	start(NULL, NULL);
	snprintf(pid, sizeof(pid), " pid=%d ", (int)rig.pid);
	heal_rig_say(&rig, "exec");
	heal_rig_expect(&rig, "ready upgrade");
	cr_expect_not_null(strstr(rig.line, pid), "%s", rig.line);
	cr_expect_not_null(strstr(rig.line, "child=there missing=0 torn=0"),
	    "%s", rig.line);
	/* It can do all of that itself. */
	kill(rig.pid, SIGTERM);
	heal_rig_expect(&rig, "term 1");
	heal_rig_say(&rig, "null");
	heal_rig_expect(&rig, "ready crash");
	heal_rig_say(&rig, "exec");
	heal_rig_expect(&rig, "ready upgrade");
	cr_expect_not_null(strstr(rig.line, "child=there missing=0 torn=0"),
	    "%s", rig.line);
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(upgrade, an_exec_that_fails_changes_nothing)
{
	start("/etc/passwd", NULL);
	heal_rig_say(&rig, "exec");
	heal_rig_expect(&rig, "stayed: cannot become /etc/passwd: "
	    "Permission denied cloexec 1");
	kill(rig.pid, SIGTERM);
	heal_rig_expect(&rig, "term 1");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

/* The trial cannot find everything out. */
Test(upgrade, an_image_that_crashes_in_its_restore_makes_room_for_the_old_one)
{
	setenv("HEAL_BAD_RESTORE", "upgrade", 1);
	start(NULL, NULL);
	heal_rig_say(&rig, "exec");
	heal_rig_expect(&rig, "ready back");
	cr_expect_not_null(strstr(rig.line, "child=there missing=0"), "%s",
	    rig.line);
	kill(rig.pid, SIGTERM);
	heal_rig_expect(&rig, "term 1");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(upgrade, an_image_that_cannot_go_on_makes_room_for_the_old_one)
{
	setenv("HEAL_REFUSE", "upgrade", 1);
	start(NULL, NULL);
	heal_rig_say(&rig, "exec");
	heal_rig_expect(&rig, "ready back");
	cr_expect_not_null(strstr(rig.line, "child=there missing=0"), "%s",
	    rig.line);
	cr_expect_eq(heal_rig_end(&rig), 0);
}
