#include <criterion/criterion.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/unit/program_rig.h"

/* A program has what it was granted, and its master's death is its own. */

static struct rig	 rig;

static void
setup(void)
{
	prog_open(&rig);
}

static void
teardown(void)
{
	prog_close(&rig);
}

TestSuite(program_confined, .init = setup, .fini = teardown, .timeout = 30);

Test(program_confined, what_is_refused_is_noted_and_the_program_starts)
{
	rig.conf.limits[RLIMIT_NOFILE] = (struct conf_limit){ true, 50, 40 };
	rig.conf.limits[RLIMIT_CORE] = (struct conf_limit){ true, 0, 0 };
	prog_run(&rig);
	cr_assert_eq(rig.failure.confine.nnotes, 1);
	cr_expect_str_eq(rig.failure.confine.notes[0].what, "nofile");
	cr_expect_eq(rig.failure.confine.notes[0].error, EINVAL);
	cr_expect_null(rig.failure.step);
}

Test(program_confined, limits_and_priority_are_set)
{
	rig.conf.limits[RLIMIT_NOFILE] = (struct conf_limit){ true, 41, 42 };
	rig.conf.worker.nice_set = true;
	rig.conf.worker.nice = 7;
	rig.conf.worker.cpus_mode = CPUS_AUTO;
	rig.conf.worker.no_new_privs = true;
	prog_run(&rig);
	cr_expect(prog_says(&rig, "nofile", "41"));
	cr_expect(prog_says(&rig, "nice", "7"));
	cr_expect(prog_says(&rig, "cpus", "1"));
	cr_expect(prog_says(&rig, "NoNewPrivs", "1"));
	cr_expect_eq(rig.failure.confine.nnotes, 0);
	/* Ours are as they were: no memory of limits is shared. */
	cr_expect_eq(getpriority(PRIO_PROCESS, 0), 0);
}

/* Its own, not the master's, with whom it shares its memory then. */
Test(program_confined, the_oom_score_is_the_programs_alone)
{
	char	 ours[2][16] = { "", "" }, text[16] = "", path[64];
	int	 i, fd;

	rig.conf.worker.oom_set = true;
	rig.conf.worker.oom_score_adj = 777;
	prog_command(&rig, "sleep", "3600", NULL);
	for (i = 0; i < 2; i++) {
		fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
		cr_assert_gt(read(fd, ours[i], sizeof(ours[i]) - 1), 0);
		close(fd);
		if (i == 0)
			cr_assert(prog_start(&rig), "%s", rig.text);
	}
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)rig.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	prog_kill(&rig);
	cr_expect_str_eq(text, "777\n");
	cr_expect_str_eq(ours[0], ours[1]);
}

static void
become_nobody(void)
{
	static char	 user[] = "nobody";
	static gid_t	 groups[] = { 65534, 65533 };

	rig.conf.master.user = user;
	rig.conf.master.ids = (struct conf_ids){ true, true, 65534, 65534,
	    groups, 2 };
	prog_copy_show(prog_path("show"));
	prog_command(&rig, prog_path("show"), NULL);
}

Test(program_confined, root_is_given_up_for_good)
{
	if (getuid() != 0)
		cr_skip_test("needs root");
	become_nobody();
	prog_run(&rig);
	cr_expect(prog_says(&rig, "Uid", "65534\t65534\t65534\t65534"));
	cr_expect(prog_says(&rig, "Gid", "65534\t65534\t65534\t65534"));
	cr_expect(prog_says(&rig, "Groups", "65533 65534 "));
	cr_expect(prog_says(&rig, "CapEff", "0000000000000000"));
	cr_expect(prog_says(&rig, "death", "15"));
	cr_expect_eq(getuid(), (uid_t)0);
}

Test(program_confined, what_the_user_may_not_run_is_told_with_his_name)
{
	if (getuid() != 0)
		cr_skip_test("needs root");
	become_nobody();
	cr_assert_eq(chmod(prog_path("show"), 0700), 0);
	cr_expect_not(prog_start(&rig));
	cr_expect_eq(rig.failure.error, EACCES);
	cr_expect_not_null(strstr(rig.text, "for user nobody"), "%s",
	    rig.text);
}

Test(program_confined, groups_that_are_refused_are_the_end)
{
	static char	 user[] = "another";

	rig.conf.master.user = user;
	rig.conf.master.ids = (struct conf_ids){ true, true, 65533, 65533,
	    xcalloc(70000, sizeof(gid_t)), 70000 };
	cr_expect_not(prog_start(&rig));
	cr_assert_not_null(rig.failure.step);
	cr_expect_str_eq(rig.failure.step, "groups");
	cr_expect_not_null(strstr(rig.text, "cannot take the groups of user "
	    "another: "), "%s", rig.text);
	cr_expect_not(program_hopeless(&rig.failure));
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
	free(rig.conf.master.ids.groups);
}

/* ---- the death of the master */

/* In a child: a master that starts one and is killed then. */
static void
die_as_master(int to)
{
	rig.boot.master_pid = getpid();
	if (!prog_start(&rig) || write(to, &rig.pid, sizeof(rig.pid)) == -1)
		_exit(1);
	raise(SIGKILL);
}

/* How the program of a killed master ends: a wait status, -1 if it goes on. */
static int
fate_of_orphan(enum master_death wish)
{
	int	 fds[2], status = -1, i;
	pid_t	 pid, orphan = 0;

	rig.conf.worker.on_master_death = wish;
	prog_command(&rig, getuid() == 0 && rig.conf.master.user != NULL ?
	    prog_path("show") : prog_show(), "hold", NULL);
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	if ((pid = fork()) == 0)
		die_as_master(fds[1]);
	close(fds[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "%x", (unsigned)status);
	cr_assert_eq(read(fds[0], &orphan, sizeof(orphan)),
	    (ssize_t)sizeof(orphan));
	close(fds[0]);
	/* The signal is sent before the master can be waited for. */
	for (i = 0; i < (wish == MASTER_DEATH_SERVE ? 100 : 5000); i++) {
		if (waitpid(orphan, &status, WNOHANG) == orphan)
			return status;
		usleep(1000);
	}
	kill(orphan, SIGKILL);
	cr_expect_eq(waitpid(orphan, &status, 0), orphan);
	return -1;
}

Test(program_confined, a_killed_master_means_the_stop_signal)
{
	rig.conf.worker.stop_signal = SIGUSR1;
	cr_expect_eq(fate_of_orphan(MASTER_DEATH_DRAIN), SIGUSR1);
}

Test(program_confined, a_killed_master_means_it_after_the_users_change_too)
{
	if (getuid() != 0)
		cr_skip_test("needs root");
	become_nobody();
	cr_expect_eq(fate_of_orphan(MASTER_DEATH_DRAIN), SIGTERM);
}

Test(program_confined, a_killed_master_means_KILL_or_nothing_if_asked_for)
{
	cr_expect_eq(fate_of_orphan(MASTER_DEATH_KILL), SIGKILL);
	cr_expect_eq(fate_of_orphan(MASTER_DEATH_SERVE), -1);
}
