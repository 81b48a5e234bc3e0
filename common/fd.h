#ifndef MUSTER_FD_H
#define MUSTER_FD_H

#include <stdbool.h>
#include <stddef.h>

/* Set or clear close-on-exec, non-blocking. 0, or -1 with errno. */
int	fd_cloexec(int fd, bool on);
int	fd_nonblock(int fd, bool on);

/*
 * Close every descriptor from 3 on but the count in keep, which is sorted in
 * place; -1 and duplicates in it are skipped. By close_range(2), so that a
 * descriptor nobody remembered is closed, too. 0, or -1 with errno.
 */
int	fd_close_except(int *keep, size_t count);

/* Put /dev/null on fd, for stdin of a process that must not read ours. */
int	fd_null(int fd);

/* Is it a socket of which getsockopt(2), SOL_SOCKET, gives this value? */
bool	fd_socket_is(int fd, int option, int value);

#endif
