#include <criterion/criterion.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "worker/confine.h"

TestSuite(confine, .timeout = 10);

static int
place(const char *name)
{
	size_t	 i;

	for (i = 0; i < confine_count; i++) {
		if (strcmp(confine_steps[i].name, name) == 0)
			return (int)i;
	}
	cr_assert(false, "there is no step %s", name);
	return -1;
}

/* Raising limits, priority and groups takes what the user's change gives up. */
Test(confine, what_needs_privileges_comes_before_they_go)
{
	static const char *const before[] = { "oom_score_adj", "nice",
		"cpu_affinity", "limits", "groups", "group" };
	size_t			 i;

	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		cr_expect_lt(place(before[i]), place("user"), "%s",
		    before[i]);
	cr_expect_lt(place("groups"), place("group"));
}

Test(confine, that_privileges_are_gone_is_checked_right_after)
{
	cr_expect_eq(place("no_return"), place("user") + 1);
	cr_expect_eq(place("no_new_privs"), (int)confine_count - 1);
}

Test(confine, only_what_protects_is_worth_a_refusal)
{
	static const char *const fatal[] = { "groups", "group", "user",
		"no_return", "no_new_privs" };
	size_t			 i, count = 0;

	for (i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		cr_expect(confine_steps[place(fatal[i])].fatal, "%s",
		    fatal[i]);
	for (i = 0; i < confine_count; i++)
		count += confine_steps[i].fatal;
	cr_expect_eq(count, sizeof(fatal) / sizeof(fatal[0]));
}

Test(confine, auto_gives_each_slot_its_cpu_in_turn)
{
	cpu_set_t	 cpus;

	CPU_ZERO(&cpus);
	cr_expect_eq(confine_pick_cpu(&cpus, 0), -1);
	CPU_SET(1, &cpus);
	CPU_SET(4, &cpus);
	CPU_SET(CPU_SETSIZE - 1, &cpus);
	cr_expect_eq(confine_pick_cpu(&cpus, 0), 1);
	cr_expect_eq(confine_pick_cpu(&cpus, 1), 4);
	cr_expect_eq(confine_pick_cpu(&cpus, 2), CPU_SETSIZE - 1);
	cr_expect_eq(confine_pick_cpu(&cpus, 3), 1);
	cr_expect_eq(confine_pick_cpu(&cpus, 9999), 1);
}

/* ---- in a child: what it is confined to cannot be undone here */

static struct conf	 conf;

static void
conf_reset(void)
{
	memset(&conf, 0, sizeof(conf));
	conf.master.umask = -1;
}

/* The child's answer: the number of what it found wrong. */
static int
in_child(int (*body)(void))
{
	struct confine_result	 result;
	int			 status;
	pid_t			 pid;

	if ((pid = fork()) == 0)
		_exit(confine(&conf, 0, &result) == -1 ? 100 : body());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static int
looks_limited(void)
{
	struct rlimit	 core, files;

	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	return (core.rlim_cur != 0) + (files.rlim_cur != 20) +
	    (umask(0) != 027) + (getpriority(PRIO_PROCESS, 0) < 19);
}

Test(confine, limits_nice_and_umask_are_set)
{
	conf_reset();
	conf.limits[RLIMIT_CORE] = (struct conf_limit){ true, 0, 0 };
	conf.limits[RLIMIT_NOFILE] = (struct conf_limit){ true, 20, 20 };
	conf.master.umask = 027;
	conf.worker.nice_set = true;
	conf.worker.nice = 19;
	cr_expect_eq(in_child(looks_limited), 0);
}

static int
looks_like_us(void)
{
	return getuid() != conf.master.ids.uid;
}

Test(confine, becoming_who_we_are_needs_no_privileges)
{
	gid_t	 group = getgid();

	conf_reset();
	conf.master.user = conf.master.group = (char *)(uintptr_t)"us";
	conf.master.ids = (struct conf_ids){ true, true, getuid(), group,
	    &group, 1 };
	cr_expect_eq(in_child(looks_like_us), 0);
	if (getuid() != 0)
		return;
	/* As root, once more from the other side. */
	conf.master.ids.uid = 65534;
	conf.master.ids.gid = group = 65534;
	cr_expect_eq(in_child(looks_like_us), 0);
}

static int
tries_another(void)
{
	struct confine_result	 result;
	struct err		 err;

	conf.master.ids.uid = 65533;
	return confine(&conf, 0, &result) == -1 &&
	    strcmp(result.failed, "groups") == 0 && result.error == EPERM &&
	    confine_failure(&conf, &result, &err) == -1 &&
	    strcmp(err.text, "cannot take the groups of user another: "
	    "Operation not permitted") == 0 ? 0 : 1;
}

Test(confine, becoming_somebody_else_without_privileges_is_refused)
{
	gid_t	 group = 65534;

	if (getuid() != 0)
		cr_skip_test("needs root");
	conf_reset();
	conf.master.user = (char *)(uintptr_t)"another";
	conf.master.ids = (struct conf_ids){ true, true, 65534, 65534,
	    &group, 1 };
	cr_expect_eq(in_child(tries_another), 0);
}
