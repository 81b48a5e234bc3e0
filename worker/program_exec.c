#include "worker/program_priv.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

/*
 * Everything here runs in a child that has its own dispositions and mask, but
 * the master's memory, and at first its descriptors, while the master is
 * suspended. It makes system calls and writes to the plan and to failure, no
 * more: no allocation, no log, no stdio, nothing that takes a lock.
 */

/*
 * A group of its own: a terminal's Ctrl+C is for the master. One that came
 * between fork and here was meant for it, too; ignoring drops what is pending.
 */
static int
leave_group(struct program *program, struct program_failure *failure)
{
	static const int	 terminals[] = { SIGHUP, SIGINT, SIGQUIT,
				    SIGTSTP };
	struct sigaction	 ignore = { .sa_handler = SIG_IGN };
	sigset_t		 pending;
	size_t			 i;

	(void)failure;
	if (setpgid(0, 0) == -1 || sigpending(&pending) == -1)
		return -1;
	for (i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++) {
		if (sigismember(&pending, terminals[i]) != 1)
			continue;
		sigaction(terminals[i], &ignore, NULL);
		program->changed |= (uint64_t)1 << (terminals[i] - 1);
	}
	return 0;
}

/*
 * By the system call: the C library hides two real-time signals, which our
 * starter may have ignored nevertheless. An all-zero action is the default one
 * on every machine, larger than any of them has it. A call for each signal
 * there is would take longer than all the other steps.
 */
static int
reset_signals(struct program *program, struct program_failure *failure)
{
	static const unsigned long	 fallback[16];
	struct sigaction		 ignore = { .sa_handler = SIG_IGN };
	uint64_t			 rest = program->changed;
	int				 signo;

	(void)failure;
	for (; rest != 0; rest &= rest - 1) {
		signo = __builtin_ctzll(rest) + 1;
		syscall(SYS_rt_sigaction, signo, fallback, NULL,
		    (size_t)(NSIG - 1) / 8);
	}
	/* No longer in the terminal's foreground, it would be stopped. */
	return program->terminal ? sigaction(SIGTTOU, &ignore, NULL) : 0;
}

/*
 * Until here the table of descriptors is the master's itself. A copy of ours
 * ends behind the last source: a master has some for each worker, and to copy
 * and to close them all would take longer the more there are.
 */
static int
own_table(const struct program *program)
{
	int	 fd, last = 0;

	for (fd = 0; fd < program->nfds; fd++)
		if (program->source[fd] > last)
			last = program->source[fd];
	return close_range((unsigned)last + 1, ~0U, CLOSE_RANGE_UNSHARE);
}

/*
 * Sources and places may overlap in any way, so those that lie among the
 * places, but not at their own, are copied above them first. Then whatever is
 * left above goes, marked or not.
 */
static int
move_fds(struct program *program, struct program_failure *failure)
{
	int	 fd, *from = program->copies;

	(void)failure;
	if (own_table(program) == -1)
		return -1;
	for (fd = 0; fd < program->nfds; fd++) {
		from[fd] = program->source[fd];
		if (from[fd] < program->nfds && from[fd] != fd &&
		    (from[fd] = fcntl(from[fd], F_DUPFD_CLOEXEC,
		    program->nfds)) == -1)
			return -1;
	}
	for (fd = 0; fd < program->nfds; fd++)
		if ((from[fd] == fd ? fcntl(fd, F_SETFD, 0) :
		    dup2(from[fd], fd)) == -1)
			return -1;
	return close_range((unsigned)program->nfds, ~0U, 0);
}

static int
take_confinement(struct program *program, struct program_failure *failure)
{
	if (confine(program->conf, program->slot, &failure->confine) == 0)
		return 0;
	errno = failure->confine.error;
	return -1;
}

/*
 * Only now: becoming another user forgets it. A master that died before is
 * not told of any more, so look who our parent is.
 */
static int
follow_master(struct program *program, struct program_failure *failure)
{
	(void)failure;
	if (program->death_signal != 0 &&
	    prctl(PR_SET_PDEATHSIG, program->death_signal, 0, 0, 0) == -1)
		return -1;
	if (getppid() == program->master_pid)
		return 0;
	errno = ESRCH;
	return -1;
}

/* Some variables name the process they are for. */
static int
write_pids(struct program *program, struct program_failure *failure)
{
	char	 digits[ENV_PID_ROOM];
	pid_t	 rest = getpid();
	int	 count = 0, i, k;

	(void)failure;
	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	for (i = 0; program->pids[i] != NULL; i++) {
		for (k = 0; k < count; k++)
			program->pids[i][k] = digits[count - 1 - k];
		program->pids[i][count] = '\0';
	}
	return 0;
}

/* From here on a signal that is pending is the program's. */
static int
open_mask(struct program *program, struct program_failure *failure)
{
	sigset_t	 none;

	(void)program;
	(void)failure;
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As execvp(3) searches, but a file that is no program is no shell script. */
static int
try_paths(struct program *program, struct program_failure *failure)
{
	char	**path;
	bool	 denied = false;
	int	 error = ENOENT;

	for (path = program->paths; *path != NULL; path++) {
		execve(*path, program->argv, program->env.vars);
		if (errno == ENOENT || errno == ENOTDIR) {
			error = errno;
			continue;
		}
		/* Of several that were refused the first is told of. */
		if (!denied || errno != EACCES)
			failure->path = *path;
		if (errno != EACCES)
			return -1;
		denied = true;
	}
	errno = denied ? EACCES : error;
	return -1;
}

static const struct {
	const char	*name;
	int		(*take)(struct program *, struct program_failure *);
} steps[] = {
	{ "process_group",	leave_group },
	{ "signals",		reset_signals },
	{ "descriptors",	move_fds },
	{ "confinement",	take_confinement },
	{ "master",		follow_master },
	{ "pid",		write_pids },
	{ "mask",		open_mask },
	{ "exec",		try_paths },
};

void
program_exec(struct program *program, uint64_t changed,
    struct program_failure *failure)
{
	size_t	 i;

	program->changed = changed;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].take(program, failure) == 0)
			continue;
		failure->error = errno;
		failure->step = failure->confine.failed != NULL ?
		    failure->confine.failed : steps[i].name;
		return;
	}
}
