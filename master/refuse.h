#ifndef MUSTER_REFUSE_H
#define MUSTER_REFUSE_H

/*
 * Let a listening TCP socket take no new connection. Handshakes in flight
 * complete, queued connections stay.
 *
 * With CAP_NET_ADMIN a socket filter (socket(7), SO_ATTACH_FILTER) drops each
 * new SYN, as if the packet had been lost: its sender repeats it, and is
 * refused, or served by whoever listens then. Kernels of 2026 let nobody else
 * put a filter on a TCP socket; without it, the socket is bound to a network
 * interface that does not exist, and new clients are refused at once.
 *
 * 0; 1 if it was done that second way, from which there is no way back without
 * privileges; or -1 with errno.
 */
int	refuse_syns(int fd);

/* After a 0, let new connections in again. 0, or -1 with errno. */
int	refuse_undo(int fd);

#endif
