#ifndef MUSTER_MANAGER_H
#define MUSTER_MANAGER_H

#include <stdbool.h>

struct rig;

/*
 * A service manager as far as muster sees one: a datagram socket in
 * NOTIFY_SOCKET, and variables that name the pid of who is started. One a
 * test.
 */

/* Set NOTIFY_SOCKET for all that is started from here on. abstract: "@..." */
void	 manager_open(bool abstract);
/* It goes, its name included; it comes back under that. */
void	 manager_gone(void);
void	 manager_back(void);
/* So many datagrams of somebody else that its queue takes no more. */
void	 manager_fill(void);

/*
 * Of the next start: set VARIABLE to the pid of the process that is started
 * ("LISTEN_PID", "WATCHDOG_PID"), at most two. It uses the rig's child.
 */
void	 manager_name_pid(struct rig *r, const char *variable);

/*
 * What it was told so far, in order: how many messages that begin so there
 * are; where the nth message with that begin is (from 0), or -1; its text.
 */
int		 manager_count(const char *begin);
int		 manager_at(const char *begin, int nth);
const char	*manager_text(int at);
/* Wait for the first such message; where it is. */
int		 manager_await(struct rig *r, const char *begin);
/*
 * What it keeps (FDSTORE=1), as systemd does: each socket once, until it is
 * told otherwise. How many; where the one is whose name ends so, or -1. The
 * next start is passed all of them, the last one first.
 */
int		 manager_kept(void);
int		 manager_kept_at(const char *end);
void		 manager_pass_kept(struct rig *r);

/* Start counting anew: all until now is forgotten. */
void		 manager_forget(void);

#endif
