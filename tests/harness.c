/*
 * harness SECONDS PROGRAM ARG...
 *
 * Runs a test suite and is not content with its word: it fails, too, when the
 * suite hangs, when it tested nothing, when a process or a file is left
 * behind, and when a sanitizer had something to say. The suite's processes
 * may sit in sessions of their own (every Criterion test does), so they are
 * found as our descendants: orphans come to us, we are a subreaper
 * (prctl(2)), and are killed one by one, by pid.
 */
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_LEFT	512	/* descendants looked at in one go */
#define SETTLE_MS	2000	/* for those that are just ending */
#define KILL_MS		10000	/* for the killed to be gone */
#define EXIT_HARNESS	125	/* we could not even begin */

struct harness {
	pid_t	 suite;
	int	 status;		/* of the suite, once ended */
	bool	 ended, failed;
	int	 output;		/* read end of its stdout and stderr */
	int	 signals;		/* signalfd(2) */
	int64_t	 deadline_ms;
	char	 folder[64];		/* ours: tests' TMPDIR and logs */
	char	 tests[80], logs[80];
	char	 line[512];		/* the output's current line */
	size_t	 len;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
give_up(const char *what)
{
	perror(what);
	exit(EXIT_HARNESS);
}

static void __attribute__((format(printf, 2, 3)))
complain(struct harness *h, const char *fmt, ...)
{
	va_list ap;

	h->failed = true;
	fputs("harness: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- the processes below us */

/* Add the descendants of pid to out, parents first; returns the new count. */
static int
descendants(pid_t pid, pid_t *out, int count)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *tasks;
	FILE *file;
	int child, from = count;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((tasks = opendir(path)) == NULL)
		return count;
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children",
		    (int)pid, entry->d_name);
		if ((file = fopen(path, "re")) == NULL)
			continue;
		while (count < MAX_LEFT && fscanf(file, "%d", &child) == 1)
			out[count++] = child;
		fclose(file);
	}
	closedir(tasks);
	for (int i = from, to = count; i < to; i++)
		count = descendants(out[i], out, count);
	return count;
}

static void
reap(struct harness *h)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != h->suite)
			continue;
		h->ended = true;
		h->status = status;
	}
}

static void
name_process(struct harness *h, pid_t pid)
{
	char path[64], text[200];
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	for (ssize_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[len > 0 ? len : 0] = '\0';
	complain(h, "left behind: pid %d: %s", (int)pid,
	    len > 0 ? text : "(ended, not waited for)");
}

/* Kill what is below us until nothing is; each round finds what forked. */
static void
kill_tree(struct harness *h)
{
	int64_t until = now_ms() + KILL_MS;
	pid_t pids[MAX_LEFT];
	int count;

	while ((count = descendants(getpid(), pids, 0)) > 0) {
		for (int i = 0; i < count; i++)
			kill(pids[i], SIGKILL);
		reap(h);
		if (now_ms() > until) {
			complain(h, "%d processes survive KILL", count);
			return;
		}
		poll(NULL, 0, 2);
	}
}

static void
look_for_processes(struct harness *h)
{
	int64_t until = now_ms() + SETTLE_MS;
	pid_t pids[MAX_LEFT];
	int count;

	while ((count = descendants(getpid(), pids, 0)) > 0 &&
	    now_ms() < until) {
		poll(NULL, 0, 5);
		reap(h);
	}
	for (int i = 0; i < count; i++)
		name_process(h, pids[i]);
	kill_tree(h);
}

/* ---- files */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP)
		return rmdir(path);
	return unlink(path);
}

