#ifndef MUSTER_ACKS_H
#define MUSTER_ACKS_H

#include <sys/types.h>

#include "common/err.h"

struct event_base;

/*
 * Readiness as einhorn's workers tell it: they connect to EINHORN_SOCK_PATH
 * and send the line {"command":"worker:ack","pid":N}. Each worker has a
 * socket of its own, in a folder that this master makes when the first is
 * needed and removes at its end. Who connects is judged as in mailbox.h; what
 * the line says of pids is not believed. A line has 1 KiB and 5 s, and four
 * connections a socket are heard at a time. As with einhorn, the only answer
 * is that the connection is closed.
 */
struct acks;		/* all of them */
struct ack;		/* one worker's */
typedef void	 acks_fn(void *arg, pid_t worker);

struct acks	*acks_new(struct event_base *base, int priority, acks_fn *said,
		    void *arg);
void		 acks_free(struct acks *acks);

/*
 * Before the spawn; only uid, which the worker will have, and root can
 * connect. Nothing is heard until it is owned. NULL with err.
 */
struct ack	*ack_open(struct acks *acks, uid_t uid, struct err *err);
const char	*ack_path(const struct ack *ack);
void		 ack_own(struct ack *ack, pid_t worker);
/* Removes the socket, too. Also from within said. */
void		 ack_close(struct ack *ack);

/*
 * To outlive an exec of the master. fd has to show a path that this process
 * has made; with NULL it stays the caller's.
 */
int		 ack_fd(const struct ack *ack);
struct ack	*ack_restore(struct acks *acks, int fd, pid_t worker,
		    uid_t uid, struct err *err);

#endif
