#ifndef MUSTER_RESOLVE_PRIV_H
#define MUSTER_RESOLVE_PRIV_H

#include <netdb.h>
#include <sys/socket.h>
#include <stdint.h>

#include "master/resolve.h"

/*
 * For resolve.c and its tests: what comes over the child's pipe, rows of one
 * size, and what stands for the name server.
 */
enum found_kind { FOUND_ADDRESS = 1, FOUND_FAILURE, FOUND_ALL };

struct found {
	uint32_t		 kind, bind, len;
	struct sockaddr_storage	 sa;		/* FOUND_ADDRESS */
	struct err		 why;		/* FOUND_FAILURE */
};

/* getaddrinfo(3), or what a test puts in its place; for names alone. */
typedef int	 resolve_lookup_fn(const char *host, const char *port,
		    const struct addrinfo *hints, struct addrinfo **out);
extern resolve_lookup_fn	*resolve_lookup;

#endif
