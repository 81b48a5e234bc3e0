#include "worker/accept.h"

#include <sys/socket.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/beat.h"
#include "worker/conn.h"
#include "worker/turns.h"

#define ACCEPT_BATCH	16	/* a wake-up; then others have their turn */
#define PAUSE_MS	100
#define PAUSE_LOG_MS	1000	/* at most one line in this time */

struct listener {
	struct event		 event;
	struct acceptor		*acceptor;
	const struct inherited	*socket;
	int			 fd;		/* -1: closed, while draining */
	int			 left;		/* while draining */
	bool			 waits;		/* its event is added */
	bool			 by_turns;
	bool			 shut;		/* nobody can connect now */
	uint64_t		 data;		/* for turns_tail() */
};

struct acceptor {
	struct acceptor_options	 options;
	struct listener		*listeners;
	bool			 full;		/* at the limit */
	bool			 starved;	/* no descriptor or memory */
	bool			 draining;
	int			 reserve;	/* see starve(); -1: spent */
	struct event		 retry;
	int64_t			 logged_ms;
};

enum outcome { GOT, NEXT, NONE, STARVED, SHUT };

/* ---- waiting for connections, plainly or by turns */

static void	stop_waiting(struct listener *);

static void
plain(struct listener *listener, const char *msg)
{
	listener->by_turns = false;
	log_event(EV_ACCEPT_MODE, log_str("addr", listener->socket->text),
	    log_str("msg", msg));
}

/* To the tail of the kernel's queue, exclusively. */
static void
take_turns(struct listener *listener)
{
	if (!listener->by_turns)
		return;
	if (turns_tail(listener->acceptor->options.epoll_fd, listener->fd,
	    listener->data) == 0)
		return;
	plain(listener, "lost its place in the kernel's queue");
	stop_waiting(listener);
	listener->waits = event_add(&listener->event, NULL) == 0;
}

static void
start_waiting(struct listener *listener)
{
	if (listener->waits || listener->shut || listener->fd == -1)
		return;
	if (event_add(&listener->event, NULL) == -1) {
		log_event(EV_LOOP_NOTE,
		    log_str("msg", "cannot wait for connections"),
		    log_errno());
		return;
	}
	listener->waits = true;
	take_turns(listener);
}

static void
stop_waiting(struct listener *listener)
{
	if (!listener->waits)
		return;
	event_del(&listener->event);
	listener->waits = false;
}

static void
start_all(struct acceptor *acceptor)
{
	size_t	 i;

	for (i = 0; i < acceptor->options.nsockets; i++)
		start_waiting(&acceptor->listeners[i]);
}

static void
stop_all(struct acceptor *acceptor)
{
	size_t	 i;

	for (i = 0; i < acceptor->options.nsockets; i++)
		stop_waiting(&acceptor->listeners[i]);
}

/* ---- pausing */

static bool
reserve_fill(struct acceptor *acceptor)
{
	if (acceptor->reserve == -1)
		acceptor->reserve = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return acceptor->reserve != -1;
}

static void
log_paused(struct acceptor *acceptor, const char *addr, int error)
{
	int64_t	 now_ms = clock_now_ms();

	if (acceptor->logged_ms != 0 &&
	    now_ms < acceptor->logged_ms + PAUSE_LOG_MS)
		return;
	acceptor->logged_ms = now_ms;
	errno = error;
	log_event(EV_ACCEPT_PAUSED, log_str("addr", addr),
	    log_ms("for", PAUSE_MS), log_errno());
}

static void
pause_starved(struct acceptor *acceptor)
{
	static const struct timeval	 tv = { .tv_usec = PAUSE_MS * 1000 };

	acceptor->starved = true;
	stop_all(acceptor);
	evtimer_add(&acceptor->retry, &tv);
}

/* Go on if nothing speaks against it any more. */
static void
resume(struct acceptor *acceptor)
{
	if (acceptor->draining || acceptor->full || acceptor->starved)
		return;
	start_all(acceptor);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor	*acceptor = arg;

	(void)fd;
	(void)what;
	acceptor->starved = false;
	if (!reserve_fill(acceptor)) {
		log_paused(acceptor, NULL, errno);
		pause_starved(acceptor);
		return;
	}
	resume(acceptor);
}

static bool
at_limit(const struct acceptor *acceptor)
{
	return acceptor->options.limit > 0 &&
	    beat_active(acceptor->options.beat) >= acceptor->options.limit;
}

/* At once, not when the next one comes: its wake-up is for another worker. */
static void
check_limit(struct acceptor *acceptor)
{
	if (at_limit(acceptor)) {
		acceptor->full = true;
		stop_all(acceptor);
	}
}

void
acceptor_room(struct acceptor *acceptor)
{
	if (acceptor->draining)
		return;
	if (acceptor->full && !at_limit(acceptor)) {
		acceptor->full = false;
		resume(acceptor);
	}
	if (acceptor->starved && reserve_fill(acceptor)) {
		acceptor->starved = false;
		evtimer_del(&acceptor->retry);
		resume(acceptor);
	}
}

/* ---- accepting */

