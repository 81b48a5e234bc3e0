#ifndef MUSTER_HEAL_H
#define MUSTER_HEAL_H

#include <stdbool.h>

#include "common/err.h"

/*
 * A master that crashes (SEGV, BUS, FPE, ILL, or its own ABRT) becomes a fresh
 * image of itself in the same pid, which restores all from the mirror. The
 * crash handler uses async-signal-safe calls alone, and data on pages that are
 * read-only, so that the fault itself cannot have spoilt them. The fourth
 * crash within a minute asks its successor to give up.
 */

/* How this image came to be: MUSTER_STATE=FD:HOW[:FD], for "back" FD:HOW:WHY,
 * in the environment. */
enum heal_how {
	HEAL_FRESH,		/* started by somebody */
	HEAL_CRASH,		/* after a crash */
	HEAL_GIVE_UP,		/* after too many: drain, and exit 70 */
	HEAL_UPGRADE,		/* another image was here, and wished it */
	HEAL_BACK,		/* we were here before; the upgrade failed */
	HEAL_TRIAL,		/* only a try: answer on reply_fd, and end */
	HEAL_HOWS
};

struct heal_origin {
	enum heal_how	 how;
	int		 state_fd;	/* the caller's now; -1: fresh */
	int		 reply_fd;	/* the caller's; of a trial, else -1 */
	int		 back_fd;	/* the caller's; the old image of an upgrade */
	const char	*why;		/* of HEAL_BACK; "": it crashed */
	char		 warning[128];	/* "": none; it was forged, and how */
};

/*
 * The very first thing in main(), once there are standard streams: keeps
 * copies of argv and the environment (without MUSTER_STATE, which it removes)
 * and a descriptor of the binary.
 * After an exec it lets fault signals in (all others stay blocked until
 * sigq_reopen()) and arms the handler: a crash before heal_arm() begins anew
 * from the old state, after an upgrade with the old image. -1 with err: there
 * is no healing.
 */
int		 heal_first(int argc, char **argv, struct err *err);

/*
 * How were we started? A state that is not ours is a fresh start, but for a
 * trial, which stays one. state_fd has to stay open until heal_arm(), back_fd,
 * too.
 */
struct heal_origin heal_origin(void);

struct mirror;

struct heal_options {
	struct mirror	*mirror;	/* complete: this is the state now */
	bool		 core;		/* a twin dumps core, if limits allow */
};

/*
 * From now on a crash continues from this mirror; before sigq_reopen(), so
 * that no signal is counted in vain. Does nothing in builds with a sanitizer,
 * which wants the crash itself, but with MUSTER_HEAL=1 in the environment, and
 * nothing in an image that is to give up. May be called again. -1 with err.
 */
int		 heal_arm(const struct heal_options *options,
		    struct err *err);
/* Crashes end us as they do by default; before the mirror is freed. */
void		 heal_disarm(void);
/* In a forked child: default dispositions. Async-signal-safe. */
void		 heal_forget(void);

/*
 * Before heal_arm(): as the environment is now, so the next image has it. A
 * daemon is not the process that the one it was given names. -1 with err.
 */
int		 heal_renew_environ(struct err *err);

/* As they were at the start, on read-only pages; NULL-terminated. */
char *const	*heal_argv(void);
char *const	*heal_environ(void);
/*
 * The program's path, which an upgrade executes: by which the first image was
 * started, so that a symbolic link on the way may lead to another one by then;
 * if that is not known, what we are (proc_pid_exe(5)), or "". After an exec it
 * has to be set from the setup: how we were started says nothing any more.
 */
const char	*heal_path(void);
void		 heal_set_path(const char *path);

/*
 * For upgrade.c: become the image at path, with MUSTER_STATE=state_fd:upgrade
 * and the original environment, or that of the descriptor binary, with
 * :back:why. Return only on failure: -1 with errno, all as before. Without
 * some descriptors to spare, which a new image needs, it is EMFILE.
 */
int		 heal_exec(const char *path, int state_fd);
int		 heal_exec_back(int binary, int state_fd, const char *why);
/* The environment for a trial; freed with free(). */
char		**heal_trial_environ(int state_fd, int reply_fd);

#endif
