#ifndef MUSTER_PROBE_H
#define MUSTER_PROBE_H

#include <sys/types.h>
#include <stddef.h>

/*
 * Does a worker use the listening sockets that it inherited? Some runtimes
 * ignore them and open a port of their own, and nobody notices until
 * requests hang. The kernel knows who waits for a socket: epoll instances
 * name what they watch, a thread's system call names what it waits for.
 *
 * Only what is certain is said: PROBE_UNUSED means that every thread of the
 * worker and its descendants was seen asleep, none of them over one of the
 * sockets, and that none of them holds a connection which came from there.
 * A worker that has just begun may not have come to it yet: ask some seconds
 * after it was ready, and once more before anybody is warned.
 *
 * Bounded: 64 processes, 256 threads, 1024 descriptors a process, each file
 * of /proc to some length; beyond that, PROBE_UNKNOWN. A fraction of a
 * millisecond; tens of them for one of another user that listens elsewhere,
 * where the machine has tens of thousands of connections. The memory of a
 * worker of another user is not read, as it could make us wait for it: one
 * that polls without epoll is PROBE_UNKNOWN then.
 */
enum probe_result { PROBE_USED, PROBE_UNUSED, PROBE_UNKNOWN };

/*
 * Look at pid and its descendants; sockets are st_ino of the inherited ones.
 * Where it listens instead (TCP, "127.0.0.1:43211 [::]:80") is written to
 * elsewhere if the answer is PROBE_UNUSED; empty: nowhere.
 */
enum probe_result	probe_worker(pid_t pid, const ino_t *sockets,
			    size_t count, char *elsewhere, size_t size);

#endif
