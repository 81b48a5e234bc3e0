#ifndef MUSTER_RESOLVE_H
#define MUSTER_RESOLVE_H

#include <sys/socket.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct conf;
struct event_base;

/*
 * What the host names of a configuration's addresses stand for. A numeric host
 * stands for itself; asking for a name may take long (resolv.conf(5)), so a
 * running master has a child do it.
 */
struct resolved;

/* Ask now, and wait. NULL with err, which names the address. */
struct resolved	*resolve_now(const struct conf *conf, struct err *err);
void		 resolved_free(struct resolved *resolved);

/*
 * The nr-th address of conf's bind number bind, each once, with the port; NULL
 * after the last, and for a bind that is no TCP address or has no host.
 */
const struct sockaddr	*resolved_addr(const struct resolved *resolved,
			    size_t bind, size_t nr, socklen_t *len);

/*
 * Ask in a child, for limit_ms at most, while the loop goes on. done is called
 * once, from the loop: with what was found, now the caller's; or with NULL and
 * err. The resolver is gone then. conf is borrowed until done. No child is
 * made where no name has to be asked for. NULL with err if it cannot begin.
 *
 * The child is reaped by whoever reaps: it is no worker.
 */
typedef void	 resolver_done_fn(void *arg, struct resolved *resolved,
		    const struct err *err);
struct resolver	*resolver_start(struct event_base *base, int priority,
		    const struct conf *conf, int64_t limit_ms,
		    resolver_done_fn *done, void *arg, struct err *err);
/* Never mind: the child is killed, done is not called. NULL is allowed. */
void		 resolver_cancel(struct resolver *resolver);

#endif
