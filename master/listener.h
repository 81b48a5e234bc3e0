#ifndef MUSTER_LISTENER_H
#define MUSTER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/err.h"

/*
 * The listening sockets: opened or adopted before the first fork, held by the
 * master to the end, non-blocking and close-on-exec from birth, never
 * shutdown(2) while somebody may still be served through them.
 *
 * With accept = reuseport a TCP address has one socket a slot, all held here;
 * steer.h says which of them get new connections. Socket n of such a group is
 * slot n's (its index in the kernel's group: sockets are opened in order).
 */
struct listeners;

/*
 * Ask for all host names of conf. A name server that does not answer takes
 * its time: asked before the signals are taken over, one may interrupt it. 0,
 * or -1 with err, which names the address.
 */
int			 listeners_resolvable(const struct conf *conf,
			    struct err *err);

/*
 * Bind and listen, every address of conf, in order; host names are resolved
 * here, and may block. Uses LISTEN_FDS (sd_listen_fds(3)) when conf gives no
 * bind, closes those sockets with a warning when it does, and unsets the
 * variables. All or nothing: NULL with err, which names the address.
 */
struct listeners	*listeners_open(const struct conf *conf,
			    struct err *err);

/*
 * Refuse new connections, for the last stop: TCP as refuse.h says, a Unix
 * socket's name is unlinked, an abstract one shut down for reading (with its
 * queue empty, accept(2) gives EINVAL then). Handshakes in flight complete,
 * queued connections stay. Inherited sockets are left alone: their owner keeps
 * them. May be called again.
 */
void			 listeners_refuse(struct listeners *listeners);

/*
 * Close all; unlink the Unix sockets that are still ours: for the process that
 * opened them, or took over from it, not for workers. NULL is allowed.
 */
void			 listeners_free(struct listeners *listeners);

/*
 * What the worker of a slot inherits: at most max are written to out, which
 * borrows from listeners; returns how many there are. With reuseport it opens
 * the slot's sockets when there are none yet: -1 with err.
 */
int			 listeners_for_slot(struct listeners *listeners,
			    int slot, struct inherited *out, size_t max,
			    struct err *err);

/* The most sockets that listeners_for_slot() ever gives. */
size_t			 listeners_count(const struct listeners *listeners);

/*
 * reuseport: is any group steered? How many slots can it have at most, and
 * how many have sockets by now?
 */
bool			 listeners_steered(const struct listeners *listeners);
int			 listeners_max_slots(void);
int			 listeners_slots(const struct listeners *listeners);

/*
 * reuseport: send new connections only to the slots n with ready[n] of count;
 * with none ready, nothing changes. A failure is logged and leaves the old
 * steering.
 */
void			 listeners_steer(struct listeners *listeners,
			    const bool *ready, int count);

/* reuseport: are the accept queues of the slot's sockets empty (TCP_INFO)? */
bool			 listeners_slot_quiet(const struct listeners *listeners,
			    int slot);

/* reuseport: the slot's sockets, for watching a parked slot. Count written. */
int			 listeners_slot_fds(const struct listeners *listeners,
			    int slot, int *out, size_t max);

#endif
