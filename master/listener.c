#include "master/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/listener_priv.h"
#include "master/refuse.h"
#include "master/steer.h"

/* Its steering program has 1000 holes at worst, see steer.h. */
#define MAX_SLOTS	2000

struct listener *
listener_add(struct listeners *ls, enum addr_kind kind, const char *name)
{
	struct listener	*l;

	ls->list = xreallocarray(ls->list, ls->count + 1, sizeof(*ls->list));
	l = &ls->list[ls->count++];
	*l = (struct listener){ .kind = kind, .name = xstrdup(name),
	    .dir = -1 };
	return l;
}

void
listener_own(struct listener *l, int fd)
{
	l->fds = xreallocarray(l->fds, (size_t)l->nfds + 1, sizeof(*l->fds));
	l->fds[l->nfds++] = fd;
}

int
listener_error(const char *text, struct err *err)
{
	return err_sys(err, "cannot listen on %s", text);
}

static int
open_addr(struct listeners *ls, const struct addr *addr,
    const struct conf_listen *conf, struct err *err)
{
	switch (addr->kind) {
	case ADDR_TCP:
		return tcp_open(ls, addr, err);
	case ADDR_UNIX:
	case ADDR_ABSTRACT:
		return unix_open(ls, addr, conf, err);
	case ADDR_FD:
		return inherit_open(ls, addr, err);
	case ADDR_NONE:
		break;
	}
	return 0;
}

static int
open_all(struct listeners *ls, const struct conf_listen *conf,
    struct err *err)
{
	int	 adopted;

	if (inherit_check(conf, err) == -1)
		return -1;
	adopted = inherit_listen_fds(ls, conf, err);
	if (adopted != 0)
		return adopted == -1 ? -1 : 0;
	for (size_t i = 0; i < conf->nbind; i++)
		if (open_addr(ls, &conf->bind[i], conf, err) == -1)
			return -1;
	return 0;
}

/* listen(2) cuts the backlog off without a word. */
static void
note_backlog(const struct listeners *ls)
{
	FILE	*file;
	int	 limit;

	for (size_t i = 0; i < ls->count; i++) {
		if (ls->list[i].kind == ADDR_FD)
			continue;
		file = fopen("/proc/sys/net/core/somaxconn", "re");
		if (file == NULL)
			return;
		if (fscanf(file, "%d", &limit) == 1 && limit < ls->backlog)
			log_event(EV_LISTEN_BACKLOG,
			    log_str("addr", ls->list[i].text),
			    log_int("backlog", ls->backlog),
			    log_int("limit", limit),
			    log_str("msg", "cut to net.core.somaxconn"));
		fclose(file);
		return;
	}
}

static void
note_open(const struct listeners *ls)
{
	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];

		if (l->kind == ADDR_FD)
			log_event(EV_LISTEN_OPEN, log_str("addr", l->text),
			    log_str("name", l->name),
			    log_int("fd", l->fds[0]));
		else
			log_event(EV_LISTEN_OPEN, log_str("addr", l->text),
			    log_str("name", l->name),
			    log_int("fd", l->fds[0]),
			    log_int("backlog", ls->backlog));
		if (ls->reuseport && !l->steered)
			log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
			    log_str("name", l->name), log_str("msg", "accept ="
			    " reuseport is for TCP sockets of our own: this "
			    "one is shared"));
	}
	note_backlog(ls);
}

struct listeners *
listeners_open(const struct conf *conf, struct err *err)
{
	const struct conf_listen	*c = &conf->listen;
	struct listeners		*ls = xcalloc(1, sizeof(*ls));

	ls->backlog = c->backlog;
	ls->defer_s = (int)((c->defer_accept + 999) / 1000);
	ls->nodelay = c->nodelay;
	ls->keepalive = c->keepalive;
	ls->reuseport = c->accept == ACCEPT_REUSEPORT;
	if (open_all(ls, c, err) == -1) {
		listeners_free(ls);
		return NULL;
	}
	note_open(ls);
	return ls;
}

