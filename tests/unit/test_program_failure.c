#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/proc.h"
#include "tests/unit/program_rig.h"

/* A program that does not start says why; one that is confined, stays so. */

static struct rig	 rig;
static char		 dir[64];

static void
setup(void)
{
	rig_open(&rig);
	strcpy(dir, "/tmp/muster-program.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0755), 0);
}

static void
teardown(void)
{
	char	*command = xasprintf("rm -rf '%s'", dir);

	cr_expect_eq(system(command), 0);
	free(command);
	rig_close(&rig);
}

TestSuite(program_failure, .init = setup, .fini = teardown, .timeout = 30);
TestSuite(program_confined, .init = setup, .fini = teardown, .timeout = 30);

/* A file in our folder; its path, until the next but three. */
static const char *
in_dir(const char *name)
{
	static char	 paths[4][128];
	static int	 turn;

	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", dir, name);
	return paths[turn];
}

static const char *
make_file(const char *name, const char *content, mode_t mode)
{
	const char	*path = in_dir(name);
	int		 fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ssize_t		 len = (ssize_t)strlen(content);

	cr_assert_eq(write(fd, content, (size_t)len), len);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* The program cannot be executed, for ever, and nobody is left behind. */
static void
expect_refused(const char *program, int error, const char *text)
{
	rig_command(&rig, program, NULL);
	cr_expect_not(rig_start(&rig), "%s", program);
	cr_assert_not_null(rig.failure.step);
	cr_expect_str_eq(rig.failure.step, "exec");
	cr_expect_eq(rig.failure.error, error, "%s: %s", program,
	    strerror(rig.failure.error));
	cr_expect_not_null(strstr(rig.text, text), "%s", rig.text);
	cr_expect_not_null(strstr(rig.text, program), "%s", rig.text);
	cr_expect(program_hopeless(&rig.failure));
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_expect_eq(errno, ECHILD);
}

Test(program_failure, a_file_that_is_not_there)
{
	expect_refused(in_dir("none"), ENOENT, "No such file or directory");
	expect_refused("/dev/null/x", ENOTDIR, "Not a directory");
	expect_refused("", ENOENT, "No such file");
	expect_refused("muster-no-such", ENOENT,
	    "it is not in PATH, which is /bin");
}

Test(program_failure, an_interpreter_that_is_not_there)
{
	expect_refused(make_file("a", "#! /no/such -x\nexit 0\n", 0755),
	    ENOENT, "in its first line, \"/no/such\", does not exist");
	expect_refused(make_file("b", "#!/bin/sh\r\nexit 0\r\n", 0755),
	    ENOENT, "\"/bin/sh\", does not exist (the line ends in a carriage");
}

Test(program_failure, a_file_that_is_no_program)
{
	expect_refused(make_file("text", "echo hello\n", 0755), ENOEXEC,
	    "no #! line?");
	expect_refused(make_file("empty", "", 0755), ENOEXEC, "empty");
	expect_refused(make_file("elf", "\177ELF of a machine", 0755),
	    ENOEXEC, "another machine");
}

Test(program_failure, a_file_that_may_not_be_executed)
{
	expect_refused(make_file("plain", "#!/bin/sh\n", 0644), EACCES,
	    "chmod +x");
	expect_refused("/tmp", EACCES, "folder");
	expect_refused("/dev/null", EACCES, "no file");
}

Test(program_failure, a_file_that_is_being_written)
{
	const char	*path = in_dir("busy");
	int		 fd;

	rig_copy_show(path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	expect_refused(path, ETXTBSY, "writing");
	close(fd);
	rig_command(&rig, path, NULL);
	rig_run(&rig);
}

Test(program_failure, links_in_a_circle)
{
	cr_assert_eq(symlink("b", in_dir("a")), 0);
	cr_assert_eq(symlink("a", in_dir("b")), 0);
	expect_refused(in_dir("a"), ELOOP, "circle");
}

Test(program_failure, arguments_beyond_the_limit)
{
	char	*word = xcalloc(1, 200001);

	memset(word, 'x', 200000);
	rig_command(&rig, rig_show(), word, NULL);
	free(word);
	cr_expect_not(rig_start(&rig));
	cr_expect_eq(rig.failure.error, E2BIG);
	cr_expect_not_null(strstr(rig.text, "too large"), "%s", rig.text);
	cr_expect(program_hopeless(&rig.failure));
}

/* ---- the search along PATH */

static void
set_path(const char *value)
{
	static char		 text[512];
	static struct conf_env_var var;
	static char		 name[] = "PATH";

	snprintf(text, sizeof(text), "%s", value);
	var = (struct conf_env_var){ name, text };
	rig.conf.env = &var;
	rig.conf.nenv = 1;
}

/* d1 has one that may not run, d2 nothing, d3 the right one, d4 another. */
static void
make_path(void)
{
	char	 value[512];

	cr_assert_eq(mkdir(in_dir("d1"), 0755), 0);
	cr_assert_eq(mkdir(in_dir("d3"), 0755), 0);
	cr_assert_eq(mkdir(in_dir("d4"), 0755), 0);
	make_file("d1/prog", "#!/bin/sh\nexit 9\n", 0644);
	rig_copy_show(in_dir("d3/prog"));
	make_file("d4/prog", "#!/bin/sh\nexit 9\n", 0755);
	snprintf(value, sizeof(value), "%s/d1:%s/d2:/dev/null:%s/d3:%s/d4",
	    dir, dir, dir, dir);
	set_path(value);
}

Test(program_failure, the_search_goes_on_after_what_is_missing_or_denied)
{
	make_path();
	rig_command(&rig, "prog", NULL);
	rig_run(&rig);
	cr_expect(rig_says(&rig, "arg.0", "prog"));
}

Test(program_failure, what_was_denied_on_the_way_is_what_is_told)
{
	make_path();
	unlink(in_dir("d3/prog"));
	unlink(in_dir("d4/prog"));
	rig_command(&rig, "prog", NULL);
	cr_expect_not(rig_start(&rig));
	cr_expect_eq(rig.failure.error, EACCES);
	cr_expect_not_null(strstr(rig.text, "d1/prog"), "%s", rig.text);
}

Test(program_failure, a_file_of_the_search_with_no_interpreter_is_told)
{
	make_path();
	unlink(in_dir("d1/prog"));
	make_file("d1/prog", "#!/no/such\n", 0755);
	unlink(in_dir("d3/prog"));
	unlink(in_dir("d4/prog"));
	rig_command(&rig, "prog", NULL);
	cr_expect_not(rig_start(&rig));
	cr_expect_not_null(strstr(rig.text, "/no/such"), "%s", rig.text);
}

Test(program_failure, an_empty_part_of_PATH_is_the_current_folder)
{
	rig_copy_show(in_dir("here"));
	cr_assert_eq(chdir(dir), 0);
	set_path("/nowhere:");
	rig_command(&rig, "here", NULL);
	rig_run(&rig);
	set_path(":/nowhere");
	rig_run(&rig);
	cr_expect_eq(chdir("/"), 0);
}

Test(program_failure, without_PATH_the_usual_folders_are_searched)
{
	static char	*none[] = { NULL };

	rig.boot.original = none;
	rig_command(&rig, "true", NULL);
	rig_run(&rig);
}

/* ---- what else may be refused */

Test(program_failure, no_descriptors_is_no_reason_to_give_up)
{
	struct rlimit	 rl = { 64, 64 };
	int		 fds[64], count = 0, fd;

	rig_socket(&rig, "web");
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1)
		fds[count++] = fd;
	cr_expect_not(rig_start(&rig));
	while (count > 0)
		close(fds[--count]);
	cr_assert_not_null(rig.failure.step);
	cr_expect_str_eq(rig.failure.step, "descriptors");
	cr_expect_eq(rig.failure.error, EMFILE);
	cr_expect_not(program_hopeless(&rig.failure));
	rig_run(&rig);
}

Test(program_failure, a_master_that_is_gone_needs_no_program)
{
	rig.boot.master_pid = 1;
	cr_expect_not(rig_start(&rig));
	cr_expect_str_eq(rig.failure.step, "master");
	cr_expect_not(program_hopeless(&rig.failure));
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static volatile sig_atomic_t	 handled;

static void
on_fault(int signo)
{
	(void)signo;
	handled = 1;
	_exit(99);
}

/*
 * The master's own crash handler brings the master to life again; in a child
 * that shares its memory it must never run.
 */
Test(program_failure, a_fault_of_the_child_is_the_childs_alone)
{
	struct conf		*conf;
	struct program		*program;
	struct err		 err;
	size_t			 size = (sizeof(*conf) + 4095) & ~4095UL;

	conf = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(conf, MAP_FAILED);
	*conf = rig.conf;
	rig.boot.conf = conf;
	cr_assert_not_null(program = program_new(&rig.boot, &err));
	cr_assert_eq(mprotect(conf, size, PROT_NONE), 0);
	signal(SIGSEGV, on_fault);
	proc_hold_signals();
	rig.pid = proc_exec(program, &rig.failure);
	proc_release_signals();
	cr_assert_gt(rig.pid, 0);
	cr_expect_null(rig.failure.step);
	cr_expect_eq(waitpid(rig.pid, &rig.status, 0), rig.pid);
	cr_expect(WIFSIGNALED(rig.status));
	cr_expect_eq(WTERMSIG(rig.status), SIGSEGV);
	cr_expect_eq(handled, 0);
	program_free(program);
	munmap(conf, size);
}

/* As a user who has reached the limit of processes. */
static int
start_at_limit(void)
{
	struct rlimit	 rl = { 1, 1 };

	if (setrlimit(RLIMIT_NPROC, &rl) == -1 ||
	    setresgid(64321, 64321, 64321) == -1 ||
	    setresuid(64321, 64321, 64321) == -1)
		return 2;
	return !rig_start(&rig) && rig.pid == -1 && errno == EAGAIN ? 0 : 3;
}

Test(program_failure, no_process_at_all_is_told_by_errno)
{
	int	 status;
	pid_t	 pid;

	if (getuid() != 0)
		cr_skip_test("needs root");
	if ((pid = fork()) == 0)
		_exit(start_at_limit());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "%x", (unsigned)status);
}

/* ---- confinement */

Test(program_confined, what_is_refused_is_noted_and_the_program_starts)
{
	rig.conf.limits[RLIMIT_NOFILE] = (struct conf_limit){ true, 50, 40 };
	rig.conf.limits[RLIMIT_CORE] = (struct conf_limit){ true, 0, 0 };
	rig_run(&rig);
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
	rig_run(&rig);
	cr_expect(rig_says(&rig, "nofile", "41"));
	cr_expect(rig_says(&rig, "nice", "7"));
	cr_expect(rig_says(&rig, "cpus", "1"));
	cr_expect(rig_says(&rig, "NoNewPrivs", "1"));
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
	rig_command(&rig, "sleep", "3600", NULL);
	for (i = 0; i < 2; i++) {
		fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
		cr_assert_gt(read(fd, ours[i], sizeof(ours[i]) - 1), 0);
		close(fd);
		if (i == 0)
			cr_assert(rig_start(&rig), "%s", rig.text);
	}
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)rig.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	rig_kill(&rig);
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
	rig_copy_show(in_dir("show"));
	rig_command(&rig, in_dir("show"), NULL);
}

Test(program_confined, root_is_given_up_for_good)
{
	if (getuid() != 0)
		cr_skip_test("needs root");
	become_nobody();
	rig_run(&rig);
	cr_expect(rig_says(&rig, "Uid", "65534\t65534\t65534\t65534"));
	cr_expect(rig_says(&rig, "Gid", "65534\t65534\t65534\t65534"));
	cr_expect(rig_says(&rig, "Groups", "65533 65534 "));
	cr_expect(rig_says(&rig, "CapEff", "0000000000000000"));
	cr_expect(rig_says(&rig, "death", "15"));
	cr_expect_eq(getuid(), (uid_t)0);
}

Test(program_confined, what_the_user_may_not_run_is_told_with_his_name)
{
	if (getuid() != 0)
		cr_skip_test("needs root");
	become_nobody();
	cr_assert_eq(chmod(in_dir("show"), 0700), 0);
	cr_expect_not(rig_start(&rig));
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
	cr_expect_not(rig_start(&rig));
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
	if (!rig_start(&rig) || write(to, &rig.pid, sizeof(rig.pid)) == -1)
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
	rig_command(&rig, getuid() == 0 && rig.conf.master.user != NULL ?
	    in_dir("show") : rig_show(), "hold", NULL);
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
