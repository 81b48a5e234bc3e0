#ifndef MUSTER_TURNS_H
#define MUSTER_TURNS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Accepting by turns. Of all workers that wait for a socket one shall be
 * woken, and each time another one. EPOLLEXCLUSIVE (epoll_ctl(2)) wakes the
 * first in the kernel's queue; who has accepted goes to its tail. libevent
 * offers neither, so this works on its epoll descriptor, behind its back but
 * checked: /proc/self/fdinfo must show that the descriptor watches the
 * socket, and with which data, before anything is touched.
 */

/* The descriptor that the next to be opened will get, or -1. */
int	turns_next_fd(void);

/*
 * Try out, once and before the first fork, with which data libevent's epoll
 * watches a descriptor: turns_data() is then what it would be for fd. False:
 * not as expected, no turns are taken. That the descriptor predicted by
 * turns_next_fd() is the right one shows itself when turns_tail() can remove
 * fd from it.
 */
bool		turns_learn(void);
bool		turns_known(void);
uint64_t	turns_data(int fd);

/*
 * Parse one line of fdinfo: true if it says how the epoll descriptor watches
 * fd, whose data it then gives. Pure.
 */
bool	turns_parse(const char *line, int fd, uint64_t *data);

/*
 * Watch fd for input exclusively, from the tail of the queue. -1 with errno;
 * ep may then watch fd in no way at all.
 */
int	turns_tail(int ep, int fd, uint64_t data);

#endif
