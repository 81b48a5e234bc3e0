#ifndef MUSTER_CONN_H
#define MUSTER_CONN_H

#include <stddef.h>
#include <stdint.h>

/*
 * The connections of a worker: birth, reading, writing, deadlines, accounting
 * and the only close. A connection waits for input or for room to write,
 * never for both: one that does not take its answers is not read either, so
 * that it holds one turn's answers at most, and an idle one holds no buffer.
 */
struct app;
struct app_context;
struct beat;
struct conn;
struct conns;
struct event_base;

struct conns_options {
	struct event_base	*base;
	const struct app	*app;
	struct app_context	*context;
	struct beat		*beat;
	int			 slot;			/* for the log */
	void			(*on_close)(void *arg);	/* after each close */
	void			*arg;
};

/* NULL: no memory. */
struct conns	*conns_new(const struct conns_options *options);

/* Take over an accepted, non-blocking socket. */
void		 conns_add(struct conns *conns, int fd);

/*
 * From now on an idle connection is closed, once all that has arrived on it
 * was read and every request answered; a later call looks at all again. One
 * that is too young to have sent anything is given a moment to.
 */
void		 conns_drain(struct conns *conns);

/* Close them all as they are. */
void		 conns_abandon(struct conns *conns, const char *why);

/* ---- for apps, while their input() is called; nothing frees conn there */

/* The kept beginning, len bytes; good until the next call here. */
const char	*conn_held(const struct conn *conn, size_t *len);

/* Keep these bytes behind those already kept. */
void		 conn_keep(struct conn *conn, const char *data, size_t len);

/*
 * Send what was kept and these bytes: the answers to so many requests. Once
 * for each input() at most.
 */
void		 conn_reply(struct conn *conn, const char *data, size_t len,
		    uint64_t requests);

/*
 * Send the last words and close in such a way that the peer can read them:
 * what it still sends is read and dropped for a while.
 */
void		 conn_finish(struct conn *conn, const char *words);

/* Close it as failed, with a line in the log. */
void		 conn_fail(struct conn *conn, const char *msg);

#endif
