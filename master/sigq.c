#include "master/sigq.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <ucontext.h>
#include <unistd.h>

/* So many SIGRTMIN+1 in a turn of the loop; then it has its turn. */
#define STORM	256

static const struct signal_row {
	int		 signo;		/* 0: SIGRTMIN+1, no constant */
	const char	*name;
} signal_rows[SIGQ_KINDS] = {
	[SIGQ_HUP] = { SIGHUP, "HUP" },
	[SIGQ_INT] = { SIGINT, "INT" },
	[SIGQ_TERM] = { SIGTERM, "TERM" },
	[SIGQ_QUIT] = { SIGQUIT, "QUIT" },
	[SIGQ_TTIN] = { SIGTTIN, "TTIN" },
	[SIGQ_TTOU] = { SIGTTOU, "TTOU" },
	[SIGQ_USR1] = { SIGUSR1, "USR1" },
	[SIGQ_USR2] = { SIGUSR2, "USR2" },
	[SIGQ_WINCH] = { SIGWINCH, "WINCH" },
	[SIGQ_CHLD] = { SIGCHLD, "CHLD" },
	[SIGQ_SCALE] = { 0, "RTMIN+1" },
};

static const int ignored[] = { SIGPIPE, SIGXFSZ };

static int		 pipe_fds[2] = { -1, -1 };
static signed char	 kind_of[NSIG];
static atomic_uint	 sent[SIGQ_KINDS], from_kernel[SIGQ_KINDS];
static _Atomic int64_t	 scale_sum;
static atomic_uint	 scales, valid;	/* SIGRTMIN+1: all, those that count */

static int
signal_number(enum sigq_kind kind)
{
	return kind == SIGQ_SCALE ? SIGRTMIN + 1 : signal_rows[kind].signo;
}

bool
sigq_value_ok(const struct sigq_record *record)
{
	return record->code == SI_QUEUE && record->value >= -SIGQ_VALUE_MAX &&
	    record->value <= SIGQ_VALUE_MAX;
}

/*
 * Real-time signals are queued: while they come faster than we return, the
 * loop would get no turn. After some, the rest stays with the kernel, in the
 * mask that is restored on return, until sigq_take().
 */
static void
pause_storm(int signo, ucontext_t *context)
{
	if (atomic_load(&scales) >= STORM)
		sigaddset(&context->uc_sigmask, signo);
}

/* Counter first, record second: a full pipe costs the sender's name alone. */
static void
on_signal(int signo, siginfo_t *info, void *context)
{
	int			 saved = errno;
	enum sigq_kind		 kind = (enum sigq_kind)kind_of[signo];
	bool			 by_kernel = info->si_code == SI_KERNEL;
	struct sigq_record	 record = { .kind = (int32_t)kind,
				    .code = info->si_code };

	if (!by_kernel) {
		record.pid = info->si_pid;
		record.uid = (int32_t)info->si_uid;
	}
	if (kind == SIGQ_SCALE) {
		record.value = info->si_value.sival_int;
		if (sigq_value_ok(&record)) {
			atomic_fetch_add(&scale_sum, record.value);
			atomic_fetch_add(&valid, 1);
		}
		atomic_fetch_add(&scales, 1);
		pause_storm(signo, context);
	}
	atomic_fetch_add(by_kernel ? &from_kernel[kind] : &sent[kind], 1);
	if (write(pipe_fds[1], &record, sizeof(record)) == -1) {
		/* Full: the counter holds it, and the loop is awake. */
	}
	errno = saved;
}

static void
handled_signals(sigset_t *set)
{
	int	 kind;

	sigemptyset(set);
	for (kind = 0; kind < SIGQ_KINDS; kind++)
		sigaddset(set, signal_number((enum sigq_kind)kind));
}

static int
install(enum sigq_kind kind)
{
	struct sigaction	 action = { .sa_sigaction = on_signal };

	handled_signals(&action.sa_mask);
	action.sa_flags = SA_SIGINFO | SA_NOCLDSTOP;
	/*
	 * A background job's write to its terminal raises TTOU; restarted, it
	 * would raise it again, for ever.
	 */
	if (kind != SIGQ_TTIN && kind != SIGQ_TTOU)
		action.sa_flags |= SA_RESTART;
	kind_of[signal_number(kind)] = (signed char)kind;
	return sigaction(signal_number(kind), &action, NULL);
}

/*
 * Whatever our starter ignored, our children shall not: they start with
 * default dispositions. (The C library keeps two real-time signals.)
 */
static void
default_all(void)
{
	struct sigaction	 action;
	int			 signo;

	for (signo = 1; signo < NSIG; signo++)
		if (sigaction(signo, NULL, &action) == 0 &&
		    action.sa_handler == SIG_IGN)
			signal(signo, SIG_DFL);
}

void
sigq_ignore(void)
{
	struct sigaction	 ignore = { .sa_handler = SIG_IGN };
	size_t			 i;

	default_all();
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignore, NULL);
}

int
sigq_open(struct err *err)
{
	sigset_t		 none;
	int			 kind;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return err_sys(err, "cannot make the signal pipe");
	for (kind = 0; kind < SIGQ_KINDS; kind++)
		if (install((enum sigq_kind)kind) == -1)
			return err_sys(err, "cannot handle SIG%s",
			    signal_rows[kind].name);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

void
sigq_close(void)
{
	sigset_t	 old;

	if (pipe_fds[0] == -1)
		return;
	/* Blocked for good: nothing may reach a pipe that is closed. */
	sigq_block(&old);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	pipe_fds[0] = pipe_fds[1] = -1;
}

int
sigq_fd(void)
{
	return pipe_fds[0];
}

bool
sigq_next(struct sigq_record *record)
{
	ssize_t	 n;

	do
		n = read(pipe_fds[0], record, sizeof(*record));
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)sizeof(*record);
}

/* The rest of a storm may come. */
static void
go_on(void)
{
	sigset_t	 set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void
sigq_take(struct sigq_taken *taken)
{
	int	 kind;

	for (kind = 0; kind < SIGQ_KINDS; kind++) {
		taken->sent[kind] = atomic_exchange(&sent[kind], 0);
		taken->kernel[kind] = atomic_exchange(&from_kernel[kind], 0);
	}
	taken->scales = atomic_exchange(&valid, 0);
	taken->scale = atomic_exchange(&scale_sum, 0);
	if (atomic_exchange(&scales, 0) >= STORM)
		go_on();
}

const char *
sigq_name(enum sigq_kind kind)
{
	return signal_rows[kind].name;
}

void
sigq_block(sigset_t *old)
{
	static const int	 faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
				    SIGABRT };
	sigset_t		 set;
	size_t			 i;

	sigfillset(&set);
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	sigprocmask(SIG_SETMASK, &set, old);
}

void
sigq_unblock(const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}

void
sigq_forget(void)
{
	struct sigaction	 fallback = { .sa_handler = SIG_DFL };
	size_t			 i;
	int			 kind;

	for (kind = 0; kind < SIGQ_KINDS; kind++)
		sigaction(signal_number((enum sigq_kind)kind), &fallback,
		    NULL);
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &fallback, NULL);
}
