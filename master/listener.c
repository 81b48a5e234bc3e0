#include "master/keep.h"
#include "master/listener_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/refuse.h"
#include "master/steer.h"

/* A process has one set of descriptors, so all of them stand here. */
static TAILQ_HEAD(, listener)	 all = TAILQ_HEAD_INITIALIZER(all);
static uint32_t			 last_id;
static bool			 disowned;

/* The one place where descriptors are told to whoever keeps them. */
void
listener_note_fd(int fd, enum listener_fd kind, bool comes)
{
	if (!comes)
		keep_drop(fd);
	else
		keep_add(fd, kind == LISTENER_SOCKET ? KEEP_LISTENER :
		    KEEP_DIR);
}

/* ---- life */

struct listener *
listener_new(enum addr_kind kind, const char *key, const char *text, int fd)
{
	struct listener	*l = xcalloc(1, sizeof(*l));

	*l = (struct listener){ .id = ++last_id, .refs = 1, .kind = kind,
	    .dir = -1, .refused_ms = -1 };
	l->key = xstrdup(key);
	l->name = xstrdup(key);
	if (text != NULL)
		l->text = xstrdup(text);
	TAILQ_INSERT_TAIL(&all, l, link);
	if (fd != -1)
		listener_own(l, fd);
	return l;
}

uint32_t
listener_id_next(void)
{
	return last_id + 1;
}

void
listener_own(struct listener *l, int fd)
{
	l->fds = xreallocarray(l->fds, (size_t)l->nfds + 1, sizeof(*l->fds));
	l->fds[l->nfds++] = fd;
	listener_note_fd(fd, LISTENER_SOCKET, true);
}

void
listener_renumber(struct listener *l, uint32_t id)
{
	l->id = id;
	if (last_id < id)
		last_id = id;
}

int
listener_ask_name(struct listener *l)
{
	l->salen = sizeof(l->sa);
	return getsockname(l->fds[0], (struct sockaddr *)&l->sa, &l->salen);
}

struct listener *
listener_hold(struct listener *l)
{
	l->refs++;
	return l;
}

void
listener_drop(struct listener *l)
{
	if (l == NULL || --l->refs > 0)
		return;
	TAILQ_REMOVE(&all, l, link);
	if (!disowned)
		unix_unlink(l);
	else if (l->dir != -1)
		close(l->dir);
	for (int i = 0; i < l->nfds; i++) {
		if (!disowned)
			listener_note_fd(l->fds[i], LISTENER_SOCKET, false);
		close(l->fds[i]);
	}
	free(l->fds);
	free(l->key);
	free(l->name);
	free(l->text);
	free(l->base);
	free(l);
}

void
listeners_disown(void)
{
	disowned = true;
}

/* ---- what is said of it */

int
listener_error(const char *text, struct err *err)
{
	return err_sys(err, "cannot listen on %s", text);
}

void
listener_warn(const struct listener *l, const char *msg)
{
	log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
	    log_str("name", l->name), log_str("msg", msg), log_errno());
}

struct listener *
listener_next(struct listener *previous)
{
	return previous == NULL ? TAILQ_FIRST(&all) :
	    TAILQ_NEXT(previous, link);
}

bool
listener_unused(const struct listener *l)
{
	return l->refs == 1;
}

uint32_t
listener_id(const struct listener *l)
{
	return l->id;
}

const char *
listener_text(const struct listener *l)
{
	return l->text;
}

const char *
listener_name(const struct listener *l)
{
	return l->name;
}

enum addr_kind
listener_kind(const struct listener *l)
{
	return l->kind;
}

int64_t
listener_refused_ms(const struct listener *l)
{
	return l->refused_ms;
}

bool
listener_is_steered(const struct listener *l)
{
	return l->steered;
}

int
listener_sockets(const struct listener *l)
{
	return l->nfds;
}

int
listener_fd(const struct listener *l, int slot)
{
	if (!l->steered)
		slot = 0;
	return slot < 0 || slot >= l->nfds ? -1 : l->fds[slot];
}

bool
listener_quiet(const struct listener *l, int slot)
{
	struct pollfd	 watch = { .fd = listener_fd(l, slot),
			    .events = POLLIN };
	struct tcp_info	 info;
	socklen_t	 len = sizeof(info);

	if (watch.fd == -1 || l->kind == ADDR_FD)
		return true;
	if (l->kind != ADDR_TCP)
		return poll(&watch, 1, 0) != 1 || l->stuck;
	/* of a listening socket, unacked is its accept queue */
	return getsockopt(watch.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1 ||
	    info.tcpi_unacked == 0;
}

void
listener_steer(struct listener *l, const bool *ready, int count)
{
	/* one socket is no group yet, and needs no choice */
	if (!l->steered || l->nfds < 2)
		return;
	if (steer_attach(l->fds[0], ready,
	    count < l->nfds ? count : l->nfds) == -1)
		listener_warn(l, "cannot choose anew who gets new "
		    "connections");
}

/* ---- nobody new */

void
listener_shut(struct listener *l)
{
	if (l->stuck || l->kind != ADDR_ABSTRACT)
		return;
	l->stuck = true;
	if (shutdown(l->fds[0], SHUT_RD) == -1)
		listener_warn(l, "cannot refuse new connections");
}

void
listener_refuse_socket(struct listener *l, int fd)
{
	switch (refuse_syns(fd)) {
	case 1:
		l->stuck = true;
		break;
	case -1:
		listener_warn(l, "cannot refuse new connections");
		break;
	}
}

static void
refuse(struct listener *l)
{
	if (l->refused_ms != -1)
		return;
	for (int i = 0; l->kind == ADDR_TCP && i < l->nfds; i++)
		listener_refuse_socket(l, l->fds[i]);
	if (l->kind == ADDR_UNIX)
		unix_unlink(l);
	l->refused_ms = clock_now_ms();
	log_event(EV_LISTEN_CLOSED, log_str("addr", l->text),
	    log_str("name", l->name));
}

void
listener_admit(struct listener *l)
{
	if (l->refused_ms == -1)
		return;
	for (int i = 0; l->kind == ADDR_TCP && i < l->nfds; i++)
		if (refuse_undo(l->fds[i]) == -1)
			listener_warn(l, "cannot let new connections in "
			    "again");
	l->refused_ms = -1;
	l->announced = false;
}

void
listeners_retire(const struct listener_set *old,
    const struct listener_set *now)
{
	for (size_t i = 0; old != NULL && i < old->count; i++) {
		struct listener	*l = old->list[i].listener;

		if (!listener_set_has(now, l))
			refuse(l);
	}
}

bool
listeners_retired_quiet(const struct listener_set *old,
    const struct listener_set *now)
{
	for (size_t i = 0; old != NULL && i < old->count; i++) {
		struct listener	*l = old->list[i].listener;

		if (listener_set_has(now, l))
			continue;
		for (int n = 0; n < l->nfds; n++)
			if (!listener_quiet(l, n))
				return false;
	}
	return true;
}

void
listeners_refuse_all(void)
{
	struct listener	*l;

	TAILQ_FOREACH(l, &all, link) {
		if (l->kind == ADDR_FD)
			continue;
		refuse(l);
		listener_shut(l);
	}
}
