#ifndef MUSTER_ADDR_H
#define MUSTER_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/err.h"

/*
 * Addresses as the user writes them: [NAME=]HOST:PORT, :PORT, [V6]:PORT,
 * unix:/path, unix:@abstract, fd:N, none. Pure: nothing is resolved here.
 */
enum addr_kind {
	ADDR_TCP,	/* host (NULL: all addresses, v4 and v6) and port */
	ADDR_UNIX,	/* path in the file system */
	ADDR_ABSTRACT,	/* path without the @, in the abstract namespace */
	ADDR_FD,	/* an inherited descriptor */
	ADDR_NONE,	/* no socket: supervise only */
};

#define ADDR_NAME_MAX	48

struct addr {
	enum addr_kind	 kind;
	char		*name;	/* owned; as given, or the text, ':' as '_' */
	char		*text;	/* owned; as given, without NAME= */
	char		*host;	/* owned; NULL for all addresses */
	int		 port;	/* 0 to 65535; 0 takes a free one */
	char		*path;	/* owned; ADDR_UNIX, ADDR_ABSTRACT */
	int		 fd;	/* ADDR_FD */
};

/*
 * Parse text into addr, which addr_free() empties. 0, or -1 with err saying
 * what was wrong and what would be accepted; addr is then empty.
 */
int	addr_parse(const char *text, struct addr *addr, struct err *err);
void	addr_free(struct addr *addr);

/* As the user would write it, with NAME= if it has a name of its own. Owned. */
char	*addr_print(const struct addr *addr);

/* Is it a valid name: [A-Za-z0-9._-], 1 to ADDR_NAME_MAX characters? */
bool	addr_name_ok(const char *name);

/* A socket address as text, "127.0.0.1:80", "[::1]:80", "unix:/x", "unix:@x". */
void	addr_format(const struct sockaddr *sa, socklen_t len, char *out,
	    size_t size);

/* A listening socket as a worker sees it. Borrowed strings. */
struct inherited {
	int		 fd;
	const char	*name;
	const char	*text;	/* where it listens, with the real port */
};

#endif
