#include "worker/conn.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/app.h"
#include "worker/beat.h"

#define READ_SIZE	65536	/* a turn's input of one connection */
#define DRAIN_READS	64	/* and while draining: so many times */
#define DISCARD_READS	16	/* dropped in one turn */
#define HELD_MIN	256
#define LINGER_MS	5000	/* for a peer that must read last words */
#define NEWBORN_MS	100	/* a client needs to send its first bytes */

/* Connections with the same kind of deadline, the next to be due first. */
struct conn_list {
	TAILQ_HEAD(, conn)	 head;
	int64_t			 limit_ms;	/* 0: no deadline */
	const char		*why;
	struct event		 timer;
	struct event_base	*base;
};

struct conn {
	struct event		 event;
	TAILQ_ENTRY(conn)	 entry;
	struct conns		*conns;
	struct conn_list	*list;
	int64_t			 since_ms;	/* birth or last activity */
	int			 fd;
	short			 waits;		/* EV_READ or EV_WRITE */
	bool			 spoke;		/* has ever sent a byte */
	bool			 eof;		/* the peer sends no more */
	bool			 empty;		/* nothing left to be read */
	bool			 finishing;	/* close after what is unsent */
	bool			 broken;	/* not worth an orderly close */
	const char		*why;		/* close now; static text */
	char			*held;		/* unfinished input, owned */
	size_t			 held_len, held_size;
	char			*out;		/* unsent output, owned */
	size_t			 out_off, out_len;
};

struct conns {
	struct conns_options	 options;
	struct conn_list	 open, lingering;
	struct event		 newborn;	/* while draining */
	bool			 draining;
	char			 buffer[READ_SIZE];	/* for whoever reads */
};

static void	conn_close(struct conn *, const char *);

static struct timeval
tv_ms(int64_t ms)
{
	return (struct timeval){ ms / 1000, ms % 1000 * 1000 };
}

/* ---- deadlines: a list, a limit and one timer for the first in it */

static void
list_arm(struct conn_list *list, int64_t now_ms)
{
	struct conn	*first = TAILQ_FIRST(&list->head);
	struct timeval	 tv;
	int64_t		 left;

	if (list->limit_ms <= 0 || first == NULL ||
	    evtimer_pending(&list->timer, NULL))
		return;
	left = first->since_ms + list->limit_ms - now_ms;
	tv = tv_ms(left > 1 ? left : 1);
	evtimer_add(&list->timer, &tv);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn_list	*list = arg;
	struct conn		*conn, *next;
	int64_t			 now_ms = clock_now_ms();

	(void)fd;
	(void)what;
	TAILQ_FOREACH_SAFE(conn, &list->head, entry, next) {
		if (conn->since_ms + list->limit_ms > now_ms)
			break;
		conn_close(conn, list->why);
	}
	list_arm(list, now_ms);
}

static void
list_init(struct conn_list *list, struct event_base *base, int64_t limit_ms,
    const char *why)
{
	TAILQ_INIT(&list->head);
	list->base = base;
	list->limit_ms = limit_ms;
	list->why = why;
	evtimer_assign(&list->timer, base, on_deadline, list);
}

static void
list_put(struct conn_list *list, struct conn *conn)
{
	conn->list = list;
	conn->since_ms = clock_now_ms();
	TAILQ_INSERT_TAIL(&list->head, conn, entry);
	list_arm(list, conn->since_ms);
}

/* Something came or went: its time begins again. */
static void
conn_touch(struct conn *conn)
{
	struct conn_list	*list = conn->list;

	if (list->limit_ms <= 0 || conn->finishing)
		return;
	TAILQ_REMOVE(&list->head, conn, entry);
	list_put(list, conn);
}

/* ---- the end */

static void
conn_log_closed(const struct conn *conn, const char *why)
{
	struct sockaddr_storage	 sa;
	socklen_t		 len = sizeof(sa);
	char			 peer[160];
	bool			 known;

	if (!log_wants(LOG_LEVEL_DEBUG))
		return;
	known = getpeername(conn->fd, (struct sockaddr *)&sa, &len) == 0;
	if (known)
		addr_format((struct sockaddr *)&sa, len, peer, sizeof(peer));
	log_event(EV_CONN_CLOSED, log_int("slot", conn->conns->options.slot),
	    log_str("peer", known ? peer : NULL), log_str("why", why));
}

