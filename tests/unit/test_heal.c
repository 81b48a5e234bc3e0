#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/heal_rig.h"

TestSuite(heal, .timeout = 60);

static struct heal_rig	 rig;

static void
start(void)
{
	heal_rig_start(&rig, NULL);
	heal_rig_expect(&rig, "ready fresh");
}

/* The value behind "key=" in the last line, or -1. */
static long long
value(const char *key, int base)
{
	const char	*at = strstr(rig.line, key);

	return at == NULL ? -1 : strtoll(at + strlen(key), NULL, base);
}

static void
expect_whole(int signo)
{
	cr_expect_eq(value("pid=", 10), rig.pid, "%s", rig.line);
	cr_expect_not_null(strstr(rig.line, "child=there"), "%s", rig.line);
	cr_expect_eq(value("missing=", 10), 0, "%s", rig.line);
	cr_expect_eq(value("torn=", 10), 0, "%s", rig.line);
	cr_expect_eq(value("signal=", 10), signo, "%s", rig.line);
}

static void
crash_and_heal(const char *command, int signo)
{
	start();
	heal_rig_say(&rig, command);
	heal_rig_expect(&rig, "ready crash");
	expect_whole(signo);
	cr_expect_gt(value("frames=", 10), 2, "%s", rig.line);
	/* What it learnt in the first life serves for the second crash, too. */
	heal_rig_say(&rig, command);
	heal_rig_expect(&rig, "ready crash");
	expect_whole(signo);
	cr_expect_eq(value("crashes=", 10), 2, "%s", rig.line);
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, a_wild_pointer)
{
	crash_and_heal("null", SIGSEGV);
	cr_expect_eq(value("addr=", 16), 0x18, "%s", rig.line);
}

Test(heal, an_abort)
{
	crash_and_heal("abort", SIGABRT);
}

Test(heal, a_file_that_shrank)
{
	crash_and_heal("bus", SIGBUS);
}

Test(heal, a_division_by_zero)
{
	crash_and_heal("fpe", SIGFPE);
}

Test(heal, an_impossible_instruction)
{
	crash_and_heal("ill", SIGILL);
}

#ifndef __SANITIZE_ADDRESS__	/* which sees these two itself */
Test(heal, a_stack_that_overflows)
{
	crash_and_heal("stack", SIGSEGV);
}

Test(heal, a_heap_overrun_to_its_end)
{
	crash_and_heal("heap", SIGSEGV);
}
#endif

Test(heal, a_fault_sent_by_somebody)
{
	start();
	kill(rig.pid, SIGSEGV);
	heal_rig_expect(&rig, "ready crash");
	expect_whole(SIGSEGV);
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, an_abort_sent_by_somebody_is_the_end)
{
	int	 status;

	start();
	kill(rig.pid, SIGABRT);
	cr_expect_str_empty(heal_rig_line(&rig));
	status = heal_rig_end(&rig);
	cr_assert(WIFSIGNALED(status));
	cr_expect_eq(WTERMSIG(status), SIGABRT);
}

Test(heal, what_points_to_the_arguments_cannot_be_spoilt)
{
	start();
	heal_rig_say(&rig, "spoil-null");
	heal_rig_expect(&rig, "ready crash");
	expect_whole(SIGSEGV);
	cr_expect_neq(value("addr=", 16), 0x18, "it got that far: %s",
	    rig.line);
	heal_rig_end(&rig);
}

Test(heal, a_child_that_shares_our_memory_dies_alone)
{
	start();
	heal_rig_say(&rig, "vfork");
	heal_rig_expect(&rig, "vfork 11");
	heal_rig_say(&rig, "null");
	heal_rig_expect(&rig, "ready crash");
	cr_expect_eq(value("crashes=", 10), 1, "%s", rig.line);
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, a_forked_child_cannot_reach_the_mirror)
{
	start();
	heal_rig_say(&rig, "forked");
	heal_rig_expect(&rig, "forked 11");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, the_fourth_crash_gives_up)
{
	int	 i;

	start();
	for (i = 1; i <= 3; i++) {
		heal_rig_say(&rig, "null");
		heal_rig_expect(&rig, "ready crash");
		cr_expect_eq(value("crashes=", 10), i, "%s", rig.line);
	}
	heal_rig_say(&rig, "null");
	heal_rig_expect(&rig, "ready give-up");
	expect_whole(SIGSEGV);
	cr_expect_eq(value("crashes=", 10), 4, "%s", rig.line);
}

