#include <criterion/criterion.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/leftovers.h"
#include "tests/unit/log_rig.h"

#define OURS	"@muster/1/1.x"

/* What one of the background does once it is there: tell so, and stay. */
#define STAY	": >$PWD/there; kill -STOP $$"

static const char	*alive;		/* the living worker's address */
static pid_t		 known;

/* The folder of this test. */
static const char *
folder(void)
{
	static char	 path[sizeof(log_rig_path)];

	snprintf(path, sizeof(path), "%.*s",
	    (int)(strrchr(log_rig_path, '/') - log_rig_path), log_rig_path);
	return path;
}

static bool
on_known(void *arg, pid_t pid)
{
	(void)arg;
	return pid == known;
}

static bool
on_alive(void *arg, const char *address)
{
	(void)arg;
	return alive != NULL && strcmp(address, alive) == 0;
}

static int
sweep(void)
{
	const struct leftovers_ask	 ask = { on_known, on_alive, NULL };

	return leftovers_sweep(&ask);
}

static void
setup(void)
{
	struct err	 err;

	log_rig_setup();
	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	cr_assert_eq(leftovers_init(&err), 0);
}

/* Nothing may outlive a test: the children of those killed come to us, too. */
static void
teardown(void)
{
	FILE	*file;
	int	 pid, n;

	do {
		file = fopen("/proc/thread-self/children", "re");
		for (n = 0; fscanf(file, "%d", &pid) == 1; n++)
			kill(pid, SIGKILL);
		fclose(file);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	} while (n > 0);
	log_rig_teardown();
}

TestSuite(leftovers, .init = setup, .fini = teardown, .timeout = 30);

/* A shell with the environment of a worker of that master. */
static pid_t
worker_of(pid_t master, const char *script)
{
	char	*env[] = { xasprintf("MUSTER_MASTER_PID=%d", (int)master),
		    xstrdup("PATH=/bin:/usr/bin"), xstrdup("MUSTER_SLOT=3"),
		    xstrdup("STAY=" STAY),
		    xstrdup("NOTIFY_SOCKET=" OURS), NULL };
	char	*argv[] = { xstrdup("sh"), xstrdup("-c"), xstrdup(script),
		    NULL };
	pid_t	 pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		execve("/bin/sh", argv, env);
		_exit(127);
	}
	for (char **p = env; *p != NULL; p++)
		free(*p);
	for (char **p = argv; *p != NULL; p++)
		free(*p);
	return pid;
}

/* A worker that ends once what it left behind is there. */
static void
run_worker(const char *background)
{
	char	*script = xasprintf("cd %s; PWD=$(pwd); export PWD; %s & "
		    "until [ -e there ]; do sleep 0.01; done; rm there",
		    folder(), background);
	int	 code;

	cr_assert_gt(waitpid(worker_of(getpid(), script), &code, 0), 0);
	cr_assert_eq(code, 0);
	free(script);
}

/* Who ends within some seconds; 0: nobody. */
static pid_t
next_end(int *status)
{
	pid_t	 pid;
	int	 i;

	for (i = 0; i < 500; i++) {
		if ((pid = waitpid(-1, status, WNOHANG)) != 0)
			return pid == -1 ? 0 : pid;
		usleep(10000);
	}
	return 0;
}

/* Orphans come to us when their parent has ended; so many there are. */
static int
children(void)
{
	char	 text[8192];
	FILE	*file = fopen("/proc/thread-self/children", "re");
	size_t	 len = fread(text, 1, sizeof(text) - 1, file);

	fclose(file);
	text[len] = '\0';
	return log_rig_count(text, " ");
}

Test(leftovers, what_a_dead_worker_left_is_killed)
{
	int		 status;
	const char	*log;

	run_worker("setsid sh -c '" STAY "'");
	cr_assert_eq(children(), 1);
	cr_expect_eq(sweep(), 1);
	cr_expect_gt(next_end(&status), 0);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	log = log_rig_take_file(log_rig_path);
	cr_expect_not_null(strstr(log, "warn  leftover.killed slot=3 pid="),
	    "%s", log);
	cr_expect_not_null(strstr(log, " name=sh\n"), "%s", log);
	cr_expect_eq(sweep(), 0);
}

Test(leftovers, what_a_living_worker_left_is_its_affair)
{
	alive = OURS;
	run_worker("setsid sh -c '" STAY "'");
	cr_assert_eq(children(), 1);
	cr_expect_eq(sweep(), 0);
	alive = NULL;
	cr_expect_eq(sweep(), 1);
}

Test(leftovers, a_worker_is_none)
{
	known = worker_of(getpid(), "exec sleep 300");
	usleep(100000);
	cr_expect_eq(sweep(), 0);
	known = 0;
	cr_expect_eq(sweep(), 1);
}

Test(leftovers, who_does_not_come_from_a_worker_of_ours_is_left_alone)
{
	int	 i, n;
	pid_t	 pid;

	pid = worker_of(1, "exec sleep 300");
	pid = fork();
	if (pid == 0) {
		clearenv();
		execlp("/bin/sleep", "sleep", "300", NULL);
		_exit(127);
	}
	for (i = 0, n = 0; i < 20; i++, usleep(10000))
		n += sweep();
	cr_expect_eq(n, 0);
	cr_expect_eq(children(), 2);
}

Test(leftovers, one_that_is_dead_already_is_left_alone)
{
	pid_t		 pid = worker_of(getpid(), "exit 0");
	siginfo_t	 info;

	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	cr_expect_eq(sweep(), 0);
}

/* One sweep is all it takes. */
Test(leftovers, a_group_goes_with_its_leader)
{
	int	 status, i;

	run_worker("setsid sh -c 'sleep 300 & sleep 301 & " STAY "'");
	cr_expect_geq(sweep(), 1);
	for (i = 0; i < 3; i++)
		cr_expect_gt(next_end(&status), 0);
	cr_expect_eq(children(), 0);
}

Test(leftovers, the_children_of_one_killed_are_next)
{
	int	 status, killed;

	run_worker("setsid sh -c 'setsid sh -c \"$STAY\" & wait'");
	cr_assert_eq(children(), 1);
	killed = sweep();
	cr_expect_geq(killed, 1);
	cr_expect_gt(next_end(&status), 0);
	killed += sweep();
	cr_expect_eq(killed, 2);
	cr_expect_gt(next_end(&status), 0);
	cr_expect_eq(children(), 0);
}

Test(leftovers, many_take_several_sweeps)
{
	int	 status, n, sweeps = 0, all = 0;

	run_worker("for i in $(seq 199); do sh -c 'kill -STOP $$' & done; "
	    "sh -c '" STAY "'");
	cr_assert_eq(children(), 200);
	for (; sweeps < 500 && children() > 0; usleep(5000)) {
		n = sweep();
		cr_expect_leq(n, 64);
		all += n;
		sweeps++;
		while (waitpid(-1, &status, WNOHANG) > 0)
			;
	}
	cr_expect_eq(all, 200, "%d", all);
	cr_expect_geq(sweeps, 4);
}

/* Many who may stay do not hide one that may not. */
Test(leftovers, those_behind_many_have_their_turn)
{
	int	 i, killed = 0;

	for (i = 0; i < 600; i++)
		if (fork() == 0)
			for (;;)
				pause();
	run_worker("setsid sh -c '" STAY "'");
	for (i = 0; i < 3 && killed == 0; i++)
		killed = sweep();
	cr_expect_eq(killed, 1);
}