static void
refuse(struct listener *l)
{
	int	 r = 0;

	if (l->kind == ADDR_TCP) {
		for (int i = 0; i < l->nfds; i++)
			if (refuse_syns(l->fds[i]) == -1)
				r = -1;
	} else if (l->kind == ADDR_UNIX) {
		unix_unlink(l);
	} else if (l->kind == ADDR_ABSTRACT) {
		r = shutdown(l->fds[0], SHUT_RD);
	}
	if (r == -1)
		log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
		    log_str("name", l->name),
		    log_str("msg", "cannot refuse new connections"),
		    log_errno());
}

void
listeners_refuse(struct listeners *ls)
{
	if (ls->refused)
		return;
	ls->refused = true;
	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];

		if (l->kind == ADDR_FD)
			continue;
		refuse(l);
		log_event(EV_LISTEN_CLOSED, log_str("addr", l->text),
		    log_str("name", l->name));
	}
}

void
listeners_free(struct listeners *ls)
{
	if (ls == NULL)
		return;
	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];

		unix_unlink(l);
		for (int n = 0; n < l->nfds; n++)
			close(l->fds[n]);
		free(l->fds);
		free(l->name);
		free(l->text);
		free(l->base);
	}
	free(ls->list);
	free(ls);
}

/* Sockets up to the slot's, in order: their place in the group is its number. */
static int
open_slots(struct listeners *ls, int slot, struct err *err)
{
	if (slot >= MAX_SLOTS)
		return err_set(err, "accept = reuseport serves %d workers at "
		    "most", MAX_SLOTS);
	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];

		while (l->steered && l->nfds <= slot) {
			if (tcp_open_slot(ls, l, err) == -1)
				return -1;
			if (ls->refused)
				refuse(l);
		}
	}
	return 0;
}

int
listeners_for_slot(struct listeners *ls, int slot, struct inherited *out,
    size_t max, struct err *err)
{
	if (listeners_steered(ls) && open_slots(ls, slot, err) == -1)
		return -1;
	for (size_t i = 0; i < ls->count && i < max; i++) {
		struct listener	*l = &ls->list[i];

		out[i] = (struct inherited){
			.fd = l->fds[l->steered ? slot : 0],
			.name = l->name, .text = l->text,
		};
	}
	return (int)ls->count;
}

size_t
listeners_count(const struct listeners *ls)
{
	return ls->count;
}

bool
listeners_steered(const struct listeners *ls)
{
	for (size_t i = 0; i < ls->count; i++)
		if (ls->list[i].steered)
			return true;
	return false;
}

int
listeners_max_slots(void)
{
	return MAX_SLOTS;
}

int
listeners_slots(const struct listeners *ls)
{
	int	 slots = MAX_SLOTS;

	if (!listeners_steered(ls))
		return 0;
	for (size_t i = 0; i < ls->count; i++)
		if (ls->list[i].steered && ls->list[i].nfds < slots)
			slots = ls->list[i].nfds;
	return slots;
}

void
listeners_steer(struct listeners *ls, const bool *ready, int count)
{
	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];

		/* one socket is no group yet, and needs no choice */
		if (!l->steered || l->nfds < 2)
			continue;
		if (steer_attach(l->fds[0], ready,
		    count < l->nfds ? count : l->nfds) == -1)
			log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
			    log_str("name", l->name), log_str("msg",
			    "cannot choose anew who gets new connections"),
			    log_errno());
	}
}

int
listeners_slot_fds(const struct listeners *ls, int slot, int *out,
    size_t max)
{
	size_t	 n = 0;

	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];

		if (!l->steered || slot < 0 || slot >= l->nfds)
			continue;
		if (n < max)
			out[n] = l->fds[slot];
		n++;
	}
	return (int)(n < max ? n : max);
}

bool
listeners_slot_quiet(const struct listeners *ls, int slot)
{
	for (size_t i = 0; i < ls->count; i++) {
		struct listener	*l = &ls->list[i];
		struct tcp_info	 info;
		socklen_t	 len = sizeof(info);

		if (!l->steered || slot < 0 || slot >= l->nfds)
			continue;
		/* of a listening socket, unacked is its accept queue */
		if (getsockopt(l->fds[slot], IPPROTO_TCP, TCP_INFO, &info,
		    &len) == 0 && info.tcpi_unacked > 0)
			return false;
	}
	return true;
}
