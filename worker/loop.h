#ifndef MUSTER_LOOP_H
#define MUSTER_LOOP_H

#include <stdbool.h>

#include "common/err.h"

/*
 * A worker's own event loop. The master's, copied by the fork, is never
 * touched: its descriptors were closed.
 */
struct event_base;

/*
 * NULL with err. With find_epoll, *epoll_fd is the descriptor that its epoll
 * probably has; turns.h makes sure. Else -1. What the loop complains of is
 * logged; an invariant that it lost ends the process.
 */
struct event_base	*loop_open(bool find_epoll, int *epoll_fd,
			    struct err *err);

#endif
