#ifndef MUSTER_ANEW_H
#define MUSTER_ANEW_H

#include <stdbool.h>

#include "tests/fixtures/shim.h"
#include "tests/system/rig.h"

/*
 * For masters that become another image: a copy of the program in the test's
 * folder, which can be replaced while it runs, and a look at what has to be
 * as it was afterwards.
 */

/* A file that was built beside the test: "muster-next", "mis". Static. */
const char	*anew_built(const char *name);

/*
 * Put a program where the next rig_start() takes it from, by rename(2): the
 * one under test (NULL), or one built beside us.
 */
#define ANEW_NEXT	"muster-next"	/* version 9.9.9 */
#define ANEW_ALIEN	"muster-alien"	/* 8.8.8; cannot read our state */
const char	*anew_install(const char *name);
/* The same with a shell script of these lines. */
void		 anew_install_script(const char *lines);

/* USR2 and wait until it is over, app workers included, in this version. */
void		 anew_upgrade(struct rig *r, const char *version);
/* USR2, which has to fail with these words, and changes nothing. */
void		 anew_upgrade_fails(struct rig *r, const char *text);

/* A crash, and wait until it is healed. */
void		 anew_crash(struct rig *r, int signo);

/* What was before, and whether it still is so (fails the test). */
struct anew {
	pid_t	 workers[RIG_MAX];
	int	 count, fds;
};
void		 anew_look(struct rig *r, struct anew *before);
void		 anew_expect_same(struct rig *r, const struct anew *before);

/*
 * All is well with this many app workers: they are ours, ready and no
 * others, clients are answered, no zombie stays, no signal is blocked.
 */
void		 anew_expect_well(struct rig *r, int workers);
/* TTIN, TTOU, CHLD, USR1, SIGRTMIN+1, HUP still do what they do. */
void		 anew_expect_signals(struct rig *r, int workers);

/*
 * strace(1) at the master, with its --inject; kill() the pid to end that.
 * Skips where there is none.
 */
pid_t		 anew_trace(struct rig *r, const char *inject);

/* Map a file for shim.so; the next start has it. Skips with a sanitizer. */
struct shim	*anew_shim(void);

#endif
