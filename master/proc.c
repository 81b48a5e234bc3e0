#include "master/proc.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/heal.h"
#include "master/keep.h"
#include "master/sigq.h"
#include "worker/worker.h"

void
proc_prepare(void)
{
	worker_prepare();
}

static sigset_t	 held;		/* the mask, while signals are held */

void
proc_hold_signals(void)
{
	sigq_block(&held);
}

void
proc_release_signals(void)
{
	sigq_unblock(&held);
}

pid_t
proc_spawn(const struct worker_boot *boot)
{
	pid_t	 pid = fork();

	if (pid == 0) {
		sigq_forget();
		keep_forget();
		heal_forget();
		setpgid(0, 0);
		_exit(worker_run(boot));
	}
	/*
	 * Here as well as there: whoever comes first, a KILL to the group
	 * from now on reaches it.
	 */
	if (pid != -1)
		setpgid(pid, pid);
	return pid;
}

void
proc_signal(pid_t pid, int signo)
{
	kill(pid, signo);
	kill(pid, SIGCONT);
}

int
proc_kill(pid_t pid)
{
	/* The group, and the worker itself should it have left its group. */
	kill(-pid, SIGKILL);
	return kill(pid, SIGKILL);
}

void
proc_kill_leftovers(pid_t pid)
{
	kill(-pid, SIGKILL);
}

pid_t
proc_ended(void)
{
	siginfo_t	 info = { 0 };

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1)
		return 0;
	return info.si_pid;
}

bool
proc_reap(pid_t pid, struct proc_death *death)
{
	struct rusage	 usage;
	int		 status;

	if (wait4(pid, &status, WNOHANG, &usage) != pid)
		return false;
	*death = (struct proc_death){ .pid = pid, .code = -1 };
	if (WIFEXITED(status))
		death->code = WEXITSTATUS(status);
	if (WIFSIGNALED(status)) {
		death->signo = WTERMSIG(status);
		death->core = WCOREDUMP(status);
	}
	death->cpu_us = ((int64_t)usage.ru_utime.tv_sec +
	    usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
	    usage.ru_stime.tv_usec;
	death->peak_rss = (int64_t)usage.ru_maxrss * 1024;
	return true;
}

/* ---- another program */

/* Async-signal-safe calls alone. */
static void
become(const char *path, char *const argv[], char *const envp[],
    const int keep[], size_t nkeep, int fail_fd)
{
	struct {
		char	 what;
		char	 error[sizeof(int)];
	} failure = { .what = PROC_NO_EXEC };
	sigset_t	 none;
	int		 error;

	sigq_forget();
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
		while (nkeep-- > 0)
			fcntl(keep[nkeep], F_SETFD, 0);
		sigemptyset(&none);
		sigq_unblock(&none);
		execve(path, argv, envp);
	}
	error = errno;
	memcpy(failure.error, &error, sizeof(error));
	if (write(fail_fd, &failure, sizeof(failure)) == -1) {
		/* The exit code has to say it. */
	}
	_exit(127);
}

pid_t
proc_fork_exec(const char *path, char *const argv[], char *const envp[],
    const int keep[], size_t nkeep, int fail_fd)
{
	pid_t	 pid;

	proc_hold_signals();
	if ((pid = fork()) == 0)
		become(path, argv, envp, keep, nkeep, fail_fd);
	proc_release_signals();
	if (pid != -1)
		setpgid(pid, pid);
	return pid;
}

/* ---- what proc(5) says */

static bool
read_proc(pid_t pid, const char *file, char *out, size_t size)
{
	char	 path[64];
	ssize_t	 n;
	int	 fd;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(fd, out, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

void
proc_name(pid_t pid, char *out, size_t size)
{
	read_proc(pid, "comm", out, size);
}

void
proc_where(pid_t pid, char *out, size_t size)
{
	char		 stat[512], wchan[64];
	const char	*state = "?";

	/* The name in parentheses may hold anything; the state is behind it. */
	if (read_proc(pid, "stat", stat, sizeof(stat)) &&
	    strrchr(stat, ')') != NULL && strlen(strrchr(stat, ')')) > 2)
		state = strrchr(stat, ')') + 2;
	if (!read_proc(pid, "wchan", wchan, sizeof(wchan)))
		strcpy(wchan, "?");
	snprintf(out, size, "state %.1s in %s", state, wchan);
}

int64_t
proc_rss(pid_t pid)
{
	char		 text[128];
	long long	 pages;

	if (!read_proc(pid, "statm", text, sizeof(text)) ||
	    sscanf(text, "%*d %lld", &pages) != 1)
		return -1;
	return pages * sysconf(_SC_PAGESIZE);
}
