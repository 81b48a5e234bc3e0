#include "master/proc.h"

#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* The one door to processes that live; to new ones it is proc_spawn.c. */

/* PIDFD_SIGNAL_PROCESS_GROUP of <linux/pidfd.h>, which is newer than we. */
#define PIDFD_GROUP	(1U << 2)

/* ---- signals */

/* Workers that are not our children: their numbers may become a stranger's. */
static struct foreign {
	pid_t		 pid;
	int		 pidfd;		/* borrowed */
	struct foreign	*next;
} *foreigners;

void
proc_foreign(pid_t pid, int pidfd)
{
	struct foreign	*foreign = xcalloc(1, sizeof(*foreign));

	*foreign = (struct foreign){ pid, pidfd, foreigners };
	foreigners = foreign;
}

void
proc_foreign_gone(pid_t pid)
{
	struct foreign	**at = &foreigners, *foreign;

	while ((foreign = *at) != NULL && foreign->pid != pid)
		at = &foreign->next;
	if (foreign == NULL)
		return;
	*at = foreign->next;
	free(foreign);
}

static const struct foreign *
find_foreign(pid_t pid)
{
	const struct foreign	*foreign = foreigners;

	while (foreign != NULL && foreign->pid != pid)
		foreign = foreign->next;
	return foreign;
}

static int
send_signal(pid_t pid, int signo)
{
	const struct foreign	*foreign = find_foreign(pid);

	if (foreign != NULL)
		return pidfd_send_signal(foreign->pidfd, signo, NULL, 0);
	return kill(pid, signo);
}

void
proc_signal(pid_t pid, int signo)
{
	send_signal(pid, signo);
	send_signal(pid, SIGCONT);
}

int
proc_kill(pid_t pid)
{
	const struct foreign	*foreign = find_foreign(pid);

	/* Its group, where the kernel can (Linux 6.9); else it alone. */
	if (foreign != NULL && pidfd_send_signal(foreign->pidfd, SIGKILL, NULL,
	    PIDFD_GROUP) == 0)
		return 0;
	if (foreign != NULL)
		return pidfd_send_signal(foreign->pidfd, SIGKILL, NULL, 0);
	/* The group, and the worker itself should it have left its group. */
	kill(-pid, SIGKILL);
	return kill(pid, SIGKILL);
}

void
proc_kill_leftovers(pid_t pid)
{
	kill(-pid, SIGKILL);
}

void
proc_kill_orphan(pid_t pid)
{
	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
}

bool
proc_is_there(pid_t pid)
{
	const struct foreign	*foreign = find_foreign(pid);
	siginfo_t		 info;

	if (foreign != NULL)
		return pidfd_send_signal(foreign->pidfd, 0, NULL, 0) == 0 ||
		    errno == EPERM;
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG |
	    WNOWAIT) == 0;
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
read_whole(pid_t pid, const char *file, char *out, size_t size)
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
	return true;
}

/* The first line. */
static bool
read_proc(pid_t pid, const char *file, char *out, size_t size)
{
	bool	 there = read_whole(pid, file, out, size);

	out[strcspn(out, "\n")] = '\0';
	return there;
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

pid_t
proc_parent(pid_t pid)
{
	char		 stat[512];
	const char	*end;
	int		 parent;

	/* As above; the name may even hold a newline, and forge the rest. */
	if (!read_whole(pid, "stat", stat, sizeof(stat)) ||
	    (end = strrchr(stat, ')')) == NULL ||
	    sscanf(end + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}
