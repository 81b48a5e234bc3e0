#include "master/listener_priv.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/steer.h"

static int
set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Accepted sockets inherit the options from the listening one. */
static int
set_options(int fd, const struct listeners *ls, int family, bool v6only)
{
	if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
		return -1;
	if (family == AF_INET6 &&
	    set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only) == -1)
		return -1;
	if (ls->nodelay && set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) == -1)
		return -1;
	if (ls->keepalive && set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1)
		return -1;
	if (ls->defer_s > 0 &&
	    set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, ls->defer_s) == -1)
		return -1;
	return 0;
}

/*
 * The first socket of a SO_REUSEPORT group listens before it gets the option:
 * bind(2) and listen(2) then refuse a port that anybody listens on, another
 * muster of the same user included, which would else get a share of our
 * connections without a word. Of two that come at once, listen(2) lets one
 * through. The others join: by then the port is known to be ours. (A program
 * of the same user that sets the option and asks nothing can still join us
 * later; no option keeps it out.)
 */
static int
open_socket(const struct listeners *ls, const struct sockaddr *sa,
    socklen_t salen, bool v6only, bool join)
{
	int	 fd, saved;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return -1;
	if (set_options(fd, ls, sa->sa_family, v6only) == -1)
		goto fail;
	if (join && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
		goto fail;
	if (bind(fd, sa, salen) == -1 || listen(fd, ls->backlog) == -1)
		goto fail;
	if (ls->reuseport && !join &&
	    set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* 0, or -1 with errno. */
static int
open_one(struct listeners *ls, const struct addr *addr,
    const struct sockaddr *sa, socklen_t salen, bool v6only)
{
	struct listener	*l;
	char		 text[NI_MAXHOST + 16];
	int		 fd;

	fd = open_socket(ls, sa, salen, v6only, false);
	if (fd == -1)
		return -1;
	l = listener_add(ls, ADDR_TCP, addr->name);
	listener_own(l, fd);
	l->v6only = v6only;
	l->steered = ls->reuseport;
	l->salen = sizeof(l->sa);
	if (getsockname(fd, (struct sockaddr *)&l->sa, &l->salen) == -1)
		return -1;
	addr_format((struct sockaddr *)&l->sa, l->salen, text, sizeof(text));
	l->text = xstrdup(text);
	return 0;
}

static bool
no_such_family(int error)
{
	return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* All addresses: one socket for v6 and v4, or for v4 where there is no v6. */
static int
open_any(struct listeners *ls, const struct addr *addr, struct err *err)
{
	struct sockaddr_in6	 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)addr->port),
		.sin6_addr = IN6ADDR_ANY_INIT,
	};
	struct sockaddr_in	 in = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)addr->port),
		.sin_addr = { .s_addr = htonl(INADDR_ANY) },
	};

	if (open_one(ls, addr, (struct sockaddr *)&in6, sizeof(in6),
	    false) == 0)
		return 0;
	if (no_such_family(errno) && open_one(ls, addr,
	    (struct sockaddr *)&in, sizeof(in), false) == 0)
		return 0;
	return listener_error(addr->text, err);
}

static struct addrinfo *
resolve(const struct addr *addr, struct err *err)
{
	struct addrinfo	*list, hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	char		 port[16];
	int		 error;

	snprintf(port, sizeof(port), "%d", addr->port);
	error = getaddrinfo(addr->host, port, &hints, &list);
	if (error == 0)
		return list;
	if (error == EAI_SYSTEM)
		listener_error(addr->text, err);
	else
		err_set(err, "cannot listen on %s: %s", addr->text,
		    gai_strerror(error));
	return NULL;
}

int
listeners_resolvable(const struct conf *conf, struct err *err)
{
	const struct addr	*addr;
	struct addrinfo		*list;
	size_t			 i;

	for (i = 0; i < conf->listen.nbind; i++) {
		addr = &conf->listen.bind[i];
		if (addr->kind != ADDR_TCP || addr->host == NULL)
			continue;
		if ((list = resolve(addr, err)) == NULL)
			return -1;
		freeaddrinfo(list);
	}
	return 0;
}

/* Did the list have this address before? A name may be in a hosts file twice. */
static bool
seen(const struct addrinfo *list, const struct addrinfo *ai)
{
	for (; list != ai; list = list->ai_next)
		if (list->ai_addrlen == ai->ai_addrlen &&
		    memcmp(list->ai_addr, ai->ai_addr, ai->ai_addrlen) == 0)
			return true;
	return false;
}

/*
 * A name like localhost has a v6 address even where the kernel has no v6; that
 * one is passed over, if another of its addresses does.
 */
static bool
can_skip(const struct addrinfo *ai, int error)
{
	const struct sockaddr_in6	*in6 = (const void *)ai->ai_addr;

	return ai->ai_family == AF_INET6 && no_such_family(error) &&
	    (error == EAFNOSUPPORT || IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
}

int
tcp_open(struct listeners *ls, const struct addr *addr, struct err *err)
{
	struct addrinfo	*list;
	size_t		 before = ls->count;
	bool		 skipped = false;
	int		 r = 0;

	if (addr->host == NULL)
		return open_any(ls, addr, err);
	list = resolve(addr, err);
	if (list == NULL)
		return -1;
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (seen(list, ai) || open_one(ls, addr, ai->ai_addr,
		    ai->ai_addrlen, ai->ai_family == AF_INET6) == 0)
			continue;
		r = listener_error(addr->text, err);
		if (!can_skip(ai, errno))
			goto out;
		skipped = true;
	}
	if (ls->count == before)
		goto out;
	r = 0;
	if (skipped)
		log_event(EV_LISTEN_NOTE, log_str("addr", addr->text),
		    log_str("msg", "IPv6 is not available: only its other "
		    "addresses are listened on"));
out:
	freeaddrinfo(list);
	return r;
}

/*
 * From its second socket on the group is a group and can be steered: to the
 * first one, until listeners_steer() knows better. Later ones come under the
 * program that there is.
 */
int
tcp_open_slot(const struct listeners *ls, struct listener *l,
    struct err *err)
{
	static const bool	 first = true;
	int			 fd;

	fd = open_socket(ls, (struct sockaddr *)&l->sa, l->salen, l->v6only,
	    true);
	if (fd == -1)
		return listener_error(l->text, err);
	listener_own(l, fd);
	if (l->nfds == 2 && steer_attach(fd, &first, 1) == -1)
		log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
		    log_str("name", l->name),
		    log_str("msg", "cannot choose who gets new connections"),
		    log_errno());
	return 0;
}
