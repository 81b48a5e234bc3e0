#include "master/listener_priv.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/refuse.h"

/*
 * Sockets that listened before we were there: a killed master's, or those that
 * the service manager kept for us.
 */

#ifndef SIOCUNIXFILE	/* in <linux/un.h>, which does not go with <sys/un.h> */
#define SIOCUNIXFILE	0x89e0
#endif

union address {
	struct sockaddr_storage	 any;
	struct sockaddr		 sa;
	struct sockaddr_in	 in;
	struct sockaddr_in6	 in6;
	struct sockaddr_un	 un;
};

/* ---- does it listen where it should? */

bool
same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in	*a4 = (const void *)a;
	const struct sockaddr_in	*b4 = (const void *)b;
	const struct sockaddr_in6	*a6 = (const void *)a;
	const struct sockaddr_in6	*b6 = (const void *)b;

	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	    a6->sin6_scope_id == b6->sin6_scope_id &&
	    memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

static bool
is_every_host(const union address *at)
{
	if (at->sa.sa_family == AF_INET)
		return at->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&at->in6.sin6_addr);
}

static bool
is_tcp(const union address *at, const struct addr *addr,
    const struct sockaddr *sa)
{
	if (at->sa.sa_family != AF_INET && at->sa.sa_family != AF_INET6)
		return false;
	/* sin_port and sin6_port are one. */
	if (addr->port != 0 && addr->port != ntohs(at->in.sin_port))
		return false;
	return sa == NULL ? addr->host == NULL && is_every_host(at) :
	    same_host(&at->sa, sa);
}

static bool
is_abstract(const union address *at, socklen_t len, const char *name)
{
	size_t	 head = offsetof(struct sockaddr_un, sun_path) + 1;

	return at->sa.sa_family == AF_UNIX && len > head &&
	    at->un.sun_path[0] == '\0' && len - head == strlen(name) &&
	    memcmp(at->un.sun_path + 1, name, strlen(name)) == 0;
}

/*
 * A socket keeps the name that it was first bound to, which is ours with an
 * ending (listener_unix.c) if it was one of muster's.
 */
static bool
is_named(const union address *at, const char *path)
{
	size_t		 size = sizeof(at->un.sun_path), len = strlen(path);
	const char	*bound = at->un.sun_path;

	if (strnlen(bound, size) < len || strncmp(bound, path, len) != 0)
		return false;
	return strnlen(bound, size) == len ||
	    (strnlen(bound, size) == len + 9 && bound[len] == '.' &&
	    strspn(bound + len + 1, "0123456789abcdef") >= 8);
}

/* Is it that file? Only to be asked with privileges; else its name counts. */
static bool
is_file(int fd, const union address *at, const char *path)
{
	struct stat	 bound, there;
	int		 file, result;

	if (at->sa.sa_family != AF_UNIX || at->un.sun_path[0] == '\0' ||
	    stat(path, &there) == -1)
		return false;
	if ((file = ioctl(fd, SIOCUNIXFILE)) == -1)
		return is_named(at, path);
	result = fstat(file, &bound);
	close(file);
	return result == 0 && bound.st_dev == there.st_dev &&
	    bound.st_ino == there.st_ino;
}

bool
listens_at(int fd, const struct addr *addr, const struct sockaddr *sa)
{
	union address	 at;
	socklen_t	 len = sizeof(at);

	memset(&at, 0, sizeof(at));
	if (inherit_unfit(fd) != NULL || getsockname(fd, &at.sa, &len) == -1)
		return false;
	if (addr->kind == ADDR_TCP)
		return is_tcp(&at, addr, sa);
	if (addr->kind == ADDR_ABSTRACT)
		return is_abstract(&at, len, addr->path);
	return addr->kind == ADDR_UNIX && is_file(fd, &at, addr->path);
}

/* ---- it becomes a listener */

static int
get_int(int fd, int level, int option)
{
	socklen_t	 len = sizeof(int);
	int		 value = 0;

	getsockopt(fd, level, option, &value, &len);
	return value;
}

/*
 * The folder and the file of a Unix socket, so that its name is removed at the
 * end as if we had made it. Without its name nobody comes to it.
 */
static int
find_file(const char *path, struct listener_saved *saved, struct err *err)
{
	const char	*slash = strrchr(path, '/');
	char		 folder[LISTENER_TEXT_MAX] = "./";
	struct stat	 st;

	if (lstat(path, &st) == -1)
		return err_sys(err, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, "%s is no socket any more", path);
	if (slash != NULL)
		snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path),
		    path);
	saved->dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (saved->dir == -1)
		return err_sys(err, "cannot open %s", folder);
	saved->dev = st.st_dev;
	saved->ino = st.st_ino;
	snprintf(saved->base, sizeof(saved->base), "%s",
	    slash == NULL ? path : slash + 1);
	return 0;
}

/* What another has set on it; listeners_apply() makes it what it should be. */
static void
ask_options(int fd, struct listener_saved *saved)
{
	int	 flags = fcntl(fd, F_GETFL);

	saved->nonblock = flags != -1 && (flags & O_NONBLOCK) != 0;
	if (saved->kind != ADDR_TCP)
		return;
	saved->nodelay = get_int(fd, IPPROTO_TCP, TCP_NODELAY) != 0;
	saved->keepalive = get_int(fd, SOL_SOCKET, SO_KEEPALIVE) != 0;
	saved->defer_s = get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT);
	saved->v6only = get_int(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6 &&
	    get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
	/* A master that was on its way out let nobody in. */
	refuse_undo(fd);
}

/* As an image of ours would have written it down. */
static struct listener *
listener_of(int fd, const struct addr *addr, struct err *err)
{
	struct listener_saved	 saved = { .kind = addr->kind, .nfds = 1,
				    .dir = -1 };
	struct sockaddr_storage	 sa;
	struct listener		*listener;
	socklen_t		 len = sizeof(sa);

	memset(&sa, 0, sizeof(sa));
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == -1) {
		err_sys(err, "cannot take %s over", addr->text);
		return NULL;
	}
	saved.id = listener_id_next();
	saved.salen = len;
	memcpy(saved.sa, &sa, len);
	snprintf(saved.key, sizeof(saved.key), "%s", addr->text);
	snprintf(saved.name, sizeof(saved.name), "%s", addr->name);
	addr_format((struct sockaddr *)&sa, len, saved.text,
	    sizeof(saved.text));
	ask_options(fd, &saved);
	if (addr->kind == ADDR_UNIX && find_file(addr->path, &saved, err) ==
	    -1)
		return NULL;
	listener = listener_restore(&saved, &fd, 1, err);
	if (listener == NULL && saved.dir != -1)
		close(saved.dir);
	return listener;
}

struct listener_set *
listeners_found_new(void)
{
	struct listener_set	*set = xcalloc(1, sizeof(*set));

	set->refs = 1;
	return set;
}

int
listeners_found(struct listener_set *set, int fd, const struct addr *addr,
    struct err *err)
{
	struct listener	*listener = listener_of(fd, addr, err);

	if (listener == NULL) {
		close(fd);
		return -1;
	}
	set_add(set, listener, addr->name);
	return 0;
}
