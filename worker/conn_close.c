#include "worker/conn_priv.h"

#include <sys/socket.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/beat.h"

#define DISCARD_READS	16	/* dropped in one turn */

/* ---- deadlines: a list, a limit and one timer for the first in it */

static void
conn_list_arm(struct conn_list *list, int64_t now_ms)
{
	struct conn	*first = TAILQ_FIRST(&list->head);
	struct timeval	 tv;
	int64_t		 left;

	if (list->limit_ms <= 0 || first == NULL ||
	    evtimer_pending(&list->timer, NULL))
		return;
	left = first->since_ms + list->limit_ms - now_ms;
	tv = clock_timeval(left > 1 ? left : 1);
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
	conn_list_arm(list, now_ms);
}

void
conn_list_init(struct conn_list *list, struct event_base *base,
    int64_t limit_ms, const char *why)
{
	TAILQ_INIT(&list->head);
	list->base = base;
	list->limit_ms = limit_ms;
	list->why = why;
	evtimer_assign(&list->timer, base, on_deadline, list);
}

void
conn_list_put(struct conn_list *list, struct conn *conn)
{
	conn->list = list;
	conn->since_ms = clock_now_ms();
	TAILQ_INSERT_TAIL(&list->head, conn, entry);
	conn_list_arm(list, conn->since_ms);
}

/* Another limit, for those that are in it, too. */
void
conn_list_limit(struct conn_list *list, int64_t limit_ms)
{
	list->limit_ms = limit_ms;
	evtimer_del(&list->timer);
	conn_list_arm(list, clock_now_ms());
}

void
conn_touch(struct conn *conn)
{
	struct conn_list	*list = conn->list;

	if (list->limit_ms <= 0 || conn->finishing)
		return;
	TAILQ_REMOVE(&list->head, conn, entry);
	conn_list_put(list, conn);
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

void
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

void
conn_discard(struct conn *conn)
{
	ssize_t	 n;
	int	 i;

	for (i = 0; i < DISCARD_READS; i++) {
		n = recv(conn->fd, conn->conns->buffer, CONN_READ,
		    MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn->eof = true;
			return;
		}
	}
}

void
conn_close(struct conn *conn, const char *why)
{
	struct conns	*conns = conn->conns;

	/* Closing over unread input would reset the peer: read it. */
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

void
conn_break(struct conn *conn, const char *why)
{
	if (conn->why == NULL)
		conn->why = why;
	conn->broken = true;
}

void
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
