#include "master/adopt.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/listener.h"
#include "master/resolve.h"
#include "master/survivors.h"

struct adopt {
	struct survivors	*survivors;
	const struct conf	*conf;
	struct listener_set	*found;		/* owned */
	ino_t			*inodes;	/* owned; of what we have */
	size_t			 count;
};

static void
note_inode(struct adopt *a, int fd)
{
	struct stat	 st;

	if (fstat(fd, &st) == -1)
		return;
	a->inodes = xreallocarray(a->inodes, a->count + 1,
	    sizeof(*a->inodes));
	a->inodes[a->count++] = st.st_ino;
}

static bool
shares_port(int fd)
{
	socklen_t	 len = sizeof(int);
	int		 shares = 0;

	return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shares, &len) == 0 &&
	    shares != 0;
}

/*
 * One socket; or where each slot had its own, all: what is queued in them is
 * served by our built-in workers, too. A program counts on as many sockets as
 * it was configured with. 0: done, 1: there may be more, or -1 with err.
 */
static int
take_one(struct adopt *a, const struct addr *addr, const struct sockaddr *sa,
    struct err *err)
{
	struct survivors_ask	 ask = { addr, sa, a->inodes, a->count };
	struct err		 why;
	int			 fd = survivors_socket(a->survivors, &ask, err);
	bool			 more;

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	note_inode(a, fd);
	more = shares_port(fd) && !conf_is_program(a->conf);
	log_event(EV_SURVIVOR_SOCKET, log_str("addr", addr->text),
	    log_int("fd", fd));
	/* One that cannot be used is bound anew. */
	if (listeners_found(a->found, fd, addr, &why) == -1)
		log_event(EV_LISTEN_NOTE, log_str("addr", addr->text),
		    log_str("name", addr->name), log_str("msg", why.text));
	return more;
}

static int
take(struct adopt *a, const struct addr *addr, const struct sockaddr *sa,
    struct err *err)
{
	int	 result;

	do
		result = take_one(a, addr, sa, err);
	while (result == 1);
	return result;
}

static bool
has_any_port(const struct addr *addr)
{
	return addr->kind == ADDR_TCP && addr->port == 0;
}

static int
take_those(struct adopt *a, const struct resolved *resolved, bool any_port,
    struct err *err)
{
	const struct conf_listen	*listen = &a->conf->listen;
	const struct addr		*addr;
	const struct sockaddr		*sa;
	size_t				 i, nr;
	socklen_t			 len;

	for (i = 0; i < listen->nbind; i++) {
		addr = &listen->bind[i];
		if (addr->kind == ADDR_FD || addr->kind == ADDR_NONE ||
		    has_any_port(addr) != any_port)
			continue;
		sa = resolved_addr(resolved, i, 0, &len);
		if (addr->host == NULL && take(a, addr, NULL, err) == -1)
			return -1;
		for (nr = 1; sa != NULL; nr++) {
			if (take(a, addr, sa, err) == -1)
				return -1;
			sa = resolved_addr(resolved, i, nr, &len);
		}
	}
	return 0;
}

/* Those with a port first: port 0 must not take it away from them. */
static int
take_all(struct adopt *a, const struct resolved *resolved, struct err *err)
{
	return take_those(a, resolved, false, err) == -1 ? -1 :
	    take_those(a, resolved, true, err);
}

/* Those that serve what we serve; without any socket, all. */
static void
keep_servers(struct adopt *a, const struct listener_set *set)
{
	struct listener	*listener;
	const char	*name;
	size_t		 i;
	int		 slot;

	a->count = 0;
	for (i = 0; i < listeners_count(set); i++) {
		listener = listener_set_nth(set, i, &name);
		for (slot = 0; slot < listener_sockets(listener); slot++)
			note_inode(a, listener_fd(listener, slot));
	}
	if (a->count > 0)
		survivors_keep(a->survivors, a->inodes, a->count);
}

struct listener_set *
adopt_sockets(struct survivors *survivors, const struct conf *conf,
    struct err *err)
{
	const struct conf_ids	*ids = &conf->master.ids;
	struct adopt		 a = { .survivors = survivors, .conf = conf };
	struct listener_set	*set = NULL;
	struct resolved		*resolved;

	survivors_of(survivors, ids->user_set ? ids->uid : geteuid());
	if (survivors->count == 0) {
		log_event(EV_SURVIVOR_NONE, log_str("name",
		    conf->master.name));
		return listeners_open(conf, NULL, err);
	}
	if ((resolved = resolve_now(conf, err)) == NULL)
		return NULL;
	a.found = listeners_found_new();
	if (take_all(&a, resolved, err) == 0 &&
	    (set = listeners_open(conf, a.found, err)) != NULL)
		keep_servers(&a, set);
	listener_set_drop(a.found);
	resolved_free(resolved);
	free(a.inodes);
	return set;
}
