#ifndef MUSTER_HEAL_PRIV_H
#define MUSTER_HEAL_PRIV_H

#include <sys/types.h>
#include <signal.h>
#include <stdbool.h>

#include "master/heal.h"
#include "master/keep.h"

/*
 * All that the crash handler needs, on a page of its own that is read-only
 * but for the moments between capsule_open() and capsule_close(). What it
 * points to is on read-only pages, too.
 */
#define CAPSULE_PAGE	4096
#define CAPSULE_STATE	64

struct capsule {
	pid_t			 pid;
	bool			 armed, core;
	int			 state_fd;
	off_t			 ring;		/* of crashes in state_fd */
	int			 binary;	/* O_PATH; what to become */
	int			 own;		/* O_PATH; what we are */
	const struct keep_row	*keeps;		/* NULL: keep.c knows */
	char			**argv;
	char			**on_crash, **on_give_up;	/* environments */
	char			 crash_text[CAPSULE_STATE];
	char			 give_up_text[CAPSULE_STATE];
};

extern union capsule_page {
	struct capsule	 in;
	char		 bytes[CAPSULE_PAGE];
} capsule;			/* to be read; changed by way of open */

/* Copy argv and the environment, but for MUSTER_STATE. -1 with err. */
int		 capsule_make(int argc, char **argv, char **envp,
		    struct err *err);
struct capsule	*capsule_open(void);
void		 capsule_close(void);

#define HEAL_VARIABLE	"MUSTER_STATE"

/* heal_path.c: as name, our argv[0], says, if that leads to what we are. */
void		 heal_find_path(const char *name);

/* Look at the environment, for heal_origin(). */
void		 heal_find_origin(void);
extern const char *const	 heal_how_names[HEAL_HOWS];
/* Where the handler may write: -1 in a layout that it does not know. */
off_t		 heal_ring_of(int state_fd);

/* The handler of sigq_faults. */
void		 heal_on_fault(int signo, siginfo_t *info, void *context);

#endif
