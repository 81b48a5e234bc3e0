#include "master/listener_priv.h"

#include <errno.h>
#include <poll.h>

#include "common/log.h"
#include "master/steer.h"

/*
 * Workers have the same sockets as we do, and shutdown(2) is for all who have
 * one: a listener that a worker shut down is dead for everybody. A TCP socket
 * can be made to listen again, the same one. A Unix socket cannot.
 */

static int
family_of(int fd)
{
	socklen_t	 len = sizeof(int);
	int		 family;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == -1 ?
	    -1 : family;
}

bool
listener_is_dead(int fd)
{
	struct pollfd	 watch = { .fd = fd, .events = POLLRDHUP };
	socklen_t	 len = sizeof(int);
	int		 listens = 1;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == -1)
		return false;
	if (!listens)
		return true;
	/* It goes on saying that it listens. */
	return family_of(fd) == AF_UNIX && poll(&watch, 1, 0) == 1 &&
	    (watch.revents & POLLRDHUP) != 0;
}

/*
 * One that was bound to port 0 has lost its port, too, whatever getsockname(2)
 * says: listen(2) would take another one. EINVAL: it has not. A second
 * shutdown(2) leaves a mark that all its connections would be born with, which
 * an address of no family removes.
 */
static int
listen_again(const struct listener *l, int fd)
{
	static const struct sockaddr	 none = { .sa_family = AF_UNSPEC };

	if (connect(fd, &none, sizeof(none)) == -1)
		return -1;
	if (bind(fd, (const struct sockaddr *)&l->sa, l->salen) == -1 &&
	    errno != EINVAL)
		return -1;
	return listen(fd, l->options.backlog);
}

/*
 * The places in a group are those that the sockets came in, and the last one
 * takes the place of one that leaves. From the first dead one on all have to
 * come anew, for each to be where it was. With none left, the group is a new
 * one, without a program.
 */
static int
revive_group(struct listener *l, int first)
{
	static const bool	 ready = true;

	for (int i = first; i < l->nfds; i++)
		if (!listener_is_dead(l->fds[i]) &&
		    shutdown(l->fds[i], SHUT_RDWR) == -1)
			return -1;
	for (int i = first; i < l->nfds; i++)
		if (listen_again(l, l->fds[i]) == -1)
			return -1;
	return first > 0 || l->nfds < 2 ? 0 :
	    steer_attach(l->fds[0], &ready, 1);
}

/* 0, or -1 with errno. */
static int
revive(struct listener *l, int first)
{
	if (l->steered)
		return revive_group(l, first);
	if (family_of(l->fds[0]) != AF_UNIX)
		return listen_again(l, l->fds[0]);
	if (l->kind == ADDR_UNIX)
		return unix_open_again(l);
	errno = EOPNOTSUPP;
	return -1;
}

static int
first_dead(const struct listener *l)
{
	for (int i = 0; i < l->nfds; i++)
		if (listener_is_dead(l->fds[i]))
			return i;
	return -1;
}

static enum revived
look(struct listener *l)
{
	int	 first;

	/* Those that let nobody in are none of this. */
	if (l->refused_ms != -1 || l->stuck || (first = first_dead(l)) == -1)
		return REVIVED_NONE;
	if (revive(l, first) == -1) {
		if (!l->lost)
			listener_warn(l, "a worker has shut it down: it "
			    "cannot be listened on again before a restart");
		l->lost = true;
		return REVIVED_NONE;
	}
	l->lost = false;
	log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
	    log_str("name", l->name), log_str("msg",
	    "a worker has shut it down: it is listened on again"));
	return l->kind == ADDR_UNIX ? REVIVED_OTHER :
	    l->steered ? REVIVED_GROUP : REVIVED_SAME;
}

enum revived
listeners_revive(void)
{
	struct listener	*l = NULL;
	enum revived	 most = REVIVED_NONE, one;

	while ((l = listener_next(l)) != NULL)
		if ((one = look(l)) > most)
			most = one;
	return most;
}
