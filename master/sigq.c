#include "master/sigq.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/fd.h"

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

const int	sigq_faults[SIGQ_FAULTS] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
		    SIGABRT };
static const int ignored[] = { SIGPIPE, SIGXFSZ };

static int		 pipe_fds[2] = { -1, -1 };
static signed char	 kind_of[NSIG];
static struct sigq_counters	 own;		/* until they are moved */
static struct sigq_counters	*counters = &own;
static uint32_t		 taken_of[SIGQ_ROOM][2];	/* as of now */
static uint32_t		 stops = 1U << SIGQ_INT | 1U << SIGQ_TERM |
			    1U << SIGQ_QUIT;

/* The numbers are written down: counters keep their place. */
_Static_assert(SIGQ_HUP == 0 && SIGQ_WINCH == 8 && SIGQ_CHLD == 9 &&
    SIGQ_SCALE == 10 && SIGQ_KINDS <= SIGQ_ROOM,
    "a new kind of signal comes at the end");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
    "a handler cannot wait for a lock");

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
	if (atomic_load(&counters->scales) >= STORM)
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
			atomic_fetch_add(&counters->valid, 1);
			atomic_fetch_add(&counters->scale_sum, record.value);
		}
		atomic_fetch_add(&counters->scales, 1);
		pause_storm(signo, context);
	}
	atomic_fetch_add(&counters->kinds[kind].came[by_kernel], 1);
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

static int
start(struct err *err)
{
	sigset_t	 none;
	int		 kind;

	for (kind = 0; kind < SIGQ_KINDS; kind++)
		if (install((enum sigq_kind)kind) == -1)
			return err_sys(err, "cannot handle SIG%s",
			    signal_rows[kind].name);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

int
sigq_open(struct err *err)
{
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return err_sys(err, "cannot make the signal pipe");
	return start(err);
}

int
sigq_check(const int fds[2], struct err *err)
{
	struct stat	 ends[2];
	int		 i;

	for (i = 0; i < 2; i++)
		if (fstat(fds[i], &ends[i]) == -1 ||
		    !S_ISFIFO(ends[i].st_mode) ||
		    fd_nonblock(fds[i], true) == -1 ||
		    (fcntl(fds[i], F_GETFL) & O_ACCMODE) !=
		    (i == 0 ? O_RDONLY : O_WRONLY))
			return err_set(err, "the signal pipe is gone");
	if (ends[0].st_dev != ends[1].st_dev ||
	    ends[0].st_ino != ends[1].st_ino)
		return err_set(err, "the signal pipe is two pipes");
	return 0;
}

int
sigq_reopen(const int fds[2], struct err *err)
{
	if (sigq_check(fds, err) == -1)
		return -1;
	pipe_fds[0] = fds[0];
	pipe_fds[1] = fds[1];
	return start(err);
}

int
sigq_fds(int out[2])
{
	out[0] = pipe_fds[0];
	out[1] = pipe_fds[1];
	return pipe_fds[0] == -1 ? -1 : 0;
}

/* ---- the counters' home */

void
sigq_move(struct sigq_counters *to)
{
	sigset_t	 old;

	if (to == NULL)
		to = &own;
	if (to == counters)
		return;
	/* No handler may count in between; nobody else knows it yet. */
	sigq_block(&old);
	memcpy(to, counters, sizeof(*to));
	counters = to;
	sigq_unblock(&old);
}

/* A stop is taken when it is written down, and not before. */
static bool
is_stop(int kind, int by_kernel)
{
	return (stops >> kind & 1) != 0 || (kind == SIGQ_HUP && by_kernel);
}

void
sigq_set_stops(uint32_t kinds)
{
	stops = kinds;
}

void
sigq_noted(struct sigq_noted *out)
{
	memcpy(out->taken, taken_of, sizeof(out->taken));
}

void
sigq_restore(const struct sigq_pending *pending)
{
	int	 i;

	for (i = 0; i < 2 * SIGQ_KINDS; i++)
		atomic_fetch_add(&counters->kinds[i / 2].came[i % 2],
		    pending->came[i / 2][i % 2]);
	atomic_fetch_add(&counters->scale_sum, pending->scale_sum);
	atomic_fetch_add(&counters->valid, pending->scales);
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

static unsigned
take(int kind, int by_kernel)
{
	uint32_t	 came, left;

	came = atomic_load(&counters->kinds[kind].came[by_kernel]);
	left = came - taken_of[kind][by_kernel];
	taken_of[kind][by_kernel] = came;
	/* Should it crash us, it shall not do so again. */
	if (!is_stop(kind, by_kernel))
		atomic_store(&counters->kinds[kind].taken[by_kernel], came);
	return left;
}

void
sigq_take(struct sigq_taken *taken)
{
	int	 kind;

	for (kind = 0; kind < SIGQ_KINDS; kind++) {
		taken->sent[kind] = take(kind, 0);
		taken->kernel[kind] = take(kind, 1);
	}
	taken->scales = atomic_exchange(&counters->valid, 0);
	taken->scale = atomic_exchange(&counters->scale_sum, 0);
	if (atomic_exchange(&counters->scales, 0) >= STORM)
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
	sigset_t	 set;
	size_t		 i;

	sigfillset(&set);
	for (i = 0; i < SIGQ_FAULTS; i++)
		sigdelset(&set, sigq_faults[i]);
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
