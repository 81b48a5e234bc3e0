#include "worker/conn.h"

#include <sys/socket.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/app.h"
#include "worker/beat.h"
#include "worker/conn_priv.h"

#define DRAIN_READS	64	/* turns of input at once, while draining */
#define HELD_MIN	256
#define LINGER_MS	5000	/* for a peer that must read last words */
#define LINGER_DRAIN_MS	200	/* and while draining */
/*
 * So long a client may need to send its first bytes: it was told that it is
 * connected, but its turn on a busy machine may come much later.
 */
#define NEWBORN_MS	1000

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

	n = recv(conn->fd, conns->buffer, CONN_READ, MSG_DONTWAIT);
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
		conn_list_put(&conns->lingering, conn);
	}
	conn_discard(conn);
	if (conn->eof)
		conn_close(conn, "finished");
	else
		conn_wait(conn, EV_READ);
}

/* How long it may still be silent; 0 when it is no newborn. */
static int64_t
conn_newborn(const struct conn *conn)
{
	int64_t	 left = conn->since_ms + NEWBORN_MS - clock_now_ms();

	return !conn->spoke && left > 0 ? left : 0;
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
	    conn->held_len == 0 && conn_newborn(conn) == 0)
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
	conn_list_init(&conns->open, options->base, options->context->idle_ms,
	    "idle");
	conn_list_init(&conns->lingering, options->base, LINGER_MS, "finished");
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
	conn_list_put(&conns->open, conn);
	conn_wait(conn, EV_READ);
}

void
conns_drain(struct conns *conns)
{
	struct conn	*conn, *next, *last;
	struct timeval	 tv;
	int64_t		 left, newborn = 0;	/* of the youngest */
	bool		 end = false;

	if (!conns->draining)
		conn_list_limit(&conns->lingering, LINGER_DRAIN_MS);
	conns->draining = true;
	/* Who sends something now is put behind the last, and seen once. */
	last = TAILQ_LAST(&conns->open.head, conn_head);
	for (conn = TAILQ_FIRST(&conns->open.head); conn != NULL && !end;
	    conn = next) {
		next = TAILQ_NEXT(conn, entry);
		end = conn == last;
		if (conn->out_len > 0)
			continue;
		if ((left = conn_newborn(conn)) > newborn)
			newborn = left;
		conn_input(conn);
		conn_settle(conn);
	}
	if (newborn > 0 && !evtimer_pending(&conns->newborn, NULL)) {
		tv = clock_timeval(newborn);
		evtimer_add(&conns->newborn, &tv);
	}
}

void
conns_abandon(struct conns *conns, const char *why)
{
	struct conn	*conn, *next;
	unsigned	 cut = 0;
	char		 msg[96];

	TAILQ_FOREACH_SAFE(conn, &conns->open.head, entry, next) {
		conn_close(conn, why);
		cut++;
	}
	TAILQ_FOREACH_SAFE(conn, &conns->lingering.head, entry, next)
		conn_close(conn, why);
	if (cut == 0)
		return;
	snprintf(msg, sizeof(msg), "%u cut off in the middle: %s", cut, why);
	log_event(EV_CONN_FAILED, log_int("slot", conns->options.slot),
	    log_str("msg", msg));
}