/* A failure of ours, not a peer that went away. error may be 0. */
static void
conn_log_failed(struct conn *conn, const char *msg, int error)
{
	struct sockaddr_storage	 sa;
	socklen_t		 len = sizeof(sa);
	char			 peer[160];
	bool			 known;

	known = getpeername(conn->fd, (struct sockaddr *)&sa, &len) == 0;
	if (known)
		addr_format((struct sockaddr *)&sa, len, peer, sizeof(peer));
	beat_failed(conn->conns->options.beat);
	log_event(EV_CONN_FAILED, log_int("slot", conn->conns->options.slot),
	    log_str("peer", known ? peer : NULL), log_str("msg", msg),
	    log_str("error", error != 0 ? strerror(error) : NULL));
}

/* Read and drop what is there; closing over unread input resets the peer. */
static void
conn_discard(struct conn *conn)
{
	ssize_t	 n;
	int	 i;

	for (i = 0; i < DISCARD_READS; i++) {
		n = recv(conn->fd, conn->conns->buffer, READ_SIZE,
		    MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn->eof = true;
			return;
		}
	}
}

/* The only close. */
static void
conn_close(struct conn *conn, const char *why)
{
	struct conns	*conns = conn->conns;

	if (!conn->eof && !conn->broken && !conn->finishing &&
	    shutdown(conn->fd, SHUT_WR) == 0)
		conn_discard(conn);
	conn_log_closed(conn, why);
	event_del(&conn->event);
	TAILQ_REMOVE(&conn->list->head, conn, entry);
	close(conn->fd);
	free(conn->held);
	free(conn->out);
	free(conn);
	beat_closed(conns->options.beat);
	conns->options.on_close(conns->options.arg);
}

/* Mark it for the close at the end of its turn. */
static void
conn_break(struct conn *conn, const char *why)
{
	if (conn->why == NULL)
		conn->why = why;
	conn->broken = true;
}

/* A read or write failed with errno: the peer's doing, or ours? */
static void
conn_error(struct conn *conn, const char *msg)
{
	int	 error = errno;

	switch (error) {
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
	case ENOTCONN:
		conn_break(conn, "reset");
		return;
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case ECONNREFUSED:
		conn_break(conn, "unreachable");
		return;
	}
	conn_log_failed(conn, msg, error);
	conn_break(conn, "failed");
}

void
conn_fail(struct conn *conn, const char *msg)
{
	if (conn->why != NULL)
		return;		/* gone anyway, for an earlier reason */
	conn_log_failed(conn, msg, 0);
	conn->why = "failed";
}

/* ---- output */

static void
conn_sent(struct conn *conn, size_t len)
{
	beat_sent(conn->conns->options.beat, len);
	conn_touch(conn);
}

/* Keep what the socket did not take: iov from its byte off on. */
static void
conn_store(struct conn *conn, const struct iovec *iov, size_t count,
    size_t off)
{
	size_t	 i, total = 0, len;
	char	*out;

	for (i = 0; i < count; i++)
		total += iov[i].iov_len;
	if (total == off)
		return;
	if ((out = malloc(total - off)) == NULL) {
		conn_log_failed(conn, "no memory for its answers", errno);
		conn_break(conn, "failed");
		return;
	}
	conn->out = out;
	conn->out_off = 0;
	conn->out_len = total - off;
	for (i = 0; i < count; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		len = iov[i].iov_len - off;
		memcpy(out, (char *)iov[i].iov_base + off, len);
		out += len;
		off = 0;
	}
}

