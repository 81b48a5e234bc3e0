#include "tests/system/anew.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"

const char *
anew_built(const char *name)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

	cr_assert_gt(len, 0);
	path[len] = '\0';
	strcpy(strrchr(path, '/') + 1, name);
	return path;
}

/* ---- programs that come and go */

/* $MUSTER as it was given to us, before it pointed to our copy. */
static const char *
under_test(void)
{
	static char path[PATH_MAX];

	if (path[0] == '\0') {
		cr_assert_not_null(realpath(getenv("MUSTER") != NULL ?
		    getenv("MUSTER") : "build/muster", path));
		setenv("MUSTER", rig_path("muster"), 1);
	}
	return path;
}

static void
copy(const char *from, const char *to)
{
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n = 1;

	cr_assert(in != -1 && out != -1 && fstat(in, &st) == 0, "%s: %s",
	    from, strerror(errno));
	while (st.st_size > 0 && (n = sendfile(out, in, NULL,
	    (size_t)st.st_size)) > 0)
		st.st_size -= n;
	cr_assert_gt(n, 0);
	close(in);
	close(out);
}

const char *
anew_install(const char *name)
{
	const char *ours = under_test();

	copy(name == NULL ? ours : anew_built(name), rig_path("fresh"));
	cr_assert_eq(rename(rig_path("fresh"), rig_path("muster")), 0);
	return rig_path("muster");
}

void
anew_install_script(const char *lines)
{
	char text[1024];

	under_test();
	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", lines);
	chmod(rig_file("fresh", text), 0755);
	cr_assert_eq(rename(rig_path("fresh"), rig_path("muster")), 0);
}

/* ---- changes */

static bool
is_program(struct rig *r)
{
	pid_t pids[RIG_MAX];

	return rig_workers(r, pids) > 0 &&
	    strstr(look_file(pids[0], "cmdline"), "muster: ") == NULL;
}

void
anew_upgrade(struct rig *r, const char *version)
{
	int done = rig_log_count(r, "upgrade.done");
	int renewed = rig_log_count(r, "reload.done");
	/* Just forked by a master without a title they have none either. */
	bool program = is_program(r);
	char words[64];

	rig_signal(r, SIGUSR2);
	if (!eventually(rig_log_count(r, "upgrade.done") > done ||
	    rig_ended(r)) || r->ended)
		rig_fail(r, "no upgrade");
	snprintf(words, sizeof(words), "version=%s", version);
	cr_assert(strstr(rig_log_line(r, "upgrade.done"), words) != NULL,
	    "%s", rig_log_line(r, "upgrade.done"));
	if (!program && !eventually(rig_log_count(r, "reload.done") >
	    renewed))
		rig_fail(r, "the workers were not replaced");
}

void
anew_upgrade_fails(struct rig *r, const char *text)
{
	int failed = rig_log_count(r, "upgrade.failed");
	struct anew before;

	anew_look(r, &before);
	rig_signal(r, SIGUSR2);
	if (!eventually(rig_log_count(r, "upgrade.failed") > failed ||
	    rig_ended(r)) || r->ended)
		rig_fail(r, "the upgrade did not fail");
	if (strstr(rig_log_line(r, "upgrade.failed"), text) == NULL)
		rig_fail(r, "not \"%s\": %s", text,
		    rig_log_line(r, "upgrade.failed"));
	anew_expect_same(r, &before);
}

void
anew_crash(struct rig *r, int signo)
{
	int crashes = rig_log_count(r, "master.crashed");

	rig_signal(r, signo);
	if (!eventually(rig_log_count(r, "master.crashed") > crashes ||
	    rig_ended(r)) || r->ended)
		rig_fail(r, "it did not heal of %s", sigabbrev_np(signo));
}

/* ---- looks */

