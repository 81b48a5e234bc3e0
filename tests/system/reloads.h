#ifndef MUSTER_RELOADS_H
#define MUSTER_RELOADS_H

#include "tests/exact/exact.h"
#include "tests/system/rig.h"

/*
 * What the tests of reload share: a configuration file in the test's folder,
 * rewritten and reloaded, and load that counts every loss.
 */

/* The file, rewritten: printf(3)'s; "@MIS@" is the fixture. */
void	 reload_write(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/* Write it, start with it; with a --bind of the rig if it has none. */
void	 reload_start(struct rig *r, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* HUP, and its end. */
void	 reload_succeeds(struct rig *r);
/* Its line. Static text, until the rig's next read. */
const char	*reload_fails(struct rig *r);

/* The generation that the newest worker of a slot is of. */
int	 reload_generation(struct rig *r, int slot);

/* Clients that count; reload_unload() fails the test on any loss. */
struct exact	*reload_load(const char *addr, bool keep_alive);
void	 reload_unload(struct exact *exact, const char *when);
/* Until they have had so many answers more. */
void	 reload_answered(const struct exact *exact, uint64_t count);

/* An echo, on a connection of its own. */
void	 reload_serves(struct rig *r);
bool	 reload_is_gone(pid_t pid);

#endif
