#include "master/heal.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/mem.h"
#include "master/crash.h"
#include "master/heal_priv.h"
#include "master/mirror.h"
#include "master/sigq.h"
#include "master/state.h"

#define STACK_SIZE	((size_t)65536)
#define SPARE_FDS	3

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED	true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED	true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED	false
#endif

/* ---- the handler */

static bool
asked_for(void)
{
	const char	*value = getenv("MUSTER_HEAL");

	return value != NULL && strcmp(value, "1") == 0;
}

static bool
allowed(void)
{
	return !SANITIZED || asked_for();
}

/* A stack of its own: that of the fault may be at its end. */
static int
own_stack(struct err *err)
{
	static char	*stack;
	size_t		 page = (size_t)sysconf(_SC_PAGESIZE);
	stack_t		 ss = { .ss_size = STACK_SIZE };

	if (stack != NULL)
		return 0;
	stack = mmap(NULL, STACK_SIZE + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED) {
		stack = NULL;
		return err_sys(err, "no stack for the crash handler");
	}
	ss.ss_sp = stack + page;
	if (mprotect(stack, page, PROT_NONE) == -1 ||
	    sigaltstack(&ss, NULL) == -1)
		return err_sys(err, "no stack for the crash handler");
	return 0;
}

static int
install(struct err *err)
{
	struct sigaction	 action = { .sa_sigaction = heal_on_fault,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };
	size_t			 i;

	if (own_stack(err) == -1)
		return -1;
	/* All: the mask goes over the exec, so that no signal is lost. */
	sigfillset(&action.sa_mask);
	for (i = 0; i < SIGQ_FAULTS; i++)
		if (sigaction(sigq_faults[i], &action, NULL) == -1)
			return err_sys(err, "cannot handle crashes");
	return 0;
}

static void
state_text(char *to, int state_fd, enum heal_how how)
{
	snprintf(to, CAPSULE_STATE, HEAL_VARIABLE "=%d:%s", state_fd,
	    heal_how_names[how]);
}

static int
arm(int state_fd, off_t ring, const struct keep_row *keeps, bool core,
    struct err *err)
{
	struct capsule	*c;

	if (install(err) == -1)
		return -1;
	c = capsule_open();
	c->pid = getpid();	/* another one after daemon(3) */
	c->state_fd = state_fd;
	c->ring = ring;
	c->keeps = keeps;
	c->core = core;
	c->binary = c->own;
	state_text(c->crash_text, state_fd, HEAL_CRASH);
	state_text(c->give_up_text, state_fd, HEAL_GIVE_UP);
	/* A new image that crashes in its restore was no good one. */
	if (keeps == NULL && heal_origin().back_fd != -1) {
		c->binary = heal_origin().back_fd;
		state_text(c->crash_text, state_fd, HEAL_BACK);
	}
	c->armed = true;
	capsule_close();
	return 0;
}

int
heal_arm(const struct heal_options *options, struct err *err)
{
	struct rlimit	 limit = { 0, 0 };
	bool		 core;

	if (!allowed() || heal_origin().how == HEAL_GIVE_UP ||
	    capsule.in.own == -1)
		return 0;
	core = options->core && getrlimit(RLIMIT_CORE, &limit) == 0 &&
	    limit.rlim_cur > 0;
	return arm(mirror_fd(options->mirror),
	    mirror_crash_at(options->mirror), mirror_keeps(options->mirror),
	    core, err);
}

void
heal_forget(void)
{
	size_t	 i;

	for (i = 0; capsule.in.armed && i < SIGQ_FAULTS; i++)
		signal(sigq_faults[i], SIG_DFL);
}

void
heal_disarm(void)
{
	if (!capsule.in.armed)
		return;
	heal_forget();
	capsule_open()->armed = false;
	capsule_close();
}

/* ---- the start */

static int
after_exec(struct err *err)
{
	sigset_t	 faults;
	off_t		 ring = heal_ring_of(heal_origin().state_fd);
	int		 status = 0;
	size_t		 i;

	/* With more crashes than it may have it just ends. */
	if (ring != -1 && heal_origin().how != HEAL_GIVE_UP && allowed())
		status = arm(heal_origin().state_fd, ring, NULL, false, err);
	sigemptyset(&faults);
	for (i = 0; i < SIGQ_FAULTS; i++)
		sigaddset(&faults, sigq_faults[i]);
	sigprocmask(SIG_UNBLOCK, &faults, NULL);
	return status;
}

