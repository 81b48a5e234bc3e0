#ifndef MUSTER_DAEMON_H
#define MUSTER_DAEMON_H

#include "common/err.h"

/*
 * Into the background, in the manner of daemon(7): the process that the user
 * started stays until the background one says how its start went.
 */
struct daemon_parent;

/*
 * Fork and setsid(2). Returns in the child, with what daemon_ready() takes;
 * the parent waits there and exits with the child's verdict: 0 once
 * daemon_ready() was called, else the child's exit code (71 if a signal ended
 * it). NULL with err when it could not fork.
 */
struct daemon_parent	*daemon_start(struct err *err);

/*
 * Its descriptor, to outlive an exec; and the way back, after keep_check().
 * NULL, -1: none. It was told already if the descriptor is not kept any more:
 * a crash may come before that is written down.
 */
int			 daemon_fd(const struct daemon_parent *parent);
struct daemon_parent	*daemon_restore(int fd);

/* Let the parent exit with 0, and put /dev/null on 0, 1 and 2. */
void			 daemon_ready(struct daemon_parent *parent);

/* Let go of the parent, who now waits for our exit code alone. NULL allowed. */
void			 daemon_free(struct daemon_parent *parent);

#endif
