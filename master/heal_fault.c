#include <sys/syscall.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "common/clock.h"
#include "common/log.h"
#include "master/crash.h"
#include "master/heal_priv.h"
#include "master/sigq.h"
#include "master/state.h"

/*
 * In here the process is broken: nothing but system calls and our own stack,
 * the read-only capsule, and the state by its descriptor; at the end, where a
 * second fault does no harm, the log's last lines.
 */
#define GUARD_MS	60000
#define GUARD_MAX	3	/* in that time; with one more we give up */

/* Where we are loaded: the linker knows. */
extern const char	 load_base[] __asm__("__ehdr_start");

/* A second fault in here skips what is not needed. */
static volatile sig_atomic_t	 inside;

static void
mask_faults(int how)
{
	sigset_t	 set;
	size_t		 i;

	sigemptyset(&set);
	for (i = 0; i < SIGQ_FAULTS; i++)
		sigaddset(&set, sigq_faults[i]);
	sigprocmask(how, &set, NULL);
}

/*
 * As if there were no handler. A real fault comes again as soon as we return;
 * what was sent has to be sent again. By raw calls: in a child that shares our
 * memory the C library has our thread's number.
 */
static void
die(int signo, const siginfo_t *info)
{
	signal(signo, SIG_DFL);
	if (info->si_code > 0)
		return;
	mask_faults(SIG_UNBLOCK);
	syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), signo);
}

/* ---- the record */

/*
 * A new image that has not taken over yet: the one before it goes on, however
 * often it is tried.
 */
static bool
is_novice(void)
{
	return capsule.in.binary != capsule.in.own;
}

static void
describe(struct crash_saved *crash, int signo, const siginfo_t *info)
{
	struct timespec	 wall;

	memset(crash, 0, sizeof(*crash));
	clock_wall(&wall);
	crash->mono_ms = clock_now_ms();
	crash->wall_ms = (int64_t)wall.tv_sec * 1000 +
	    wall.tv_nsec / 1000000;
	crash->signal = signo;
	crash->novice = is_novice() ? 1 : 0;
	crash->code = info->si_code;
	if (info->si_code > 0)
		crash->addr = (uint64_t)(uintptr_t)info->si_addr;
	else
		crash->sender = (int32_t)info->si_pid;
}

/* Give it its number; how many were there within the guard's time? */
static int
number(struct crash_saved *crash)
{
	struct state_crash	 row;
	struct crash_saved	 before;
	int			 i, recent = 0;
	off_t			 at = capsule.in.ring;

	crash->nr = 1;
	for (i = 0; i < CRASHES; i++, at += (off_t)sizeof(row)) {
		if (pread(capsule.in.state_fd, &row, sizeof(row), at) !=
		    (ssize_t)sizeof(row) || !state_crash_whole(&row))
			continue;
		state_fit(&before, sizeof(before), row.data, row.len);
		if (before.nr >= crash->nr)
			crash->nr = before.nr + 1;
		if (before.novice == 0 && before.mono_ms <= crash->mono_ms &&
		    before.mono_ms > crash->mono_ms - GUARD_MS)
			recent++;
	}
	return recent;
}

static void
record(const struct crash_saved *crash)
{
	struct state_crash	 row;
	off_t			 at;

	state_crash_write(&row, crash, sizeof(*crash));
	at = capsule.in.ring + (off_t)(crash->nr % CRASHES * sizeof(row));
	if (pwrite(capsule.in.state_fd, &row, sizeof(row), at) == -1) {
		/* It is lost; what matters is to go on. */
	}
}

static _Unwind_Reason_Code
note_frame(struct _Unwind_Context *context, void *arg)
{
	struct crash_saved	*crash = arg;
	uintptr_t		 at = _Unwind_GetIP(context);

	if (at == 0 || crash->nframes == CRASH_FRAMES)
		return _URC_END_OF_STACK;
	crash->frames[crash->nframes++] = (uint64_t)at -
	    (uint64_t)(uintptr_t)load_base;
	return _URC_NO_REASON;
}

static void
trace(struct crash_saved *crash)
{
	/* It follows what the fault may have spoilt: it may fault, too. */
	mask_faults(SIG_UNBLOCK);
	crash->nframes = 0;
	_Unwind_Backtrace(note_frame, crash);
	mask_faults(SIG_BLOCK);
}

/*
 * A twin that dies of the fault in our place, so that the core shows it. True
 * in the twin.
 */
static bool
fork_twin(struct crash_saved *crash)
{
	pid_t	 pid = _Fork();

	if (pid == 0) {
		close_range(3, ~0U, 0);
		return true;
	}
	if (pid > 0)
		crash->twin = (int32_t)pid;
	return false;
}

/* ---- the next image */

static void
become(bool give_up)
{
	char	**envp = give_up ? capsule.in.on_give_up :
		    capsule.in.on_crash;

	if (capsule.in.keeps != NULL)
		keep_expose_rows(capsule.in.keeps);
	else
		keep_expose();
	fcntl(capsule.in.state_fd, F_SETFD, 0);
	syscall(SYS_execveat, capsule.in.binary, "", capsule.in.argv, envp,
	    AT_EMPTY_PATH);
	if (capsule.in.binary == capsule.in.own)
		execve("/proc/self/exe", capsule.in.argv, envp);
}

static bool
concerns_us(int signo, const siginfo_t *info)
{
	/* A child that has our memory, like that of vfork(2), comes here, too. */
	if ((pid_t)syscall(SYS_getpid) != capsule.in.pid || !capsule.in.armed)
		return false;
	/* Who aborts us wants our end: a service manager goes on to KILL. */
	return signo != SIGABRT || info->si_code > 0 ||
	    info->si_pid == capsule.in.pid;
}

void
heal_on_fault(int signo, siginfo_t *info, void *context)
{
	static struct crash_saved	 crash;
	static bool			 give_up;

	(void)context;
	if (!concerns_us(signo, info)) {
		die(signo, info);
		return;
	}
	if (!inside) {
		inside = 1;
		describe(&crash, signo, info);
		give_up = number(&crash) >= GUARD_MAX && !is_novice();
		record(&crash);
		if (capsule.in.core) {
			if (fork_twin(&crash)) {
				die(signo, info);
				return;
			}
			record(&crash);
		}
		trace(&crash);
		record(&crash);
		/* The last thing that was done, and not told of yet. */
		log_rescue(log_rescue_fd());
	}
	become(give_up);
	die(signo, info);
}