static enum outcome
judge(int error)
{
	switch (error) {
	case EAGAIN:
		return NONE;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return STARVED;
	case EINVAL:		/* a Unix socket that was shut down */
		return SHUT;
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:		/* a packet filter's word */
	case ENETDOWN:		/* these are the connection's: accept(2) */
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return NEXT;
	}
	return STARVED;		/* unknown; at least do not spin */
}

static enum outcome
accept_one(struct listener *listener)
{
	int	 fd;

	fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return judge(errno);
	conns_add(listener->acceptor->options.conns, fd);
	return GOT;
}

/*
 * The wake-up for this connection went to us and to nobody else: if we left
 * it in the queue, it might wait there while another worker has room. One
 * descriptor is held in reserve for it; then comes the pause.
 */
static enum outcome
starve(struct listener *listener, int error)
{
	struct acceptor	*acceptor = listener->acceptor;
	enum outcome	 outcome = STARVED;

	log_paused(acceptor, listener->socket->text, error);
	if (acceptor->reserve != -1) {
		close(acceptor->reserve);
		acceptor->reserve = -1;
		outcome = accept_one(listener);
	}
	if (!acceptor->draining)
		pause_starved(acceptor);
	return outcome;
}

/*
 * A Unix socket that was shut down (abstract ones, at the last stop) stays
 * readable, with nothing to accept: waiting for it would spin.
 */
static bool
was_shut(const struct listener *listener)
{
	struct pollfd	 poll_fd = { .fd = listener->fd, .events = POLLRDHUP };

	return strncmp(listener->socket->text, "unix:", 5) == 0 &&
	    poll(&poll_fd, 1, 0) == 1;
}

static void
accept_batch(struct listener *listener, int batch)
{
	struct acceptor	*acceptor = listener->acceptor;
	enum outcome	 outcome = NEXT;
	bool		 got = false;

	while (batch-- > 0 && (outcome == GOT || outcome == NEXT) &&
	    !acceptor->starved && !acceptor->full) {
		outcome = accept_one(listener);
		if (outcome == STARVED)
			outcome = starve(listener, errno);
		got |= outcome == GOT;
		check_limit(acceptor);
	}
	if (outcome == SHUT ||
	    (outcome == NONE && !got && was_shut(listener))) {
		listener->shut = true;
		stop_waiting(listener);
	} else if (got && listener->waits) {
		take_turns(listener);
	}
}

static void
on_listener(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_batch(arg, ACCEPT_BATCH);
}

void
acceptor_try(struct acceptor *acceptor)
{
	size_t	 i;

	for (i = 0; i < acceptor->options.nsockets; i++) {
		if (acceptor->listeners[i].waits)
			accept_batch(&acceptor->listeners[i], ACCEPT_BATCH);
	}
}

/* ---- the end */

static bool
listener_drain(struct listener *listener)
{
	enum outcome	 outcome = NEXT;

	while (listener->left-- > 0 && (outcome == GOT || outcome == NEXT)) {
		outcome = accept_one(listener);
		if (outcome == STARVED)
			outcome = starve(listener, errno);
	}
	if (outcome == STARVED)
		return false;
	close(listener->fd);
	listener->fd = -1;
	return true;
}

bool
acceptor_drain(struct acceptor *acceptor)
{
	bool	 all = true;
	size_t	 i;

	if (!acceptor->draining) {
		acceptor->draining = true;
		stop_all(acceptor);
		evtimer_del(&acceptor->retry);
	}
	for (i = 0; i < acceptor->options.nsockets; i++) {
		if (acceptor->listeners[i].fd != -1)
			all &= listener_drain(&acceptor->listeners[i]);
	}
	return all;
}

/* ---- the beginning */

static void
listener_init(struct listener *listener, struct acceptor *acceptor,
    const struct inherited *inherited)
{
	int	 ep = acceptor->options.epoll_fd;

	listener->acceptor = acceptor;
	listener->socket = inherited;
	listener->fd = inherited->fd;
	/* What connects while we sweep is not ours to wait for. */
	listener->left = acceptor->options.backlog + 1;
	event_assign(&listener->event, acceptor->options.base, listener->fd,
	    EV_READ | EV_PERSIST, on_listener, listener);
	start_waiting(listener);
	if (ep == -1 || !listener->waits)
		return;
	listener->by_turns = turns_known();
	listener->data = turns_data(listener->fd);
	if (!listener->by_turns)
		plain(listener, "the event loop does not work as expected");
	take_turns(listener);
}

struct acceptor *
acceptor_new(const struct acceptor_options *options)
{
	struct acceptor	*acceptor;
	size_t		 i;

	acceptor = xcalloc(1, sizeof(*acceptor));
	acceptor->options = *options;
	acceptor->reserve = -1;
	if (!reserve_fill(acceptor)) {
		free(acceptor);
		return NULL;
	}
	evtimer_assign(&acceptor->retry, options->base, on_retry, acceptor);
	acceptor->listeners = xcalloc(options->nsockets + 1,
	    sizeof(*acceptor->listeners));
	for (i = 0; i < options->nsockets; i++)
		listener_init(&acceptor->listeners[i], acceptor,
		    &options->sockets[i]);
	return acceptor;
}
