/* What a worker has and has not: sections 3, 5 and 6. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

TestSuite(worker, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* ---- descriptors */

/* Is this one of the kinds a worker may have? */
static bool
allowed(const char *target)
{
	return strncmp(target, "socket:", 7) == 0 ||
	    strncmp(target, "pipe:", 5) == 0 ||
	    strcmp(target, "anon_inode:[eventpoll]") == 0 ||
	    strcmp(target, "anon_inode:[eventfd]") == 0 ||
	    strcmp(target, "/dev/null") == 0;
}

/* Does another process hold what this descriptor leads to? */
static bool
holds(pid_t pid, const char *target)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", target);
	for (int fd = 3; fd < 64; fd++)
		if (strcmp(look_fd(pid, fd), copy) == 0)
			return true;
	return false;
}

/*
 * With the master a worker shares its listeners, the workers' end of the up
 * channel and the life pipe alone.
 */
static void
expect_shared_alone(pid_t pid, int sockets)
{
	char target[256];
	int pipes = 1;

	sockets++;
	for (int fd = 3; fd < 64; fd++) {
		snprintf(target, sizeof(target), "%s", look_fd(pid, fd));
		if (target[0] == '\0')
			continue;
		cr_expect(allowed(target), "fd %d is %s", fd, target);
		if (strncmp(target, "anon_inode:", 11) == 0 ||
		    !holds(r.pid, target))
			continue;
		sockets -= strncmp(target, "socket:", 7) == 0;
		pipes -= strncmp(target, "pipe:", 5) == 0;
	}
	cr_expect_eq(sockets, 0, "%d sockets are too few or many", sockets);
	cr_expect_eq(pipes, 0, "%d pipes are too few or many", pipes);
}

Test(worker, has_the_descriptors_it_needs_and_no_other)
{
	char set[300], stray[64];
	pid_t pid;

	snprintf(set, sizeof(set), "master.log=%s", rig_path("m.log"));
	r.log = rig_path("m.log");
	r.npass = 2;		/* strays of whoever started us */
	r.pass[0] = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	r.pass[1] = net_listen(1);
	snprintf(stray, sizeof(stray), "%s", look_fd(getpid(), r.pass[1]));
	rig_start(&r, "-w", "2", "-b", "127.0.0.1:0", "-b", rig_abstract(),
	    "-s", set, "-p", rig_path("m.pid"), NULL);
	for (int i = 0; i < 2; i++) {
		pid = rig_worker(&r, i);
		expect_shared_alone(pid, 2);
		cr_expect(!holds(pid, stray), "the stray socket came in");
	}
}

Test(worker, has_no_siblings_sockets_with_reuseport)
{
	rig_start(&r, "-w", "4", "-s", "listen.accept=reuseport", NULL);
	for (int i = 0; i < 4; i++)
		expect_shared_alone(rig_worker(&r, i), 1);
}

Test(worker, does_not_collect_descriptors)
{
	int before;

	rig_start(&r, "-w", "1", NULL);
	rig_ask(&r, "x\n");
	before = look_fds(rig_worker(&r, 0));
	for (int i = 0; i < 200; i++)
		rig_ask(&r, "x\n");
	cr_expect(eventually(look_fds(rig_worker(&r, 0)) <= before));
}

Test(worker, stdin_is_the_null_device)
{
	rig_start(&r, "-w", "1", NULL);
	cr_expect_str_eq(look_fd(rig_worker(&r, 0), 0), "/dev/null");
}

/* ---- signals */

static uint64_t
mask_of(pid_t pid, const char *name)
{
	return strtoull(look_status(pid, name), NULL, 16);
}

static uint64_t
bit(int signo)
{
	return 1ULL << (signo - 1);
}

