#ifndef MUSTER_INBOX_H
#define MUSTER_INBOX_H

#include <sys/types.h>

#include "common/err.h"

struct event_base;
struct notify;

/*
 * What app workers say (notify.h), over one socketpair that they all hold the
 * other end of. The kernel vouches for the sender's pid (unix(7),
 * SO_PASSCRED); nothing else in a message is believed of anybody but its
 * sender. Any bytes, any number of messages and any descriptors passed along
 * are survived: at most 64 messages a turn, below the signals' priority. A
 * worker that shuts the channel down makes a new one for those to come.
 */
struct inbox;
typedef void	 inbox_fn(void *arg, pid_t sender, const struct notify *said);
/* Called after each turn's last message. */
typedef void	 inbox_done_fn(void *arg);

/* fds: a pair from before, ours from now on; NULL: make one. NULL with err. */
struct inbox	*inbox_new(struct event_base *base, int priority,
		    const int *fds, inbox_fn *said, inbox_done_fn *done,
		    void *arg, struct err *err);
void		 inbox_free(struct inbox *inbox);

/* Read what is there now, so many at most: a dead worker's last words. */
void		 inbox_read(struct inbox *inbox, int most);

/* Both ends, to outlive an exec. Borrowed. */
const int	*inbox_fds(const struct inbox *inbox);

/* The workers' end, for worker_boot. Borrowed. */
int		 inbox_worker_fd(const struct inbox *inbox);

#endif