/* Send at once what can be; nothing was unsent before. */
static void
conn_send(struct conn *conn, struct iovec *iov, size_t count)
{
	struct msghdr	 msg = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t		 n;

	do {
		if (count == 1)
			n = send(conn->fd, iov->iov_base, iov->iov_len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		else
			n = sendmsg(conn->fd, &msg,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno != EAGAIN) {
		conn_error(conn, "cannot write");
		return;
	}
	if (n > 0)
		conn_sent(conn, (size_t)n);
	conn_store(conn, iov, count, n > 0 ? (size_t)n : 0);
}

static void
conn_flush(struct conn *conn)
{
	ssize_t	 n;

	n = send(conn->fd, conn->out + conn->out_off, conn->out_len,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			conn_error(conn, "cannot write");
		return;
	}
	conn_sent(conn, (size_t)n);
	conn->out_off += (size_t)n;
	conn->out_len -= (size_t)n;
	if (conn->out_len == 0) {
		free(conn->out);
		conn->out = NULL;
	}
}

static void
conn_unhold(struct conn *conn)
{
	free(conn->held);
	conn->held = NULL;
	conn->held_len = conn->held_size = 0;
}

void
conn_reply(struct conn *conn, const char *data, size_t len, uint64_t requests)
{
	struct iovec	 iov[2];
	size_t		 count = 0;

	if (conn->held_len > 0)
		iov[count++] = (struct iovec){ conn->held, conn->held_len };
	iov[count++] = (struct iovec){ (void *)(uintptr_t)data, len };
	conn_send(conn, iov, count);
	conn_unhold(conn);
	beat_served(conn->conns->options.beat, requests);
}

/* Last words go behind what is unsent. */
static void
conn_append(struct conn *conn, const char *words, size_t len)
{
	struct iovec	 iov[2];
	char		*old = conn->out;

	iov[0] = (struct iovec){ old + conn->out_off, conn->out_len };
	iov[1] = (struct iovec){ (void *)(uintptr_t)words, len };
	conn_store(conn, iov, 2, 0);
	if (conn->out != old)
		free(old);
}

void
conn_finish(struct conn *conn, const char *words)
{
	struct iovec	 iov = { (void *)(uintptr_t)words, strlen(words) };

	conn_unhold(conn);
	if (conn->why != NULL)
		return;
	if (conn->out_len > 0)
		conn_append(conn, words, iov.iov_len);
	else
		conn_send(conn, &iov, 1);
	conn->finishing = true;
}

/* ---- input */

const char *
conn_held(const struct conn *conn, size_t *len)
{
	*len = conn->held_len;
	return conn->held;
}

void
conn_keep(struct conn *conn, const char *data, size_t len)
{
	size_t	 need = conn->held_len + len, size = conn->held_size;
	char	*held;

	if (len == 0 || conn->why != NULL)
		return;
	if (need > size) {
		size = size * 2 > HELD_MIN ? size * 2 : HELD_MIN;
		if (size < need)
			size = need;
		if ((held = realloc(conn->held, size)) == NULL) {
			conn_log_failed(conn, "no memory for its line", errno);
			conn_break(conn, "failed");
			return;
		}
		conn->held = held;
		conn->held_size = size;
	}
	memcpy(conn->held + conn->held_len, data, len);
	conn->held_len = need;
}

static void
conn_read(struct conn *conn)
{
	struct conns	*conns = conn->conns;
	ssize_t		 n;

	n = recv(conn->fd, conns->buffer, READ_SIZE, MSG_DONTWAIT);
	if (n > 0) {
		conn->spoke = true;
		conn_touch(conn);
		conns->options.app->input(conns->options.context, conn,
		    conns->buffer, (size_t)n);
	} else if (n == 0) {
		conn->eof = conn->empty = true;
	} else if (errno == EAGAIN) {
		conn->empty = true;
	} else if (errno != EINTR) {
		conn_error(conn, "cannot read");
	}
}

/* While draining, all that has arrived is read, within reason. */
static void
conn_input(struct conn *conn)
{
	int	 left = conn->conns->draining ? DRAIN_READS : 1;

	conn->empty = false;
	while (left-- > 0 && !conn->empty && conn->why == NULL &&
	    !conn->finishing && conn->out_len == 0)
		conn_read(conn);
}

/* ---- what a connection waits for */

static void	on_conn(evutil_socket_t, short, void *);

static void
conn_wait(struct conn *conn, short what)
{
	if (conn->waits == what)
		return;
	if (conn->waits != 0)
		event_del(&conn->event);
	conn->waits = what;
	event_assign(&conn->event, conn->conns->options.base, conn->fd,
	    what | EV_PERSIST, on_conn, conn);
	if (event_add(&conn->event, NULL) == -1) {
		conn_log_failed(conn, "cannot wait for it", errno);
		conn->broken = true;
		conn_close(conn, "failed");
	}
}

/* Its last words are with the kernel: wait until the peer has seen them. */
static void
conn_linger(struct conn *conn)
{
	struct conns	*conns = conn->conns;

	if (conn->list != &conns->lingering) {
		if (shutdown(conn->fd, SHUT_WR) == -1) {
			conn_close(conn, "finished");
			return;
		}
		TAILQ_REMOVE(&conn->list->head, conn, entry);
		list_put(&conns->lingering, conn);
	}
	conn_discard(conn);
	if (conn->eof)
		conn_close(conn, "finished");
	else
		conn_wait(conn, EV_READ);
}

static bool
conn_newborn(const struct conn *conn)
{
	return !conn->spoke && clock_now_ms() < conn->since_ms + NEWBORN_MS;
}

/* After each turn of a connection: what now? May free it. */
static void
conn_settle(struct conn *conn)
{
	if (conn->why != NULL)
		conn_close(conn, conn->why);
	else if (conn->out_len > 0)
		conn_wait(conn, EV_WRITE);
	else if (conn->finishing)
		conn_linger(conn);
	else if (conn->eof)
		conn_close(conn, "eof");
	else if (conn->conns->draining && conn->empty &&
	    conn->held_len == 0 && !conn_newborn(conn))
		conn_close(conn, "drain");
	else
		conn_wait(conn, EV_READ);
}

static void
on_conn(evutil_socket_t fd, short what, void *arg)
{
	struct conn	*conn = arg;

	(void)fd;
	(void)what;
	if (conn->out_len > 0)
		conn_flush(conn);
	else if (!conn->finishing)
		conn_input(conn);
	conn_settle(conn);
}

/* ---- all of them */

static void
on_newborn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conns_drain(arg);
}

struct conns *
conns_new(const struct conns_options *options)
{
	struct conns	*conns;

	if ((conns = malloc(sizeof(*conns))) == NULL)
		return NULL;
	/* The buffer is left alone: its pages come when they are used. */
	conns->options = *options;
	conns->draining = false;
	list_init(&conns->open, options->base, options->context->idle_ms,
	    "idle");
	list_init(&conns->lingering, options->base, LINGER_MS, "finished");
	evtimer_assign(&conns->newborn, options->base, on_newborn, conns);
	return conns;
}

void
conns_add(struct conns *conns, int fd)
{
	struct conn	*conn;

	beat_opened(conns->options.beat);
	if ((conn = calloc(1, sizeof(*conn))) == NULL) {
		log_event(EV_CONN_FAILED,
		    log_int("slot", conns->options.slot),
		    log_str("msg", "no memory for it"), log_errno());
		beat_failed(conns->options.beat);
		beat_closed(conns->options.beat);
		close(fd);
		return;
	}
	conn->conns = conns;
	conn->fd = fd;
	list_put(&conns->open, conn);
	conn_wait(conn, EV_READ);
}

void
conns_drain(struct conns *conns)
{
	struct timeval	 tv = tv_ms(NEWBORN_MS);
	struct conn	*conn, *next;
	bool		 newborn = false;

	conns->draining = true;
	TAILQ_FOREACH_SAFE(conn, &conns->open.head, entry, next) {
		if (conn->out_len > 0)
			continue;
		newborn |= conn_newborn(conn);
		conn_input(conn);
		conn_settle(conn);
	}
	if (newborn && !evtimer_pending(&conns->newborn, NULL))
		evtimer_add(&conns->newborn, &tv);
}

void
conns_abandon(struct conns *conns, const char *why)
{
	struct conn	*conn, *next;

	TAILQ_FOREACH_SAFE(conn, &conns->open.head, entry, next)
		conn_close(conn, why);
	TAILQ_FOREACH_SAFE(conn, &conns->lingering.head, entry, next)
		conn_close(conn, why);
}