Test(worker, has_an_empty_mask_and_default_dispositions)
{
	uint64_t ignored, caught;
	pid_t pid;

	rig_start(&r, "-w", "1", NULL);
	pid = rig_worker(&r, 0);
	/* Signals 32 and 33 are the C library's: sigaction(2) cannot reset. */
	ignored = mask_of(pid, "SigIgn") & (bit(32) - 1);
	caught = mask_of(pid, "SigCgt");
	cr_expect_eq(mask_of(pid, "SigBlk"), 0, "%s",
	    look_status(pid, "SigBlk"));
	cr_expect_eq(ignored, bit(SIGTTIN) | bit(SIGTTOU) | bit(SIGPIPE),
	    "ignored: %llx", (unsigned long long)ignored);
	for (int signo = 1; signo < 32; signo++) {
		if (signo == SIGTERM || signo == SIGQUIT || signo == SIGSEGV ||
		    signo == SIGBUS || signo == SIGFPE || signo == SIGILL ||
		    signo == SIGABRT)
			continue;
		cr_expect_eq(caught & bit(signo), 0, "%d is caught", signo);
	}
}

static void
block_and_ignore(void *arg)
{
	sigset_t all;

	(void)arg;
	signal(SIGTERM, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

Test(worker, is_untouched_by_what_the_master_inherited)
{
	pid_t pid;

	r.child = block_and_ignore;
	rig_start(&r, "-w", "2", NULL);
	pid = rig_worker(&r, 0);
	cr_expect_eq(mask_of(pid, "SigBlk"), 0);
	cr_expect_eq(mask_of(pid, "SigIgn") & (bit(SIGUSR2) | bit(SIGCHLD) |
	    bit(SIGTERM)), 0);
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_worker(&r, 0) != pid));
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(worker, leads_its_own_process_group)
{
	pid_t first, second;

	rig_start(&r, "-w", "2", NULL);
	first = rig_worker(&r, 0);
	second = rig_worker(&r, 1);
	cr_expect_eq(getpgid(first), first);
	cr_expect_eq(getpgid(second), second);
	cr_expect_neq(getpgid(r.pid), first);
}

/* ---- confinement */

static void
expect_limit(pid_t pid, int which, rlim_t soft, rlim_t hard)
{
	struct rlimit limit;

	cr_assert_eq(prlimit(pid, (enum __rlimit_resource)which, NULL,
	    &limit), 0);
	cr_expect_eq(limit.rlim_cur, soft);
	cr_expect_eq(limit.rlim_max, hard);
}

Test(worker, has_the_limits_asked_for)
{
	struct rlimit before;

	rig_start(&r, "-w", "1", "-s", "limits.nofile=100:200", "-s",
	    "limits.core=0", "-s", "limits.stack=1m", NULL);
	expect_limit(rig_worker(&r, 0), RLIMIT_NOFILE, 100, 200);
	expect_limit(rig_worker(&r, 0), RLIMIT_CORE, 0, 0);
	cr_assert_eq(prlimit(r.pid, RLIMIT_NOFILE, NULL, &before), 0);
	cr_expect_neq(before.rlim_max, 200);
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
}

Test(worker, goes_on_with_a_warning_where_a_limit_is_refused)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_max = limit.rlim_cur = 512;
	need_root();
	if (strtoull(look_status(getpid(), "CapEff"), NULL, 16) >> 24 & 1)
		rig_skip("root may raise any limit here");
	setrlimit(RLIMIT_NOFILE, &limit);
	rig_start(&r, "-w", "1", "-s", "limits.nofile=1024", NULL);
	rig_await_log(&r, "confine.note slot=0");
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
}

