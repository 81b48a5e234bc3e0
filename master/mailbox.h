#ifndef MUSTER_MAILBOX_H
#define MUSTER_MAILBOX_H

#include <sys/types.h>

#include "common/err.h"

struct event_base;
struct notify;

/*
 * What programs say (notify.h): each worker has a datagram address of its own,
 * for its NOTIFY_SOCKET. Heard is who has the worker's uid, root's or ours
 * and is the worker, of its process group, its descendant, or gone already,
 * as systemd-notify(1) is by then; all by the kernel's word. Everything else
 * is dropped, and told of once a worker. Descriptors passed along are closed,
 * which answers BARRIER=1. Any bytes and any number of messages are survived:
 * so many are read a turn, and what waits is bounded by the kernel
 * (net.unix.max_dgram_qlen), where the sender waits, too.
 */
struct mailroom;	/* all of them */
struct mailbox;		/* one worker's */
typedef void	 mailbox_fn(void *arg, pid_t worker,
		    const struct notify *said);

/* done is called after each turn's last message. NULL with err. */
struct mailroom	*mailroom_new(struct event_base *base, int priority,
		    mailbox_fn *said, void (*done)(void *), void *arg,
		    struct err *err);
void		 mailroom_free(struct mailroom *room);

/* Before the spawn; nothing is read until it is owned. NULL with err. */
struct mailbox	*mailbox_open(struct mailroom *room, struct err *err);
/* "@muster/...", not to be guessed. Borrowed. */
const char	*mailbox_address(const struct mailbox *box);
/* Whose it is; uid is the one that the worker runs as. */
void		 mailbox_own(struct mailbox *box, pid_t worker, uid_t uid);
/* The worker's, or the one of that address; NULL: there is none. */
struct mailbox	*mailbox_of(struct mailroom *room, pid_t worker);
struct mailbox	*mailbox_at(struct mailroom *room, const char *address);
/* Read what is there now, so many at most: a dead worker's last words. */
void		 mailbox_read(struct mailbox *box, int most);
/* Also from within said. */
void		 mailbox_close(struct mailbox *box);

/* To outlive an exec of the master: the descriptor, and the way back. */
int		 mailbox_fd(const struct mailbox *box);
/*
 * fd is believed only what it shows by itself: a datagram address that this
 * process has made. It is the mailbox's then; with NULL it stays the caller's.
 */
struct mailbox	*mailbox_restore(struct mailroom *room, int fd, pid_t worker,
		    uid_t uid, struct err *err);

#endif
