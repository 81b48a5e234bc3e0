#include "master/proc.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/fd.h"
#include "master/heal.h"
#include "master/keep.h"
#include "master/sigq.h"
#include "worker/program.h"
#include "worker/worker.h"

/* The one door to new processes; to those that live it is proc.c. */

/* Of a program's child until it is the program: a few calls deep. */
#define STACK_SIZE	(128 * 1024)

static char	*stack, *stack_end;	/* one at a time is enough */
static bool	 signals_known;
static uint64_t	 signals_changed;

/*
 * With a page below that cannot be touched: it lies in the master's memory.
 * Made for the first program: each fork of another worker would copy it.
 */
static void
make_stack(void)
{
	size_t	 page = (size_t)sysconf(_SC_PAGESIZE);
	void	*area;

	area = mmap(NULL, page + STACK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (area == MAP_FAILED)
		return;
	if (mprotect(area, page, PROT_NONE) == -1) {
		munmap(area, page + STACK_SIZE);
		return;
	}
	stack = (char *)area + page;
	stack_end = stack + STACK_SIZE;
}

void
proc_prepare(void)
{
	worker_prepare();
	signals_known = false;
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

/* ---- programs */

struct start {
	struct program		*program;
	struct program_failure	*failure;
};

/*
 * Signals that we handle or ignore, as program_exec() takes them. That is
 * settled before the first program starts, and so looked up but once: all of
 * them, by the system call, as the C library hides two.
 */
static void
learn_signals(void)
{
	static const unsigned long	 fallback[16];
	unsigned long			 action[16];
	int				 signo;

	if (signals_known)
		return;
	signals_changed = 0;
	for (signo = 1; signo < NSIG; signo++) {
		memset(action, 0, sizeof(action));
		if (syscall(SYS_rt_sigaction, signo, NULL, action,
		    (size_t)(NSIG - 1) / 8) == -1 ||
		    memcmp(action, fallback, sizeof(action)) != 0)
			signals_changed |= (uint64_t)1 << (signo - 1);
	}
	signals_known = true;
}

/* In the child. Ending by returning is ending the process. */
static int
become_program(void *arg)
{
	struct start	*start = arg;

	program_exec(start->program, signals_changed, start->failure);
	return 127;
}

/*
 * The sanitizer marks what of the stack is whose while functions run, and
 * takes it back when they return. A child that became the program did not.
 */
static void
forget_marks(void)
{
#ifdef __SANITIZE_ADDRESS__
	extern void	 __asan_unpoison_memory_region(void const volatile *,
			    size_t);

	__asan_unpoison_memory_region(stack, STACK_SIZE);
#endif
}

/*
 * As vfork(2), but on a stack of its own: the child borrows our memory, and we
 * are suspended until it has executed the program or ended. So a large master
 * costs nothing, and what the child wrote into failure is there, whole, the
 * moment we go on: no pipe has to carry it. It borrows our descriptors, too,
 * and copies what it needs of them.
 *
 * The fault signals are blocked here, too. Their handlers, ours still for the
 * first steps of the child, would bring the master to life again - in the
 * child. A fault that the mask blocks ends the process, as it should.
 */
pid_t
proc_exec(struct program *program, struct program_failure *failure)
{
	struct start	 start = { program, failure };
	sigset_t	 all, before;
	pid_t		 pid;
	int		 saved;

	*failure = (struct program_failure){ 0 };
	if (stack == NULL)
		make_stack();
	if (stack == NULL) {
		errno = ENOMEM;
		return -1;
	}
	forget_marks();
	learn_signals();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone(become_program, stack_end,
	    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &start);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid != -1 && failure->step != NULL)
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	errno = saved;
	return pid;
}

/* ---- throw-away children */

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

/* Async-signal-safe calls alone. */
static void
become(const char *path, char *const argv[], char *const envp[],
    const int keep[], size_t nkeep, int fail_fd, int out_fd,
    pid_t parent)
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
	if (getppid() != parent)
		_exit(127);		/* too late to be told */
	if (dup2(out_fd, STDOUT_FILENO) != -1 &&
	    dup2(out_fd, STDERR_FILENO) != -1 &&
	    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
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
    const int keep[], size_t nkeep, int fail_fd, int out_fd)
{
	pid_t	 parent = getpid(), pid;

	proc_hold_signals();
	if ((pid = fork()) == 0)
		become(path, argv, envp, keep, nkeep, fail_fd, out_fd,
		    parent);
	proc_release_signals();
	if (pid != -1)
		setpgid(pid, pid);
	return pid;
}
