#include "master/inbox.h"

#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/notify.h"
#include "master/dgram.h"
#include "master/keep.h"

#define MESSAGES_A_TURN	64
/* Room for what thousands of workers say at once: one that finds it full has
 * to be woken again, and all that wait are. */
#define ROOM		(4 * 1024 * 1024)

struct inbox {
	struct event_base *base;
	int		 priority;
	int		 fds[2];	/* ours, the workers' */
	struct event	*readable;
	inbox_fn	*said;
	inbox_done_fn	*done;
	void		*arg;
};

static int	open_pair(struct inbox *, struct err *);
static void	close_pair(struct inbox *);

/*
 * A worker has shut the end that all of them share: those who have it are
 * silent from now on, those to come get another.
 */
static void
start_anew(struct inbox *inbox)
{
	struct err	 err = { "a worker shut the workers' channel" };

	close_pair(inbox);
	if (open_pair(inbox, &err) == 0)
		log_event(EV_LOOP_NOTE, log_str("msg",
		    "a worker shut the workers' channel: it was made anew"));
	else
		log_event(EV_LOOP_NOTE, log_str("msg", err.text));
}

static bool
read_one(struct inbox *inbox)
{
	char		 text[NOTIFY_MAX];
	struct notify	 notify;
	struct dgram	 got;

	if (!dgram_read(inbox->fds[0], text, sizeof(text), &got))
		return false;
	if (got.pid <= 0) {
		if (got.len > 0)
			return true;
		start_anew(inbox);
		return false;
	}
	notify_parse(text, got.len, &notify);
	inbox->said(inbox->arg, got.pid, &notify);
	return true;
}

void
inbox_read(struct inbox *inbox, int most)
{
	while (most-- > 0 && read_one(inbox))
		;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct inbox	*inbox = arg;

	(void)fd;
	(void)what;
	inbox_read(inbox, MESSAGES_A_TURN);
	inbox->done(inbox->arg);
}

static int
watch_pair(struct inbox *inbox, struct err *err)
{
	keep_add(inbox->fds[0], KEEP_INBOX);
	keep_add(inbox->fds[1], KEEP_INBOX);
	inbox->readable = event_new(inbox->base, inbox->fds[0],
	    EV_READ | EV_PERSIST, on_readable, inbox);
	if (inbox->readable == NULL ||
	    event_priority_set(inbox->readable, inbox->priority) == -1 ||
	    event_add(inbox->readable, NULL) == -1)
		return err_set(err, "cannot watch the workers' socket pair");
	return 0;
}

static int
open_pair(struct inbox *inbox, struct err *err)
{
	int	 on = 1, room = ROOM;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, inbox->fds) == -1)
		return err_sys(err, "cannot make the workers' socket pair");
	if (setsockopt(inbox->fds[0], SOL_SOCKET, SO_PASSCRED, &on,
	    sizeof(on)) == -1)
		return err_sys(err, "cannot ask for senders' credentials");
	/* As much as the system allows; without privilege it may be less. */
	if (setsockopt(inbox->fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &room,
	    sizeof(room)) == -1)
		setsockopt(inbox->fds[1], SOL_SOCKET, SO_SNDBUF, &room,
		    sizeof(room));
	return watch_pair(inbox, err);
}

static void
close_pair(struct inbox *inbox)
{
	int	 i;

	if (inbox->readable != NULL)
		event_free(inbox->readable);
	inbox->readable = NULL;
	for (i = 0; i < 2; i++) {
		keep_drop(inbox->fds[i]);
		if (inbox->fds[i] != -1)
			close(inbox->fds[i]);
		inbox->fds[i] = -1;
	}
}

struct inbox *
inbox_new(struct event_base *base, int priority, const int *fds,
    inbox_fn *said, inbox_done_fn *done, void *arg, struct err *err)
{
	struct inbox	*inbox = xcalloc(1, sizeof(*inbox));
	int		 result;

	*inbox = (struct inbox){ .base = base, .priority = priority,
	    .fds = { -1, -1 }, .said = said, .done = done, .arg = arg };
	if (fds == NULL) {
		result = open_pair(inbox, err);
	} else {
		memcpy(inbox->fds, fds, sizeof(inbox->fds));
		result = watch_pair(inbox, err);
	}
	if (result == 0)
		return inbox;
	/* Those that were given stay the caller's. */
	if (fds != NULL)
		inbox->fds[0] = inbox->fds[1] = -1;
	inbox_free(inbox);
	return NULL;
}

void
inbox_free(struct inbox *inbox)
{
	if (inbox == NULL)
		return;
	close_pair(inbox);
	free(inbox);
}

const int *
inbox_fds(const struct inbox *inbox)
{
	return inbox->fds;
}

int
inbox_worker_fd(const struct inbox *inbox)
{
	return inbox->fds[1];
}
