#ifndef MUSTER_ACCEPT_H
#define MUSTER_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

/*
 * Accepting, in batches, on every listening socket of a worker. It pauses at
 * the connection limit and when the system has no descriptor or memory for
 * another one, and goes on as soon as a connection is closed.
 */
struct acceptor;
struct conns;
struct beat;
struct event_base;

struct acceptor_options {
	struct event_base	*base;
	int			 epoll_fd;	/* -1: not by turns */
	const struct inherited	*sockets;	/* borrowed */
	size_t			 nsockets;
	struct conns		*conns;
	struct beat		*beat;		/* counts what is active */
	uint32_t		 limit;		/* of connections; 0: none */
	int			 backlog;	/* bounds the last sweep */
};

/* Begin to accept. NULL with errno. */
struct acceptor	*acceptor_new(const struct acceptor_options *options);

/* A connection was closed: there may be room again. */
void		 acceptor_room(struct acceptor *acceptor);

/*
 * Accept what waits, if anything, though no event came: a worker killed
 * between its wake-up and its accept leaves a connection that none of the
 * others was woken for.
 */
void		 acceptor_try(struct acceptor *acceptor);

/*
 * Stop: accept what is queued, at most backlog a socket, then close them.
 * True when all are closed; false when there was no room for a connection
 * in the queue, then call again when there may be.
 */
bool		 acceptor_drain(struct acceptor *acceptor);

#endif