int
heal_first(int argc, char **argv, struct err *err)
{
	struct capsule	*c;

	/* After an exec by descriptor it is that one's number. */
	prctl(PR_SET_NAME, "muster");
	if (capsule_make(argc, argv, environ, err) == -1)
		return -1;
	heal_find_origin();
	heal_find_path(argc > 0 ? argv[0] : NULL);
	c = capsule_open();
	c->own = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	capsule_close();
	if (heal_origin().how != HEAL_FRESH && heal_origin().how != HEAL_TRIAL &&
	    after_exec(err) == -1)
		return -1;
	if (capsule.in.own == -1)
		return err_sys(err, "cannot open our own program");
	return 0;
}

int
heal_renew_environ(struct err *err)
{
	return capsule_make(0, capsule.in.argv, environ, err);
}

char *const *
heal_argv(void)
{
	return capsule.in.argv;
}

char *const *
heal_environ(void)
{
	return capsule.in.on_crash + 1;
}

/* ---- another image by wish */

/* The environment with this variable before it; freed with free(). */
static char **
environ_with(char *variable)
{
	char *const	*from = heal_environ();
	char		**to;
	size_t		 n = 0;

	while (from[n] != NULL)
		n++;
	to = xcalloc(n + 2, sizeof(*to));
	to[0] = variable;
	memcpy(to + 1, from, n * sizeof(*to));
	return to;
}

char **
heal_trial_environ(int state_fd, int reply_fd)
{
	static char	 variable[CAPSULE_STATE];

	snprintf(variable, sizeof(variable), HEAL_VARIABLE "=%d:%s:%d",
	    state_fd, heal_how_names[HEAL_TRIAL], reply_fd);
	return environ_with(variable);
}

/*
 * Are there some to spare, as there were for the trial? The linker of the new
 * image, which opens libraries, ends the process when there is none.
 */
static bool
has_spare_fds(void)
{
	int	 fds[SPARE_FDS], n = 0, saved;

	while (n < SPARE_FDS &&
	    (fds[n] = fcntl(capsule.in.own, F_DUPFD_CLOEXEC, 0)) != -1)
		n++;
	saved = errno;
	if (n == SPARE_FDS)
		saved = 0;
	while (n-- > 0)
		close(fds[n]);
	errno = saved;
	return saved == 0;
}

/* Path NULL: that of the descriptor. -1 with errno. */
static int
become(const char *path, int binary, int state_fd, char *variable)
{
	char		**envp = environ_with(variable);
	sigset_t	  old;
	int		  saved;

	sigq_block(&old);
	keep_expose();
	fd_cloexec(state_fd, false);
	if (path != NULL) {
		fd_cloexec(capsule.in.own, false);
		execve(path, capsule.in.argv, envp);
	} else
		syscall(SYS_execveat, binary, "", capsule.in.argv, envp,
		    AT_EMPTY_PATH);
	saved = errno;
	fd_cloexec(capsule.in.own, true);
	fd_cloexec(state_fd, true);
	keep_hide();
	sigq_unblock(&old);
	free(envp);
	errno = saved;
	return -1;
}

int
heal_exec(const char *path, int state_fd)
{
	char	 variable[CAPSULE_STATE];

	if (!has_spare_fds())
		return -1;
	snprintf(variable, sizeof(variable), HEAL_VARIABLE "=%d:%s:%d",
	    state_fd, heal_how_names[HEAL_UPGRADE], capsule.in.own);
	return become(path, -1, state_fd, variable);
}

int
heal_exec_back(int binary, int state_fd, const char *why)
{
	char	 variable[CAPSULE_STATE + sizeof(((struct err *)0)->text)];

	snprintf(variable, sizeof(variable), HEAL_VARIABLE "=%d:%s:%s",
	    state_fd, heal_how_names[HEAL_BACK], why);
	return become(NULL, binary, state_fd, variable);
}
