#include <criterion/criterion.h>
#include <sys/mman.h>
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

/* A program that does not start says why, and leaves nothing behind. */

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

TestSuite(program_failure, .init = setup, .fini = teardown, .timeout = 30);

/* The program cannot be executed, for ever, and nobody is left behind. */
static void
expect_refused(const char *program, int error, const char *text)
{
	prog_command(&rig, program, NULL);
	cr_expect_not(prog_start(&rig), "%s", program);
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
	expect_refused(prog_path("none"), ENOENT, "No such file or directory");
	expect_refused("/dev/null/x", ENOTDIR, "Not a directory");
	expect_refused("", ENOENT, "No such file");
	expect_refused("muster-no-such", ENOENT,
	    "it is not in PATH, which is /bin");
}

Test(program_failure, an_interpreter_that_is_not_there)
{
	expect_refused(prog_file("a", "#! /no/such -x\nexit 0\n", 0755),
	    ENOENT, "in its first line, \"/no/such\", does not exist");
	expect_refused(prog_file("b", "#!/bin/sh\r\nexit 0\r\n", 0755),
	    ENOENT, "\"/bin/sh\", does not exist (the line ends in a carriage");
}

Test(program_failure, a_file_that_is_no_program)
{
	expect_refused(prog_file("text", "echo hello\n", 0755), ENOEXEC,
	    "no #! line?");
	expect_refused(prog_file("empty", "", 0755), ENOEXEC, "empty");
	expect_refused(prog_file("elf", "\177ELF of a machine", 0755),
	    ENOEXEC, "another machine");
}

Test(program_failure, a_file_that_may_not_be_executed)
{
	expect_refused(prog_file("plain", "#!/bin/sh\n", 0644), EACCES,
	    "chmod +x");
	expect_refused("/tmp", EACCES, "folder");
	expect_refused("/dev/null", EACCES, "no file");
}

Test(program_failure, a_file_that_is_being_written)
{
	const char	*path = prog_path("busy");
	int		 fd;

	prog_copy_show(path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	expect_refused(path, ETXTBSY, "writing");
	close(fd);
	prog_command(&rig, path, NULL);
	prog_run(&rig);
}

Test(program_failure, links_in_a_circle)
{
	cr_assert_eq(symlink("b", prog_path("a")), 0);
	cr_assert_eq(symlink("a", prog_path("b")), 0);
	expect_refused(prog_path("a"), ELOOP, "circle");
}

Test(program_failure, arguments_beyond_the_limit)
{
	char	*word = xcalloc(1, 200001);

	memset(word, 'x', 200000);
	prog_command(&rig, prog_show(), word, NULL);
	free(word);
	cr_expect_not(prog_start(&rig));
	cr_expect_eq(rig.failure.error, E2BIG);
	cr_expect_not_null(strstr(rig.text, "too large"), "%s", rig.text);
	cr_expect(program_hopeless(&rig.failure));
}

/* ---- the search along PATH */

static void
set_path(const char *value)
{
	static char		 text[1024];
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
	char	 value[1024], folder[128];

	snprintf(folder, sizeof(folder), "%s", prog_path(""));
	cr_assert_eq(mkdir(prog_path("d1"), 0755), 0);
	cr_assert_eq(mkdir(prog_path("d3"), 0755), 0);
	cr_assert_eq(mkdir(prog_path("d4"), 0755), 0);
	prog_file("d1/prog", "#!/bin/sh\nexit 9\n", 0644);
	prog_copy_show(prog_path("d3/prog"));
	prog_file("d4/prog", "#!/bin/sh\nexit 9\n", 0755);
	snprintf(value, sizeof(value), "%sd1:%sd2:/dev/null:%sd3:%sd4",
	    folder, folder, folder, folder);
	set_path(value);
}

Test(program_failure, the_search_goes_on_after_what_is_missing_or_denied)
{
	make_path();
	prog_command(&rig, "prog", NULL);
	prog_run(&rig);
	cr_expect(prog_says(&rig, "arg.0", "prog"));
}

Test(program_failure, what_was_denied_on_the_way_is_what_is_told)
{
	make_path();
	unlink(prog_path("d3/prog"));
	unlink(prog_path("d4/prog"));
	prog_command(&rig, "prog", NULL);
	cr_expect_not(prog_start(&rig));
	cr_expect_eq(rig.failure.error, EACCES);
	cr_expect_not_null(strstr(rig.text, "d1/prog"), "%s", rig.text);
}

Test(program_failure, a_file_of_the_search_with_no_interpreter_is_told)
{
	make_path();
	unlink(prog_path("d1/prog"));
	prog_file("d1/prog", "#!/no/such\n", 0755);
	unlink(prog_path("d3/prog"));
	unlink(prog_path("d4/prog"));
	prog_command(&rig, "prog", NULL);
	cr_expect_not(prog_start(&rig));
	cr_expect_not_null(strstr(rig.text, "/no/such"), "%s", rig.text);
}

Test(program_failure, an_empty_part_of_PATH_is_the_current_folder)
{
	prog_copy_show(prog_path("here"));
	cr_assert_eq(chdir(prog_path(".")), 0);
	set_path("/nowhere:");
	prog_command(&rig, "here", NULL);
	prog_run(&rig);
	set_path(":/nowhere");
	prog_run(&rig);
	cr_expect_eq(chdir("/"), 0);
}

Test(program_failure, without_PATH_the_usual_folders_are_searched)
{
	static char	*none[] = { NULL };

	rig.boot.original = none;
	prog_command(&rig, "true", NULL);
	prog_run(&rig);
}

/* ---- what else may be refused */

Test(program_failure, a_master_with_a_full_table_starts_programs)
{
	struct rlimit	 rl = { 64, 64 };
	int		 fds[64], count = 0, fd;

	prog_socket(&rig, "web");
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1)
		fds[count++] = fd;
	cr_expect(prog_start(&rig));
	while (count > 0)
		close(fds[--count]);
	cr_expect_null(rig.failure.step);
	prog_kill(&rig);
}

Test(program_failure, no_descriptors_is_no_reason_to_give_up)
{
	struct rlimit	 all, few = { 3, 0 };

	prog_socket(&rig, "web");
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few.rlim_max = all.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	cr_expect_not(prog_start(&rig));
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_assert_not_null(rig.failure.step);
	cr_expect_str_eq(rig.failure.step, "descriptors");
	cr_expect_eq(rig.failure.error, EBADF);
	cr_expect_not(program_hopeless(&rig.failure));
	prog_run(&rig);
}

Test(program_failure, a_master_that_is_gone_needs_no_program)
{
	rig.boot.master_pid = 1;
	cr_expect_not(prog_start(&rig));
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
	return !prog_start(&rig) && rig.pid == -1 && errno == EAGAIN ? 0 : 3;
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
