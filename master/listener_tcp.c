#include "master/listener_priv.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/resolve.h"
#include "master/steer.h"

static int
set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/*
 * Accepted sockets inherit the options from the listening one. old is what it
 * has by now.
 */
static int
set_options(int fd, const struct listener_options *o,
    const struct listener_options *old)
{
	if (o->nodelay != old->nodelay &&
	    set_int(fd, IPPROTO_TCP, TCP_NODELAY, o->nodelay) == -1)
		return -1;
	if (o->keepalive != old->keepalive &&
	    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, o->keepalive) == -1)
		return -1;
	if (o->defer_s != old->defer_s &&
	    set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, o->defer_s) == -1)
		return -1;
	return 0;
}

/* One socket of a listener; those of others are only told how they wait. */
static int
change_options(const struct listener *l, int fd,
    const struct listener_options *o)
{
	if (o->nonblock != l->options.nonblock &&
	    fd_nonblock(fd, o->nonblock) == -1)
		return -1;
	if (l->kind == ADDR_FD)
		return 0;
	if (o->backlog != l->options.backlog && listen(fd, o->backlog) == -1)
		return -1;
	return l->kind != ADDR_TCP ? 0 : set_options(fd, o, &l->options);
}

void
listener_set_options(struct listener *l, const struct listener_options *o)
{
	for (int i = 0; i < l->nfds; i++)
		if (change_options(l, l->fds[i], o) == -1)
			listener_warn(l, "cannot change its options");
	l->options = *o;
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
open_socket(const struct listener *l, bool join)
{
	static const struct listener_options	 none = { .nonblock = true };
	const struct sockaddr			*sa = (const void *)&l->sa;
	int					 fd, saved;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return -1;
	if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
		goto fail;
	if (sa->sa_family == AF_INET6 &&
	    set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, l->v6only) == -1)
		goto fail;
	if (set_options(fd, &l->options, &none) == -1)
		goto fail;
	if (!l->options.nonblock && fd_nonblock(fd, false) == -1)
		goto fail;
	if (join && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
		goto fail;
	if (bind(fd, sa, l->salen) == -1 || listen(fd, l->options.backlog) ==
	    -1)
		goto fail;
	if (join != l->steered &&
	    set_int(fd, SOL_SOCKET, SO_REUSEPORT, l->steered) == -1)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * One that refuses for good may still hold the port for what is left in its
 * queue. Bound to another interface it is of another group than who joins it
 * now. Is there any?
 */
static bool
has_left(const struct sockaddr *sa, socklen_t salen)
{
	struct listener	*l = NULL;
	bool		 found = false;

	while ((l = listener_next(l)) != NULL) {
		if (l->kind != ADDR_TCP || !l->stuck ||
		    l->salen != salen || memcmp(&l->sa, sa, salen) != 0)
			continue;
		for (int i = 0; i < l->nfds; i++)
			set_int(l->fds[i], SOL_SOCKET, SO_REUSEPORT, 1);
		found = true;
	}
	return found;
}

/* 0, or -1 with errno. */
static int
open_one(struct plan *plan, const struct addr *addr,
    const struct sockaddr *sa, socklen_t salen, bool v6only)
{
	struct listener	*l;
	char		 text[NI_MAXHOST + 16];
	bool		 join = has_left(sa, salen);
	int		 fd, saved;

	l = listener_new(ADDR_TCP, addr->text, NULL, -1);
	l->v6only = v6only;
	l->steered = plan->conf->accept == ACCEPT_REUSEPORT;
	l->options = plan->options;
	l->salen = salen;
	memcpy(&l->sa, sa, salen);
	fd = open_socket(l, join);
	if (fd != -1)
		listener_own(l, fd);
	if (fd == -1 || listener_ask_name(l) == -1) {
		saved = errno;
		listener_drop(l);
		errno = saved;
		return -1;
	}
	addr_format((struct sockaddr *)&l->sa, l->salen, text, sizeof(text));
	l->text = xstrdup(text);
	set_add(plan->set, l, addr->name);
	return 0;
}

static bool
no_such_family(int error)
{
	return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* All addresses: one socket for v6 and v4, or for v4 where there is no v6. */
static int
open_any(struct plan *plan, const struct addr *addr, struct err *err)
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

	if (plan_keep(plan, addr, NULL))
		return 0;
	if (open_one(plan, addr, (struct sockaddr *)&in6, sizeof(in6),
	    false) == 0)
		return 0;
	if (no_such_family(errno) && open_one(plan, addr,
	    (struct sockaddr *)&in, sizeof(in), false) == 0)
		return 0;
	return listener_error(addr->text, err);
}

/*
 * A name like localhost has a v6 address even where the kernel has no v6; that
 * one is passed over, if another of its addresses does.
 */
static bool
can_skip(const struct sockaddr *sa, int error)
{
	const struct sockaddr_in6	*in6 = (const void *)sa;

	return sa->sa_family == AF_INET6 && no_such_family(error) &&
	    (error == EAFNOSUPPORT || IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
}

int
tcp_open(struct plan *plan, size_t bind, struct err *err)
{
	const struct addr	*addr = &plan->conf->bind[bind];
	const struct sockaddr	*sa;
	size_t			 before = plan->set->count, nr = 0;
	socklen_t		 salen;
	bool			 skipped = false;

	if (addr->host == NULL)
		return open_any(plan, addr, err);
	err_set(err, "cannot listen on %s: it has no address", addr->text);
	for (; (sa = resolved_addr(plan->resolved, bind, nr, &salen)) != NULL;
	    nr++) {
		if (plan_keep(plan, addr, sa) || open_one(plan, addr, sa,
		    salen, sa->sa_family == AF_INET6) == 0)
			continue;
		listener_error(addr->text, err);
		if (!can_skip(sa, errno))
			return -1;
		skipped = true;
	}
	if (plan->set->count == before)
		return -1;
	if (skipped)
		log_event(EV_LISTEN_NOTE, log_str("addr", addr->text),
		    log_str("msg", "IPv6 is not available: only its other "
		    "addresses are listened on"));
	return 0;
}

/*
 * From its second socket on the group is a group and can be steered: to the
 * first one, until listener_steer() knows better. Later ones come under the
 * program that there is.
 */
int
tcp_open_slot(struct listener *l, struct err *err)
{
	static const bool	 first = true;
	int			 fd;

	fd = open_socket(l, true);
	if (fd == -1)
		return listener_error(l->text, err);
	listener_own(l, fd);
	if (l->nfds == 2 && steer_attach(fd, &first, 1) == -1)
		listener_warn(l, "cannot choose who gets new connections");
	if (l->refused_ms != -1)
		listener_refuse_socket(l, fd);
	return 0;
}
