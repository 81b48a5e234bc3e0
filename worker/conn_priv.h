#ifndef MUSTER_CONN_PRIV_H
#define MUSTER_CONN_PRIV_H

#include <bsd/sys/queue.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/conn.h"

/* What conn.c, conn_out.c and conn_close.c share; nobody else looks inside. */
#define CONN_READ	65536	/* a turn's input of one connection */

/* Connections with the same kind of deadline, the next to be due first. */
struct conn_list {
	TAILQ_HEAD(conn_head, conn) head;
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
	char			 buffer[CONN_READ];	/* for whoever reads */
};

/*
 * conn_close.c: deadlines, failures, the only close. A turn of a connection
 * does not close it midway, as its callers still look at it: conn_break() and
 * conn_fail() mark it, and the end of the turn closes what is marked.
 */
void	conn_list_init(struct conn_list *list, struct event_base *base,
	    int64_t limit_ms, const char *why);
void	conn_list_put(struct conn_list *list, struct conn *conn);
void	conn_list_limit(struct conn_list *list, int64_t limit_ms);

/* Something came or went: its time begins again. */
void	conn_touch(struct conn *conn);

/* Read and drop what is there; sets eof. */
void	conn_discard(struct conn *conn);

/* Log a failure of ours, not of a peer that went away. error may be 0. */
void	conn_log_failed(struct conn *conn, const char *msg, int error);

/* Mark it as broken: no orderly close. why is static text. */
void	conn_break(struct conn *conn, const char *why);

/* A read or write failed with errno: mark it, log it if it was our fault. */
void	conn_error(struct conn *conn, const char *msg);

void	conn_close(struct conn *conn, const char *why);

/* conn_out.c: send what is unsent. */
void	conn_flush(struct conn *conn);

#endif