static void
look_for_files(struct harness *h)
{
	struct dirent *entry;
	DIR *dir;

	if ((dir = opendir(h->tests)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			complain(h, "left behind in TMPDIR: %s",
			    entry->d_name);
	closedir(dir);
}

static void
look_for_reports(struct harness *h)
{
	char path[PATH_MAX], line[1024];
	struct dirent *entry;
	FILE *file;
	DIR *dir;

	if ((dir = opendir(h->logs)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		complain(h, "sanitizer report %s:", entry->d_name);
		snprintf(path, sizeof(path), "%s/%s", h->logs, entry->d_name);
		if ((file = fopen(path, "re")) == NULL)
			continue;
		while (fgets(line, sizeof(line), file) != NULL)
			fputs(line, stderr);
		fclose(file);
	}
	closedir(dir);
}

/* Workers may run as other users: they come through, and write reports. */
static void
make_folders(struct harness *h)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(h->folder, sizeof(h->folder), "%s/muster-test.XXXXXX",
	    tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	if (mkdtemp(h->folder) == NULL)
		give_up(h->folder);
	snprintf(h->tests, sizeof(h->tests), "%s/t", h->folder);
	snprintf(h->logs, sizeof(h->logs), "%s/reports", h->folder);
	if (chmod(h->folder, 0755) == -1 || mkdir(h->tests, 0755) == -1 ||
	    mkdir(h->logs, 0700) == -1 || chmod(h->logs, 01777) == -1)
		give_up(h->folder);
}

/* ---- the suite */

static void
set_option(const char *name, const char *more, const char *logs)
{
	const char *old = getenv(name);
	char *text;

	if (asprintf(&text, "%s%s%s:log_path=%s/%s", old != NULL ? old : "",
	    old != NULL ? ":" : "", more, logs, name) == -1 ||
	    setenv(name, text, 1) == -1)
		give_up("setenv");
	free(text);
}

/* Criterion itself leaks a little, in a test that is skipped. */
static void
forgive_criterion(const struct harness *h)
{
	char path[96], text[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/leaks", h->folder);
	if ((file = fopen(path, "we")) == NULL)
		give_up(path);
	fputs("leak:libcriterion\n", file);
	fclose(file);
	snprintf(text, sizeof(text), "suppressions=%s:print_suppressions=0",
	    path);
	setenv("LSAN_OPTIONS", text, 1);
}

static void
become_suite(const struct harness *h, int output, char **argv)
{
	sigset_t none;
	int null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setenv("TMPDIR", h->tests, 1);
	forgive_criterion(h);
	set_option("ASAN_OPTIONS", "detect_leaks=1", h->logs);
	set_option("UBSAN_OPTIONS", "print_stacktrace=1", h->logs);
	if ((null = open("/dev/null", O_RDONLY)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1 ||
	    dup2(output, STDOUT_FILENO) == -1 ||
	    dup2(output, STDERR_FILENO) == -1)
		give_up("suite");
	close_range(3, ~0U, 0);
	execvp(argv[0], argv);
	give_up(argv[0]);
}

static void
start_suite(struct harness *h, char **argv)
{
	sigset_t set;
	int ends[2];

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if ((h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) ==
	    -1 || pipe2(ends, O_CLOEXEC) == -1)
		give_up("harness");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
		give_up("prctl");
	if ((h->suite = fork()) == 0)
		become_suite(h, ends[1], argv);
	if (h->suite == -1)
		give_up("fork");
	close(ends[1]);
	h->output = ends[0];
	fcntl(h->output, F_SETFL, O_NONBLOCK);
}

/* ---- its output: passed through, and read for Criterion's closing line */

static void
look_at_line(struct harness *h)
{
	const char *found;

	h->line[h->len] = '\0';
	h->len = 0;
	if ((found = strstr(h->line, "Tested: ")) == NULL)
		return;
	found += strlen("Tested: ");
	found += strspn(found, "\033[;m");
	if (strncmp(found, "0 ", 2) == 0)
		complain(h, "the suite tested nothing");
}

static void
pass_output(struct harness *h)
{
	char buf[8192];
	ssize_t got;

	while ((got = read(h->output, buf, sizeof(buf))) > 0) {
		fwrite(buf, 1, (size_t)got, stdout);
		for (ssize_t i = 0; i < got; i++) {
			if (buf[i] == '\n')
				look_at_line(h);
			else if (h->len < sizeof(h->line) - 1)
				h->line[h->len++] = buf[i];
		}
	}
	fflush(stdout);
	if (got == 0) {
		close(h->output);
		h->output = -1;		/* poll(2) skips it */
	}
}

/* Returns the signal that asks us to stop, or 0. */
static int
take_signals(struct harness *h)
{
	struct signalfd_siginfo info;
	int stop = 0;

	while (read(h->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			stop = (int)info.ssi_signo;
	return stop;
}

static void
watch_suite(struct harness *h)
{
	struct pollfd fds[2];
	int64_t left;
	int stop = 0;

	while (!h->ended && stop == 0) {
		if ((left = h->deadline_ms - now_ms()) <= 0) {
			complain(h, "the suite hangs: its time is over");
			break;
		}
		fds[0] = (struct pollfd){ h->signals, POLLIN, 0 };
		fds[1] = (struct pollfd){ h->output, POLLIN, 0 };
		if (poll(fds, 2, left > 60000 ? 60000 : (int)left) == -1 &&
		    errno != EINTR)
			give_up("poll");
		if (h->output != -1)
			pass_output(h);
		stop = take_signals(h);
		reap(h);
	}
	if (stop != 0)
		complain(h, "interrupted by SIG%s", sigabbrev_np(stop));
	if (!h->ended)
		kill_tree(h);
}

int
main(int argc, char **argv)
{
	struct harness h = { .output = -1 };
	int seconds = argc >= 3 ? atoi(argv[1]) : 0;

	if (seconds <= 0) {
		fprintf(stderr, "usage: harness SECONDS PROGRAM [ARG ...]\n");
		return 64;
	}
	make_folders(&h);
	h.deadline_ms = now_ms() + (int64_t)seconds * 1000;
	start_suite(&h, argv + 2);
	watch_suite(&h);
	look_for_processes(&h);
	if (h.output != -1)
		pass_output(&h);
	if (WIFSIGNALED(h.status))
		complain(&h, "the suite ended by SIG%s",
		    sigabbrev_np(WTERMSIG(h.status)));
	else if (WEXITSTATUS(h.status) != 0)
		complain(&h, "the suite failed with %d",
		    WEXITSTATUS(h.status));
	look_for_files(&h);
	look_for_reports(&h);
	if (nftw(h.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == -1)
		complain(&h, "cannot remove %s", h.folder);
	return h.failed ? 1 : 0;
}