Test(worker, runs_as_the_user_asked_for)
{
	pid_t pid;

	need_root();
	rig_start(&r, "-w", "1", "-s", "master.user=nobody", NULL);
	pid = rig_worker(&r, 0);
	cr_expect_str_eq(look_status(pid, "Uid"), "65534\t65534\t65534\t65534");
	cr_expect_str_eq(look_status(pid, "Gid"), "65534\t65534\t65534\t65534");
	cr_expect_eq(strtoull(look_status(pid, "CapPrm"), NULL, 16), 0);
	cr_expect_eq(strtoull(look_status(pid, "CapEff"), NULL, 16), 0);
	cr_expect_eq(atoi(look_status(r.pid, "Uid")), 0);
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(worker, has_only_the_groups_of_its_user)
{
	const char *groups;

	need_root();
	rig_start(&r, "-w", "1", "-s", "master.user=nobody", "-s",
	    "master.group=daemon", NULL);
	groups = look_status(rig_worker(&r, 0), "Groups");
	for (const char *at = groups; *at != '\0'; at += strcspn(at, " "))
		if (*(at += strspn(at, " ")) != '\0')
			cr_expect_neq(atoi(at), 0, "groups: %s", groups);
	cr_expect_str_eq(look_status(rig_worker(&r, 0), "Gid"), "1\t1\t1\t1");
}

Test(worker, has_nice_umask_and_oom_score_asked_for)
{
	pid_t pid;

	rig_start(&r, "-w", "1", "-s", "worker.nice=5", "-s",
	    "worker.oom_score_adj=300", "-s", "master.umask=027", "-s",
	    "worker.no_new_privs=yes", NULL);
	pid = rig_worker(&r, 0);
	cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)pid), 5);
	cr_expect_eq(atoi(look_file(pid, "oom_score_adj")), 300);
	cr_expect_eq(strtol(look_status(pid, "Umask"), NULL, 8), 027);
	cr_expect_str_eq(look_status(pid, "NoNewPrivs"), "1");
	cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)r.pid),
	    getpriority(PRIO_PROCESS, 0));
}

Test(worker, runs_on_the_cpus_asked_for)
{
	rig_start(&r, "-w", "1", "-s", "worker.cpu_affinity=0", NULL);
	cr_expect_str_eq(look_status(rig_worker(&r, 0), "Cpus_allowed_list"),
	    "0");
}

Test(worker, has_a_cpu_of_its_own_with_auto)
{
	cpu_set_t first, second;

	rig_start(&r, "-w", "2", "-s", "worker.cpu_affinity=auto", NULL);
	sched_getaffinity(rig_worker(&r, 0), sizeof(first), &first);
	sched_getaffinity(rig_worker(&r, 1), sizeof(second), &second);
	cr_expect_eq(CPU_COUNT(&first), 1);
	cr_expect_eq(CPU_COUNT(&second), 1);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		cr_expect(!CPU_EQUAL(&first, &second));
}

Test(worker, starts_in_the_folder_asked_for)
{
	char set[300], link[64], want[PATH_MAX], got[PATH_MAX];
	ssize_t len;

	snprintf(set, sizeof(set), "master.chdir=%s", rig_path(""));
	cr_assert_not_null(realpath(rig_path(""), want));
	rig_start(&r, "-w", "1", "-s", set, NULL);
	snprintf(link, sizeof(link), "/proc/%d/cwd", (int)rig_worker(&r, 0));
	cr_assert_gt(len = readlink(link, got, sizeof(got) - 1), 0);
	got[len] = '\0';
	cr_expect_str_eq(got, want);
}

Test(worker, is_the_same_the_second_time)
{
	char first[64], second[64];
	pid_t old;

	rig_start(&r, "-w", "1", "-s", "worker.nice=3", NULL);
	old = rig_worker(&r, 0);
	snprintf(first, sizeof(first), "%d %d %s", look_fds(old),
	    getpriority(PRIO_PROCESS, (id_t)old), look_status(old, "SigIgn"));
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_worker(&r, 0) != old));
	old = rig_worker(&r, 0);
	snprintf(second, sizeof(second), "%d %d %s", look_fds(old),
	    getpriority(PRIO_PROCESS, (id_t)old), look_status(old, "SigIgn"));
	cr_expect_str_eq(first, second);
}
