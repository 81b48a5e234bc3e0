#include "master/proc.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/fd.h"
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

static void
be_helper(int (*run)(void *arg, int out), void *arg, int out)
{
	sigset_t	 none;
	int		 keep[] = { out };

	sigq_forget();
	setpgid(0, 0);
	if (fd_close_except(keep, 1) == -1)
		_exit(EX_OSERR);
	sigemptyset(&none);
	sigq_unblock(&none);
	_exit(run(arg, out));
}

pid_t
proc_fork_helper(int (*run)(void *arg, int out), void *arg, int *fd)
{
	int	 ends[2], saved;
	pid_t	 pid;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	proc_hold_signals();
	pid = fork();
	if (pid == 0)
		be_helper(run, arg, ends[1]);
	saved = errno;
	if (pid != -1)
		setpgid(pid, pid);
	proc_release_signals();
	close(ends[1]);
	if (pid == -1)
		close(ends[0]);
	else
		fd_nonblock(*fd = ends[0], true);
	errno = saved;
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
