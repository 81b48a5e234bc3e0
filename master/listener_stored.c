#include "master/listener_priv.h"

#include <sys/stat.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/resolve.h"

/*
 * Sockets of ours that the service manager kept for us (store.h). They come
 * back in LISTEN_FDS among those of its own, known by a name that has the
 * socket's inode number in it, so that nobody has such a name by chance.
 */
#define PREFIX	"muster-"

struct stored {
	int	 fd;		/* owned; -1: taken */
	char	*name;		/* owned */
};

/* What is to be forgotten by the manager: nobody will ever serve it. */
static char	**unwanted;
static size_t	  nunwanted;

/* ---- names */

static int
write_head(int fd, char out[LISTENER_STORE_NAME])
{
	struct stat	 st;

	if (fstat(fd, &st) == -1)
		return -1;
	return snprintf(out, LISTENER_STORE_NAME, PREFIX "%llu-",
	    (unsigned long long)st.st_ino);
}

/* A manager's names have no colon, and only what can be printed. */
static bool
write_name(int fd, const char *name, char out[LISTENER_STORE_NAME])
{
	int	 len = write_head(fd, out);

	if (len == -1)
		return false;
	snprintf(out + len, LISTENER_STORE_NAME - (size_t)len, "%s", name);
	for (char *p = out + len; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || *p == ':')
			*p = '_';
	return true;
}

bool
listener_store_name(const struct listener *l, const char *name,
    char out[LISTENER_STORE_NAME])
{
	return l->kind != ADDR_FD && !l->steered && listener_usable(l) &&
	    write_name(l->fds[0], name, out);
}

bool
stored_is(int fd, const char *name)
{
	char	 head[LISTENER_STORE_NAME];

	return name != NULL && write_head(fd, head) != -1 &&
	    strncmp(name, head, strlen(head)) == 0;
}

/* ---- which of them is asked for */

void
stored_add(struct plan *plan, int fd, const char *name)
{
	plan->stored = xreallocarray(plan->stored, plan->nstored + 1,
	    sizeof(*plan->stored));
	plan->stored[plan->nstored++] = (struct stored){ fd, xstrdup(name) };
}

/* Is there no way to let anybody in again? As after refuse.h, or shutdown. */
static bool
is_spent(int fd)
{
	struct pollfd	 watch = { .fd = fd, .events = POLLRDHUP };
	socklen_t	 len = sizeof(int);
	int		 interface = 0;

	return poll(&watch, 1, 0) == 1 || (getsockopt(fd, SOL_SOCKET,
	    SO_BINDTOIFINDEX, &interface, &len) == 0 && interface == INT_MAX);
}

/* Without a port of its own it is known by its name, as two may be alike. */
static bool
is_asked_for(const struct stored *stored, const struct addr *addr,
    const struct sockaddr *sa)
{
	char	 name[LISTENER_STORE_NAME];

	if (stored->fd == -1 || !listens_at(stored->fd, addr, sa) ||
	    is_spent(stored->fd))
		return false;
	return addr->kind != ADDR_TCP || addr->port != 0 ||
	    (write_name(stored->fd, addr->name, name) &&
	    strcmp(name, stored->name) == 0);
}

static void
take(struct plan *plan, struct listener_set *found, const struct addr *addr,
    const struct sockaddr *sa)
{
	struct stored	*stored = NULL;
	struct err	 err;

	for (size_t i = 0; i < plan->nstored && stored == NULL; i++)
		if (is_asked_for(&plan->stored[i], addr, sa))
			stored = &plan->stored[i];
	if (stored == NULL)
		return;
	log_event(EV_LISTEN_KEPT, log_str("addr", addr->text),
	    log_int("fd", stored->fd));
	/* One that cannot be used is bound anew. */
	if (listeners_found(found, stored->fd, addr, &err) == -1)
		log_event(EV_LISTEN_NOTE, log_str("addr", addr->text),
		    log_str("name", addr->name), log_str("msg", err.text));
	stored->fd = -1;
}

/* A socket of its own for each slot is made in order, and so not kept. */
static bool
is_kept(const struct plan *plan, const struct addr *addr)
{
	return addr->kind == ADDR_UNIX || addr->kind == ADDR_ABSTRACT ||
	    (addr->kind == ADDR_TCP && plan->conf->accept != ACCEPT_REUSEPORT);
}

/* Those with a port first: port 0 must not take it away from them. */
static void
take_all(struct plan *plan, struct listener_set *found, bool any_port)
{
	const struct addr	*addr;
	const struct sockaddr	*sa;
	socklen_t		 len;

	for (size_t i = 0; i < plan->conf->nbind; i++) {
		addr = &plan->conf->bind[i];
		if (!is_kept(plan, addr) || any_port !=
		    (addr->kind == ADDR_TCP && addr->port == 0))
			continue;
		if (addr->host == NULL)
			take(plan, found, addr, NULL);
		sa = resolved_addr(plan->resolved, i, 0, &len);
		for (size_t nr = 1; sa != NULL; nr++) {
			take(plan, found, addr, sa);
			sa = resolved_addr(plan->resolved, i, nr, &len);
		}
	}
}

/* ---- what becomes of the others */

static bool
is_held(const struct listener_set *set, int fd)
{
	struct stat	 ours, theirs;

	for (size_t i = 0; set != NULL && i < set->count; i++)
		if (fstat(fd, &theirs) == 0 &&
		    fstat(set->list[i].listener->fds[0], &ours) == 0 &&
		    ours.st_ino == theirs.st_ino)
			return true;
	return false;
}

/*
 * The manager has it, too: closing it would leave a port where clients wait
 * in vain, and which nobody else can bind.
 */
static void
give_up(struct stored *stored)
{
	char	*msg = xasprintf("%s, which the service manager kept, is not "
		    "asked for any more: closed", stored->name);

	shutdown(stored->fd, SHUT_RDWR);
	log_event(EV_LISTEN_NOTE, log_int("fd", stored->fd),
	    log_str("msg", msg));
	free(msg);
	unwanted = xreallocarray(unwanted, nunwanted + 1, sizeof(*unwanted));
	unwanted[nunwanted++] = xstrdup(stored->name);
}

const char *
listeners_unwanted(size_t nr)
{
	return nr < nunwanted ? unwanted[nr] : NULL;
}

struct listener_set *
stored_take(struct plan *plan)
{
	struct listener_set	*found = listeners_found_new();

	/* What survivors of a killed master gave us may be the same. */
	for (size_t i = 0; i < plan->nstored; i++)
		if (is_held(plan->current, plan->stored[i].fd)) {
			close(plan->stored[i].fd);
			plan->stored[i].fd = -1;
		}
	/* The manager's own sockets come before what bind says. */
	if (plan->set->count == 0) {
		take_all(plan, found, false);
		take_all(plan, found, true);
	}
	for (size_t i = 0; i < plan->nstored; i++)
		if (plan->stored[i].fd != -1)
			give_up(&plan->stored[i]);
	stored_free(plan);
	return found;
}

void
stored_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->nstored; i++) {
		if (plan->stored[i].fd != -1)
			close(plan->stored[i].fd);
		free(plan->stored[i].name);
	}
	free(plan->stored);
	plan->stored = NULL;
	plan->nstored = 0;
}