#ifndef __SANITIZE_ADDRESS__	/* which takes what is not healed */
Test(heal, who_gives_up_is_not_healed_again)
{
	int	 i, status;

	start();
	for (i = 0; i < 4; i++) {
		heal_rig_say(&rig, "null");
		heal_rig_line(&rig);
	}
	heal_rig_say(&rig, "null");
	cr_expect_str_empty(heal_rig_line(&rig));
	status = heal_rig_end(&rig);
	cr_assert(WIFSIGNALED(status));
	cr_expect_eq(WTERMSIG(status), SIGSEGV);
}
#endif

Test(heal, a_term_that_was_not_acted_on_comes_again)
{
	start();
	heal_rig_say(&rig, "term-null");
	heal_rig_expect(&rig, "ready crash");
	heal_rig_expect(&rig, "term 1");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, a_term_that_was_taken_and_forgotten_comes_again)
{
	start();
	heal_rig_say(&rig, "forgot-null");
	heal_rig_expect(&rig, "ready crash");
	heal_rig_expect(&rig, "term 1");
	/* The USR2 was taken beside it: that does not. */
	heal_rig_say(&rig, "vfork");
	heal_rig_expect(&rig, "vfork 11");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, a_term_that_was_written_down_comes_no_more)
{
	start();
	heal_rig_say(&rig, "taken-null");
	heal_rig_expect(&rig, "ready crash");
	heal_rig_say(&rig, "vfork");
	heal_rig_expect(&rig, "vfork 11");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

Test(heal, signals_still_come_afterwards)
{
	start();
	heal_rig_say(&rig, "null");
	heal_rig_expect(&rig, "ready crash");
	kill(rig.pid, SIGTERM);
	heal_rig_expect(&rig, "term 1");
	kill(rig.pid, SIGUSR2);
	heal_rig_expect(&rig, "usr2 1");
	cr_expect_eq(heal_rig_end(&rig), 0);
}

/* The fixture as a file of our own. */
static char *
copy_fixture(const char *name)
{
	char	*from = heal_rig_path(), *to, command[1024];

	cr_assert_gt(asprintf(&to, "/tmp/heal-%d-%s", (int)getpid(), name), 0);
	snprintf(command, sizeof(command), "cp %s %s", from, to);
	cr_assert_eq(system(command), 0);
	free(from);
	return to;
}

Test(heal, a_binary_that_was_deleted)
{
	char	*path = copy_fixture("deleted");

	heal_rig_start(&rig, path);
	heal_rig_expect(&rig, "ready fresh");
	unlink(path);
	heal_rig_say(&rig, "null");
	heal_rig_expect(&rig, "ready crash");
	expect_whole(SIGSEGV);
	cr_expect_eq(heal_rig_end(&rig), 0);
	free(path);
}

#ifndef __SANITIZE_ADDRESS__	/* which dumps none */
Test(heal, a_twin_dumps_core)
{
	struct rlimit	 limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_CORE, &limit) == -1)
		cr_skip_test("no core dumps here");
	cr_assert_eq(chdir("/tmp"), 0);
	setenv("HEAL_CORE", "1", 1);
	start();
	heal_rig_say(&rig, "null");
	heal_rig_expect(&rig, "ready crash");
	cr_expect_eq(value("twin=", 10), 1, "%s", rig.line);
	heal_rig_expect(&rig, "stranger ended by 11");
	cr_expect_eq(heal_rig_end(&rig), 0);
	unlink("/tmp/core");
}
#endif

/* A number in the environment is no state: it might be anybody's file. */
Test(heal, a_forged_state_is_ignored)
{
	static const char *const	 forged[] = { "0:crash", "7", "x:crash",
					    "9999:crash", "3:nothing",
					    "3:trial", "" };
	size_t				 i;

	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		setenv("MUSTER_STATE", forged[i], 1);
		heal_rig_start(&rig, NULL);
		heal_rig_expect(&rig, "warning MUSTER_STATE");
		heal_rig_expect(&rig, "ready fresh");
		cr_expect_eq(heal_rig_end(&rig), 0);
	}
}

static long long
median_ms(int rounds)
{
	long long	 took[16], t;
	int		 i, j;

	for (i = 0; i < rounds; i++) {
		start();
		heal_rig_say(&rig, "null");
		heal_rig_expect(&rig, "ready crash");
		t = value("took=", 10);
		for (j = i; j > 0 && took[j - 1] > t; j--)
			took[j] = took[j - 1];
		took[j] = t;
		heal_rig_end(&rig);
	}
	return took[rounds / 2];
}

Test(heal, takes_milliseconds)
{
	long long	 ms = median_ms(9);

	cr_log_info("fault to loop: %lld ms", ms);
	cr_expect_lt(ms, 200);
}
