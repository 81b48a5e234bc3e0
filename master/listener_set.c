#include "master/listener_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/resolve.h"

/* ---- sets */

void
set_add(struct listener_set *set, struct listener *l, const char *name)
{
	set->list = xreallocarray(set->list, set->count + 1,
	    sizeof(*set->list));
	set->list[set->count++] = (struct listener_entry){ .listener = l,
	    .name = xstrdup(name) };
}

struct listener_set *
listener_set_hold(struct listener_set *set)
{
	set->refs++;
	return set;
}

void
listener_set_drop(struct listener_set *set)
{
	if (set == NULL || --set->refs > 0)
		return;
	for (size_t i = 0; i < set->count; i++) {
		listener_drop(set->list[i].listener);
		free(set->list[i].name);
	}
	free(set->list);
	free(set);
}

size_t
listeners_count(const struct listener_set *set)
{
	return set->count;
}

struct listener *
listener_set_nth(const struct listener_set *set, size_t nr,
    const char **name)
{
	*name = set->list[nr].name;
	return set->list[nr].listener;
}

bool
listener_set_has(const struct listener_set *set, const struct listener *l)
{
	for (size_t i = 0; set != NULL && i < set->count; i++)
		if (set->list[i].listener == l)
			return true;
	return false;
}

bool
listeners_steered(const struct listener_set *set)
{
	for (size_t i = 0; set != NULL && i < set->count; i++)
		if (set->list[i].listener->steered)
			return true;
	return false;
}

/* Sockets up to the slot's, in order: their place in the group is its number. */
static int
open_slots(struct listener *l, int slot, struct err *err)
{
	if (!l->steered)
		return 0;
	if (slot >= CONF_REUSEPORT_SLOTS)
		return err_set(err, "accept = reuseport serves %d workers at "
		    "most", CONF_REUSEPORT_SLOTS);
	while (l->nfds <= slot)
		if (tcp_open_slot(l, err) == -1)
			return -1;
	return 0;
}

int
listeners_for_slot(struct listener_set *set, int slot, struct inherited *out,
    size_t max, struct err *err)
{
	for (size_t i = 0; i < set->count; i++) {
		struct listener	*l = set->list[i].listener;

		if (open_slots(l, slot, err) == -1)
			return -1;
		if (i < max)
			out[i] = (struct inherited){
				.fd = listener_fd(l, slot),
				.name = set->list[i].name, .text = l->text,
			};
	}
	return (int)set->count;
}

/* ---- plans: what is kept */

/* Port 0 is none, and the same as none. sin_port and sin6_port are one. */
static bool
same_port(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in	*a4 = (const void *)a;
	const struct sockaddr_in	*b4 = (const void *)b;

	return a4->sin_port != 0 && a4->sin_port == b4->sin_port;
}

/* Can it serve again, if it is asked to? */
bool
listener_usable(const struct listener *l)
{
	return !l->stuck && (l->kind != ADDR_UNIX || l->dir != -1);
}

static bool
fits(const struct listener *l, const struct addr *addr,
    const struct sockaddr *sa, bool by_key)
{
	const struct sockaddr	*bound = (const struct sockaddr *)&l->sa;

	if (l->kind != addr->kind || l->given || !listener_usable(l))
		return false;
	if (by_key)
		return strcmp(l->key, addr->text) == 0 &&
		    (sa == NULL || same_host(bound, sa));
	return sa != NULL && same_host(bound, sa) && same_port(bound, sa);
}

/*
 * First those in force, then what else we hold, then by what it is bound to:
 * "localhost:80" may have been "127.0.0.1:80" before.
 */
bool
plan_keep(struct plan *plan, const struct addr *addr,
    const struct sockaddr *sa)
{
	struct listener	*l, *found = NULL;
	int		 pass;

	if (plan->current == NULL)
		return false;
	for (pass = 0; pass < 3 && found == NULL; pass++)
		for (l = listener_next(NULL); l != NULL && found == NULL;
		    l = listener_next(l))
			if (fits(l, addr, sa, pass < 2) &&
			    !listener_set_has(plan->set, l) &&
			    (pass > 0 || listener_set_has(plan->current, l)))
				found = l;
	if (found == NULL)
		return false;
	set_add(plan->set, listener_hold(found), addr->name);
	return true;
}

/* Those that the service manager passed; how many there are. */
static size_t
keep_given(struct plan *plan)
{
	struct listener	*l = NULL;

	while ((l = listener_next(l)) != NULL)
		if (l->given && listener_usable(l))
			set_add(plan->set, listener_hold(l), l->name);
	return plan->set->count;
}

/*
 * What was found of an address beside its first socket (reuseport): its queue
 * is served, too. Behind those that conf counts.
 */
static void
keep_others(struct plan *plan, const struct listener_set *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (!listener_set_has(plan->set, found->list[i].listener))
			set_add(plan->set, listener_hold(
			    found->list[i].listener), found->list[i].name);
}

/* ---- plans: what is opened */

static int
open_addr(struct plan *plan, size_t bind, struct err *err)
{
	const struct addr	*addr = &plan->conf->bind[bind];

	if (strlen(addr->text) >= LISTENER_TEXT_MAX)
		return err_set(err, "cannot listen on %s: that is too long",
		    addr->text);
	switch (addr->kind) {
	case ADDR_TCP:
		return tcp_open(plan, bind, err);
	case ADDR_UNIX:
	case ADDR_ABSTRACT:
		return plan_keep(plan, addr, NULL) ? 0 :
		    unix_open(plan, addr, err);
	case ADDR_FD:
		if (plan_keep(plan, addr, NULL))
			return 0;
		/* By now, the number may be one of our own. */
		if (!plan->first)
			return err_set(err, "cannot listen on %s: it was not "
			    "there at the start", addr->text);
		return inherit_open(plan, addr, err);
	case ADDR_NONE:
		break;
	}
	return 0;
}

