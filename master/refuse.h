#ifndef MUSTER_REFUSE_H
#define MUSTER_REFUSE_H

/*
 * Let a listening TCP socket answer no new SYN, as if the packet had been
 * lost, by a socket filter (socket(7), SO_ATTACH_FILTER). Handshakes in flight
 * complete and queued connections stay; the client that tried in vain repeats
 * its SYN, and is refused or served by whoever listens then. 0, or -1 with
 * errno.
 */
int	refuse_syns(int fd);

#endif