static int
by_number(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* The fork of a trial, of a resolver may just be there. */
static int
workers(struct rig *r, pid_t *out)
{
	int count = rig_workers(r, out);

	qsort(out, (size_t)count, sizeof(*out), by_number);
	return count;
}

void
anew_look(struct rig *r, struct anew *before)
{
	before->count = workers(r, before->workers);
	before->fds = look_fds(r->pid);
}

static bool
same(struct rig *r, const struct anew *before)
{
	pid_t now[RIG_MAX];

	return workers(r, now) == before->count && memcmp(now,
	    before->workers, (size_t)before->count * sizeof(*now)) == 0;
}

void
anew_expect_same(struct rig *r, const struct anew *before)
{
	if (!eventually(same(r, before)))
		rig_fail(r, "other workers than before: %d, not %d",
		    rig_count(r), before->count);
	if (!eventually(look_fds(r->pid) == before->fds))
		rig_fail(r, "%d descriptors, not %d", look_fds(r->pid),
		    before->fds);
}

/* Only children that are known: none that nobody waits for. */
static bool
hears_all(pid_t pid)
{
	return strtoull(look_status(pid, "SigBlk"), NULL, 16) == 0;
}

void
anew_expect_well(struct rig *r, int count)
{
	rig_await_workers(r, count);
	if (!eventually(look_zombies(r->pid) == 0))
		rig_fail(r, "a zombie stays");
	if (!eventually(hears_all(r->pid)))
		rig_fail(r, "blocked: %s", look_status(r->pid, "SigBlk"));
	for (int i = 0; i < 3; i++)
		cr_assert_str_eq(rig_ask(r, "well?\n"), "well?\n");
}

void
anew_expect_signals(struct rig *r, int count)
{
	int reloads = rig_log_count(r, "reload.done");
	int crashes = rig_log_count(r, "worker.died");
	int reopens = rig_log_count(r, "log.reopened");
	pid_t pids[RIG_MAX];

	rig_signal(r, SIGTTIN);
	rig_await_workers(r, count + 1);
	rig_signal(r, SIGTTOU);
	rig_await_workers(r, count);
	rig_queue(r, 2);
	rig_await_workers(r, count + 2);
	rig_queue(r, -2);
	rig_await_workers(r, count);
	cr_assert_gt(rig_workers(r, pids), 0);
	kill(pids[0], SIGKILL);
	if (!eventually(rig_log_count(r, "worker.died") > crashes))
		rig_fail(r, "a death was not seen");
	rig_await_workers(r, count);
	rig_signal(r, SIGUSR1);
	if (!eventually(rig_log_count(r, "log.reopened") > reopens))
		rig_fail(r, "USR1 did nothing");
	rig_signal(r, SIGHUP);
	if (!eventually(rig_log_count(r, "reload.done") > reloads))
		rig_fail(r, "HUP did nothing");
	rig_await_workers(r, count);
}

/* ---- interference */

pid_t
anew_trace(struct rig *r, const char *inject)
{
	char pid[16], expr[128];
	pid_t tracer;

	if (system("strace -V >/dev/null 2>&1") != 0)
		rig_skip("needs strace");
	snprintf(pid, sizeof(pid), "%d", (int)r->pid);
	snprintf(expr, sizeof(expr), "inject=%s", inject);
	if ((tracer = fork()) == 0) {
		execlp("strace", "strace", "-qq", "-o", rig_path("trace"),
		    "-p", pid, "-e", expr, NULL);
		_exit(127);
	}
	if (!eventually(atoi(look_status(r->pid, "TracerPid")) == tracer))
		rig_skip("strace may not attach");
	return tracer;
}

struct shim *
anew_shim(void)
{
	const char *path = rig_path("shim");
	struct shim *shim;
	int fd;

#ifdef __SANITIZE_ADDRESS__
	rig_skip("a sanitizer wants to be loaded first");
#endif
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	cr_assert(fd != -1 && ftruncate(fd, sizeof(*shim)) == 0);
	shim = mmap(NULL, sizeof(*shim), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	close(fd);
	cr_assert_neq(shim, MAP_FAILED);
	setenv("SHIM", path, 1);
	setenv("LD_PRELOAD", anew_built("shim.so"), 1);
	return shim;
}
