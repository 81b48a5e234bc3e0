#include "master/survivors.h"

#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/procfs.h"

/* Sockets to be looked at in one process. */
#define SOCKETS_MAX	65536

union address {
	struct sockaddr_storage	 any;
	struct sockaddr		 sa;
	struct sockaddr_in	 in;
	struct sockaddr_in6	 in6;
	struct sockaddr_un	 un;
};

struct look {
	const struct survivor	*survivor;
	const struct addr	*addr;
	int			 fd;	/* found, or -1 */
	int			 error;	/* we may not, or 0 */
	int			 most;
};

/* ---- is that the address? */

static bool
is_host(const union address *at, const char *host)
{
	struct addrinfo		 hints = { .ai_flags = AI_NUMERICHOST,
				    .ai_socktype = SOCK_STREAM };
	struct addrinfo		*info;
	const union address	*want;
	bool			 same = false;

	if (getaddrinfo(host, NULL, &hints, &info) != 0)
		return false;
	want = (const void *)info->ai_addr;
	if (want->sa.sa_family != at->sa.sa_family)
		same = false;
	else if (at->sa.sa_family == AF_INET)
		same = want->in.sin_addr.s_addr == at->in.sin_addr.s_addr;
	else if (at->sa.sa_family == AF_INET6)
		same = memcmp(&want->in6.sin6_addr, &at->in6.sin6_addr,
		    sizeof(want->in6.sin6_addr)) == 0 &&
		    want->in6.sin6_scope_id == at->in6.sin6_scope_id;
	freeaddrinfo(info);
	return same;
}

static bool
is_every_host(const union address *at)
{
	if (at->sa.sa_family == AF_INET)
		return at->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&at->in6.sin6_addr);
}

static bool
is_tcp(const union address *at, const struct addr *addr)
{
	int	 port;

	if (at->sa.sa_family == AF_INET)
		port = ntohs(at->in.sin_port);
	else if (at->sa.sa_family == AF_INET6)
		port = ntohs(at->in6.sin6_port);
	else
		return false;
	if (addr->port != 0 && addr->port != port)
		return false;
	return addr->host == NULL ? is_every_host(at) :
	    is_host(at, addr->host);
}

/* An abstract name begins with a NUL, a path may end with one. */
static bool
is_unix(const union address *at, socklen_t len, const struct addr *addr)
{
	size_t		 head = offsetof(struct sockaddr_un, sun_path);
	bool		 abstract = addr->kind == ADDR_ABSTRACT;
	const char	*path = at->un.sun_path;

	if (at->sa.sa_family != AF_UNIX || len <= head ||
	    (path[0] == '\0') != abstract)
		return false;
	len -= (socklen_t)head;
	if (abstract)
		return len - 1 == strlen(addr->path) &&
		    memcmp(path + 1, addr->path, len - 1) == 0;
	return strnlen(path, len) == strlen(addr->path) &&
	    memcmp(path, addr->path, strlen(addr->path)) == 0;
}

/* Does fd listen for streams, at addr? */
static bool
is_wanted(int fd, const struct addr *addr)
{
	union address	 at;
	socklen_t	 len = sizeof(at), size = sizeof(int);
	int		 type = 0, listens = 0;

	memset(&at, 0, sizeof(at));
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == -1 ||
	    getsockname(fd, &at.sa, &len) == -1 ||
	    type != SOCK_STREAM || listens == 0)
		return false;
	if (addr->kind == ADDR_TCP)
		return is_tcp(&at, addr);
	if (addr->kind == ADDR_UNIX || addr->kind == ADDR_ABSTRACT)
		return is_unix(&at, len, addr);
	return false;
}

/* ---- taking it */

static bool
on_descriptor(void *arg, int number)
{
	struct look	*look = arg;
	ino_t		 ino;
	int		 fd;

	if (!procfs_socket(look->survivor->pid, number, &ino))
		return true;
	fd = pidfd_getfd(look->survivor->pidfd, number, 0);
	if (fd == -1) {
		if (errno != EBADF)	/* it was closed just now */
			look->error = errno;
		return look->error == 0 && --look->most > 0;
	}
	if (is_wanted(fd, look->addr)) {
		look->fd = fd;
		return false;
	}
	close(fd);
	return --look->most > 0;
}

static int
cannot_take(const struct survivor *survivor, int error, struct err *err)
{
	errno = error;
	if (error == EPERM || error == EACCES)
		return err_sys(err, "cannot take a socket from worker pid %d "
		    "(that needs root, or the same user where ptrace(2) is "
		    "allowed: see kernel.yama.ptrace_scope)",
		    (int)survivor->pid);
	return err_sys(err, "cannot take a socket from worker pid %d",
	    (int)survivor->pid);
}

/* A descriptor, or -1 with why in error; 0 there: it has no such socket. */
static int
take(const struct survivor *survivor, const struct addr *addr, int *error)
{
	struct look	 look = { .survivor = survivor, .addr = addr,
			    .fd = -1, .most = SOCKETS_MAX };
	char		 folder[32];

	snprintf(folder, sizeof(folder), "%d/fd", (int)survivor->pid);
	if (procfs_each(folder, on_descriptor, &look) == -1)
		look.error = errno;
	*error = look.error;
	return look.fd;
}

int
survivor_socket(const struct survivor *survivor, const struct addr *addr,
    struct err *err)
{
	int	 error, fd = take(survivor, addr, &error);

	if (fd == -1 && error != 0)
		return cannot_take(survivor, error, err);
	if (fd == -1)
		return err_set(err, "worker pid %d has no socket that listens "
		    "at %s", (int)survivor->pid, addr->text);
	return fd;
}

/* That we may not look at one is a better reason than that none has it. */
int
survivors_socket(const struct survivors *survivors, const struct addr *addr,
    struct err *err)
{
	int	 error, fd;

	err_set(err, "no worker that is left listens at %s", addr->text);
	for (size_t i = 0; i < survivors->count; i++) {
		fd = take(&survivors->list[i], addr, &error);
		if (fd != -1)
			return fd;
		if (error != 0)
			cannot_take(&survivors->list[i], error, err);
	}
	return -1;
}