static struct listener_options
options_of(const struct conf *conf)
{
	const struct conf_listen	*c = &conf->listen;

	return (struct listener_options){ .backlog = c->backlog,
		.defer_s = (int)((c->defer_accept + 999) / 1000),
		.nodelay = c->nodelay, .keepalive = c->keepalive,
		.nonblock = c->nonblock || !conf_is_program(conf) };
}

static struct plan
plan_of(const struct conf *conf, const struct listener_set *current,
    const struct resolved *resolved)
{
	return (struct plan){ .set = listeners_found_new(), .current = current,
		.conf = &conf->listen, .resolved = resolved,
		.options = options_of(conf) };
}

/* The plan's set, or NULL with err. */
static struct listener_set *
fulfil(struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->conf->nbind; i++) {
		if (open_addr(plan, i, err) == 0)
			continue;
		listener_set_drop(plan->set);
		return NULL;
	}
	return plan->set;
}

struct listener_set *
listeners_plan(const struct listener_set *current, const struct conf *conf,
    const struct resolved *resolved, struct err *err)
{
	struct plan	 plan = plan_of(conf, current, resolved);

	if (!conf->listen.bind_given && keep_given(&plan) > 0)
		return plan.set;
	return fulfil(&plan, err);
}

int
listeners_resolvable(const struct conf *conf, struct err *err)
{
	struct resolved	*resolved = resolve_now(conf, err);

	resolved_free(resolved);
	return resolved == NULL ? -1 : 0;
}

struct listener_set *
listeners_open(const struct conf *conf, const struct listener_set *found,
    struct err *err)
{
	struct resolved	*resolved = NULL;
	struct plan	 plan = plan_of(conf, found, NULL);
	struct listener_set *stored;
	int		 adopted = -1;

	plan.first = true;
	if (inherit_check(&conf->listen, err) == 0)
		adopted = inherit_listen_fds(&plan, err);
	if (adopted == 0 && (resolved = resolve_now(conf, err)) == NULL)
		adopted = -1;
	if (adopted == -1) {
		stored_free(&plan);
		listener_set_drop(plan.set);
		return NULL;
	}
	plan.resolved = resolved;
	stored = stored_take(&plan);
	if (plan.current == NULL && stored->count > 0)
		plan.current = stored;
	if (adopted == 0 && (plan.set = fulfil(&plan, err)) != NULL &&
	    found != NULL)
		keep_others(&plan, found);
	listener_set_drop(stored);
	resolved_free(resolved);
	if (plan.set != NULL)
		listeners_apply(plan.set, conf);
	return plan.set;
}

/* ---- into force */

/* listen(2) cuts the backlog off without a word. */
static void
note_backlog(const struct listener *l)
{
	FILE	*file;
	int	 limit;

	file = fopen("/proc/sys/net/core/somaxconn", "re");
	if (file == NULL)
		return;
	if (fscanf(file, "%d", &limit) == 1 && limit < l->options.backlog)
		log_event(EV_LISTEN_BACKLOG, log_str("addr", l->text),
		    log_int("backlog", l->options.backlog),
		    log_int("limit", limit),
		    log_str("msg", "cut to net.core.somaxconn"));
	fclose(file);
}

static void
note_open(const struct listener *l)
{
	if (l->kind == ADDR_FD)
		log_event(EV_LISTEN_OPEN, log_str("addr", l->text),
		    log_str("name", l->name), log_int("fd", l->fds[0]));
	else
		log_event(EV_LISTEN_OPEN, log_str("addr", l->text),
		    log_str("name", l->name), log_int("fd", l->fds[0]),
		    log_int("backlog", l->options.backlog));
}

static void
note_accept(const struct listener *l, const struct conf_listen *conf)
{
	const char	*msg;

	if (l->steered == (conf->accept == ACCEPT_REUSEPORT))
		return;
	if (l->steered)
		msg = "accept = reuseport stays with this one until a restart";
	else if (l->kind == ADDR_TCP)
		msg = "accept = reuseport begins with a restart: this one is "
		    "shared";
	else if (l->announced)
		return;
	else
		msg = "accept = reuseport is for TCP sockets of our own: this "
		    "one is shared";
	log_event(EV_LISTEN_NOTE, log_str("addr", l->text),
	    log_str("name", l->name), log_str("msg", msg));
}

void
listeners_apply(struct listener_set *set, const struct conf *conf)
{
	struct listener_options	 options = options_of(conf);
	bool			 backlog_noted = false;

	for (size_t i = 0; i < set->count; i++) {
		struct listener	*l = set->list[i].listener;
		bool		 other = l->options.backlog !=
				    options.backlog;

		free(l->name);
		l->name = xstrdup(set->list[i].name);
		listener_admit(l);
		listener_set_options(l, &options);
		note_accept(l, &conf->listen);
		if (!l->announced)
			note_open(l);
		if (l->kind != ADDR_FD && (other || !l->announced) &&
		    !backlog_noted) {
			note_backlog(l);
			backlog_noted = true;
		}
		l->announced = true;
	}
}
