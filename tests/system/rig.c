#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pty.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/look.h"
#include "tests/system/rig.h"

#define ARGS_MAX	64
#define CPU_SECONDS	60	/* a master or worker that spins dies of it */
#define LEFT_MAX	1024

static char folder[64];
static int rigs;		/* names the files of each start */

int64_t
rig_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
rig_soak(int times)
{
	return getenv("MUSTER_SOAK") != NULL ? times * 20 : times;
}

bool
rig_sanitized(void)
{
	return getenv("MUSTER") != NULL &&
	    strstr(getenv("MUSTER"), "sanitize") != NULL;
}

void
rig_nap(void)
{
	nanosleep(&(struct timespec){ 0, 3000000 }, NULL);
}

/* ---- the test's folder, and what may be left of its processes */

void
rig_setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/rig.XXXXXX",
	    tmp != NULL && strlen(tmp) < 44 ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(folder));
	chmod(folder, 0755);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

void
rig_cleanup(void)
{
	int64_t until = rig_now_ms() + WAIT_MS;
	pid_t pids[LEFT_MAX];
	int count;

	while ((count = look_descendants(getpid(), pids, LEFT_MAX)) > 0 &&
	    rig_now_ms() < until) {
		for (int i = 0; i < count; i++)
			kill(pids[i], SIGKILL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		rig_nap();
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A skipped test never comes to its .fini. */
void
rig_skip(const char *why)
{
	fprintf(stderr, "[SKIP] %s::%s: %s\n",
	    criterion_current_test->category, criterion_current_test->name,
	    why);
	rig_cleanup();
	cr_skip_test("%s", why);
	abort();	/* not reached: the test was left */
}

const char *
rig_path(const char *name)
{
	static char paths[8][PATH_MAX];
	static int next;
	char *path = paths[next++ % 8];

	snprintf(path, PATH_MAX, "%s/%s", folder, name);
	return path;
}

const char *
rig_file(const char *name, const char *text)
{
	const char *path = rig_path(name);
	FILE *file = fopen(path, "we");

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	fputs(text, file);
	fclose(file);
	return path;
}

const char *
rig_abstract(void)
{
	static char addr[64];

	snprintf(addr, sizeof(addr), "unix:@muster-test-%d", (int)getpid());
	return addr;
}

/* ---- starting */

static const char *
muster_path(void)
{
	const char *path = getenv("MUSTER");

	return path != NULL ? path : "build/muster";
}

/* Our descriptors, as 3, 4, ... of the child; nothing else stays open. */
static void
pass_descriptors(const struct rig *r)
{
	int high[4];

	for (int i = 0; i < r->npass; i++)
		high[i] = fcntl(r->pass[i], F_DUPFD, 64);
	for (int i = 0; i < r->npass; i++)
		dup2(high[i], 3 + i);
	close_range((unsigned)(3 + r->npass), ~0U, 0);
}

/* In the child: never returns, calls no cr_ function. */
static void __attribute__((noreturn))
become_muster(const struct rig *r, char **argv)
{
	struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setrlimit(RLIMIT_CPU, &cpu);
	if (!r->tty) {
		setsid();
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(open(r->out, O_WRONLY | O_CREAT | O_TRUNC, 0644),
		    STDOUT_FILENO);
	}
	if (r->stderr_fd > 0)
		dup2(r->stderr_fd, STDERR_FILENO);
	else if (!r->tty || r->log == NULL)
		dup2(open(r->err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND,
		    0644), STDERR_FILENO);
	pass_descriptors(r);
	if (r->child != NULL)
		r->child(r->arg);
	execv(argv[0], argv);
	_exit(127);
}

static bool
binds(char **argv)
{
	for (; *argv != NULL; argv++)
		if (strcmp(*argv, "-b") == 0 ||
		    strncmp(*argv, "--bind", 6) == 0)
			return true;
	return false;
}

static void
launch(struct rig *r, va_list ap)
{
	char *argv[ARGS_MAX];
	int argc = 0;

	argv[argc++] = (char *)(uintptr_t)muster_path();
	while (argc < ARGS_MAX - 3 &&
	    (argv[argc] = va_arg(ap, char *)) != NULL)
		argc++;
	argv[argc] = NULL;
	if (!r->as_is && !binds(argv)) {
		memmove(argv + 3, argv + 1, sizeof(*argv) * (size_t)argc);
		argv[1] = (char *)(uintptr_t)"-b";
		argv[2] = (char *)(uintptr_t)"127.0.0.1:0";
	}
	snprintf(r->out, sizeof(r->out), "%s/%d.out", folder, rigs);
	snprintf(r->err, sizeof(r->err), "%s/%d.err", folder, rigs++);
	r->ended = false;
	r->addr[0] = '\0';
	r->pid = r->tty ? forkpty(&r->tty_fd, NULL, NULL, NULL) : fork();
	if (r->pid == 0)
		become_muster(r, argv);
	cr_assert_neq(r->pid, -1, "fork: %s", strerror(errno));
}

void
rig_launch(struct rig *r, ...)
{
	va_list ap;

	va_start(ap, r);
	launch(r, ap);
	va_end(ap);
}

int
rig_run(struct rig *r, ...)
{
	bool as_is = r->as_is;
	va_list ap;

	r->as_is = true;
	va_start(ap, r);
	launch(r, ap);
	va_end(ap);
	r->as_is = as_is;
	return rig_exit_code(r);
}

void
rig_start(struct rig *r, ...)
{
	va_list ap;

	va_start(ap, r);
	launch(r, ap);
	va_end(ap);
	rig_await_ready(r);
}

/* Where it listens, as the first listen.open line says, text or JSON. */
void
rig_learn_address(struct rig *r)
{
	const char *at = strstr(rig_read(r, r->log != NULL ? r->log : r->err),
	    "listen.open");
	char *colon;

	if (at == NULL || (at = strstr(at, "addr")) == NULL)
		return;
	at += strlen("addr");
	at += strspn(at, "\":=");
	snprintf(r->addr, sizeof(r->addr), "%.*s",
	    (int)strcspn(at, "\" \n"), at);
	colon = strrchr(r->addr, ':');
	r->port = colon != NULL && strncmp(r->addr, "unix:", 5) != 0 ?
	    atoi(colon + 1) : 0;
}

void
rig_await_ready(struct rig *r)
{
	if (!eventually(rig_log_has(r, "pool.ready") || rig_ended(r)))
		rig_fail(r, "the pool is not ready in time");
	if (r->ended)
		rig_fail(r, "the master ended at its start");
	rig_learn_address(r);
}

/* ---- signals and the end */

void
rig_signal(struct rig *r, int signo)
{
	cr_assert_eq(kill(r->pid, signo), 0, "kill: %s", strerror(errno));
}

/* The kernel bounds what all processes of a user have queued: EAGAIN. */
void
rig_queue(struct rig *r, int value)
{
	union sigval with = { .sival_int = value };
	int64_t until = rig_now_ms() + WAIT_MS;

	while (sigqueue(r->pid, SIGRTMIN + 1, with) == -1) {
		if (errno != EAGAIN || rig_now_ms() > until)
			rig_fail(r, "sigqueue: %s", strerror(errno));
		rig_nap();
	}
}

bool
rig_ended(struct rig *r)
{
	if (!r->ended && waitpid(r->pid, &r->status, WNOHANG) == r->pid)
		r->ended = true;
	return r->ended;
}

int
rig_exit_code(struct rig *r)
{
	if (!eventually(rig_ended(r)))
		rig_fail(r, "the master does not end");
	if (WIFSIGNALED(r->status))
		return 128 + WTERMSIG(r->status);
	return WEXITSTATUS(r->status);
}

int
rig_stop(struct rig *r)
{
	rig_signal(r, SIGTERM);
	return rig_exit_code(r);
}

/* ---- workers */

int
rig_workers(struct rig *r, pid_t *out)
{
	return look_children(r->pid, out, RIG_MAX);
}

int
rig_count(struct rig *r)
{
	pid_t pids[RIG_MAX];

	return rig_workers(r, pids);
}

static bool
all_ready(struct rig *r, int wanted)
{
	pid_t pids[RIG_MAX];
	char words[64];
	int count = rig_workers(r, pids);

	if (count != wanted)
		return false;
	for (int i = 0; i < count; i++) {
		snprintf(words, sizeof(words), "worker.ready pid=%d",
		    (int)pids[i]);
		if (!rig_log_says(r, words))
			return false;
	}
	return true;
}

void
rig_await_workers(struct rig *r, int count)
{
	if (!eventually(all_ready(r, count) || rig_ended(r)) || r->ended)
		rig_fail(r, "%d workers, not %d", rig_count(r), count);
}

pid_t
rig_worker(struct rig *r, int slot)
{
	char words[64];

	snprintf(words, sizeof(words), "worker.ready slot=%d", slot);
	return (pid_t)rig_log_int(r, words, "pid");
}

void
rig_kill_worker(struct rig *r, int slot, int signo)
{
	pid_t pid = rig_worker(r, slot);

	cr_assert_gt(pid, 1);
	cr_assert_eq(kill(pid, signo), 0);
}
