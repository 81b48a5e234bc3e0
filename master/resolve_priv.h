#ifndef MUSTER_RESOLVE_PRIV_H
#define MUSTER_RESOLVE_PRIV_H

#include <netdb.h>
#include <sys/socket.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "master/resolve.h"

/*
 * Shared by resolve.c, which asks, resolver.c, which has a child ask, and
 * their tests: what comes over the child's pipe, rows of one size, and what
 * stands for the name server.
 */
enum found_kind { FOUND_ADDRESS = 1, FOUND_FAILURE, FOUND_ALL };

struct found {
	uint32_t		 kind, bind, len;
	struct sockaddr_storage	 sa;		/* FOUND_ADDRESS */
	struct err		 why;		/* FOUND_FAILURE */
};

#define FOUND_MAX	256	/* addresses, of all names together */

struct resolved {
	struct found	 list[FOUND_MAX];
	int		 count;
};

/* Has it a host, to be looked up? */
bool		 resolve_is_asked(const struct addr *addr);

/*
 * Take a row on; a name may be in a hosts file twice. It may come from a
 * child: false if it makes no sense.
 */
bool		 resolve_add(struct resolved *resolved,
		    const struct found *row, const struct conf_listen *conf);

/*
 * Tell each address of addr, conf's bind number bind, until tell says false.
 * flags: 0, or AI_NUMERICHOST. 0, or -1 with err, or 1: it is not numeric.
 */
typedef bool	 resolve_tell_fn(void *arg, const struct found *row);
int		 resolve_ask(const struct addr *addr, size_t bind, int flags,
		    resolve_tell_fn *tell, void *arg, struct err *err);

/*
 * Numeric hosts, or with names all of them. 0, or -1 with err; *left: how many
 * were left out.
 */
int		 resolve_ask_all(struct resolved *resolved,
		    const struct conf_listen *conf, bool names, int *left,
		    struct err *err);

/* getaddrinfo(3), or what a test puts in its place; for names alone. */
typedef int	 resolve_lookup_fn(const char *host, const char *port,
		    const struct addrinfo *hints, struct addrinfo **out);
extern resolve_lookup_fn	*resolve_lookup;

#endif
