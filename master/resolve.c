#include "master/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/addr.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/proc.h"
#include "master/resolve_priv.h"

#define FOUND_MAX	256	/* addresses, of all names together */
#define GRACE_S		2	/* a child whose master is gone ends, too */

struct resolved {
	struct found	 list[FOUND_MAX];
	int		 count;
};

struct resolver {
	const struct conf	*conf;
	struct resolved		*resolved;
	struct event		*heard;		/* the child's pipe */
	struct event		*limit;
	int			 fd;		/* the pipe; -1: no child */
	int64_t			 limit_ms;
	pid_t			 pid;
	char			 buf[sizeof(struct found)];
	size_t			 len;		/* of a row not whole yet */
	bool			 whole;		/* all was said */
	resolver_done_fn	*done;
	void			*arg;
};

resolve_lookup_fn	*resolve_lookup = getaddrinfo;

/* ---- what was found */

static bool
is_asked(const struct addr *addr)
{
	return addr->kind == ADDR_TCP && addr->host != NULL;
}

static void
set_port(struct sockaddr_storage *sa, int port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
}

static bool
is_sane(const struct found *row, const struct conf_listen *conf)
{
	size_t	 want = row->sa.ss_family == AF_INET ?
		    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	return row->bind < conf->nbind && is_asked(&conf->bind[row->bind]) &&
	    (row->sa.ss_family == AF_INET || row->sa.ss_family == AF_INET6) &&
	    row->len == want;
}

/*
 * Take a row on; a name may be in a hosts file twice. It may come from a
 * child: false if it makes no sense.
 */
static bool
add(struct resolved *r, const struct found *row, const struct conf_listen *conf)
{
	struct found	*to = &r->list[r->count];

	if (!is_sane(row, conf) || r->count == FOUND_MAX)
		return false;
	*to = *row;
	set_port(&to->sa, conf->bind[row->bind].port);
	for (int i = 0; i < r->count; i++)
		if (r->list[i].bind == to->bind && r->list[i].len == to->len &&
		    memcmp(&r->list[i].sa, &to->sa, to->len) == 0)
			return true;
	r->count++;
	return true;
}

const struct sockaddr *
resolved_addr(const struct resolved *r, size_t bind, size_t nr, socklen_t *len)
{
	for (int i = 0; r != NULL && i < r->count; i++) {
		if (r->list[i].bind != bind || nr-- > 0)
			continue;
		*len = r->list[i].len;
		return (const struct sockaddr *)&r->list[i].sa;
	}
	return NULL;
}

void
resolved_free(struct resolved *r)
{
	free(r);
}

/* ---- asking */

typedef bool	 tell_fn(void *arg, const struct found *row);

/* 0, or -1 with err, or 1: it is not numeric, and that was asked for. */
static int
ask(const struct addr *addr, size_t bind, int flags, tell_fn *tell, void *arg,
    struct err *err)
{
	struct addrinfo	*list = NULL, hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV | flags,
	};
	struct found	 row = { .kind = FOUND_ADDRESS, .bind = (uint32_t)bind };
	char		 port[16];
	int		 error;

	snprintf(port, sizeof(port), "%d", addr->port);
	error = flags == 0 ?
	    resolve_lookup(addr->host, port, &hints, &list) :
	    getaddrinfo(addr->host, port, &hints, &list);
	if (error == EAI_NONAME && flags != 0)
		return 1;
	if (error == EAI_SYSTEM)
		return err_sys(err, "cannot listen on %s", addr->text);
	if (error != 0)
		return err_set(err, "cannot listen on %s: %s", addr->text,
		    gai_strerror(error));
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(row.sa))
			continue;
		memset(&row.sa, 0, sizeof(row.sa));
		memcpy(&row.sa, ai->ai_addr, ai->ai_addrlen);
		row.len = ai->ai_addrlen;
		if (!tell(arg, &row))
			break;
	}
	freeaddrinfo(list);
	return 0;
}

struct gathering {
	struct resolved			*to;
	const struct conf_listen	*conf;
};

static bool
gather(void *arg, const struct found *row)
{
	struct gathering	*g = arg;

	return add(g->to, row, g->conf);
}

/*
 * Numeric hosts, or with names all of them. 0, or -1 with err; *left: how many
 * were left out.
 */
static int
ask_all(struct resolved *r, const struct conf_listen *conf, bool names,
    int *left, struct err *err)
{
	struct gathering	 g = { r, conf };
	int			 x;

	*left = 0;
	for (size_t i = 0; i < conf->nbind; i++) {
		if (!is_asked(&conf->bind[i]))
			continue;
		x = ask(&conf->bind[i], i, AI_NUMERICHOST, gather, &g, err);
		if (x == 1 && names)
			x = ask(&conf->bind[i], i, 0, gather, &g, err);
		if (x == -1)
			return -1;
		*left += x;
	}
	return 0;
}

struct resolved *
resolve_now(const struct conf *conf, struct err *err)
{
	struct resolved	*r = xcalloc(1, sizeof(*r));
	int		 left;

	if (ask_all(r, &conf->listen, true, &left, err) == 0)
		return r;
	resolved_free(r);
	return NULL;
}

/* ---- in a child */

struct errand {
	const struct conf_listen	*conf;
	int				 out;
	int64_t				 limit_ms;
};

static bool
send_row(void *arg, const struct found *row)
{
	const struct errand	*errand = arg;

	/* Rows are smaller than PIPE_BUF, and the pipe is empty or blocks. */
	return write(errand->out, row, sizeof(*row)) == (ssize_t)sizeof(*row);
}

static int
run_errand(void *arg, int out)
{
	struct errand		*errand = arg;
	const struct addr	*addr;
	struct found		 last = { .kind = FOUND_ALL };
	struct err		 err;

	errand->out = out;
	alarm((unsigned int)(errand->limit_ms / 1000) + GRACE_S);
	for (size_t i = 0; i < errand->conf->nbind; i++) {
		addr = &errand->conf->bind[i];
		if (!is_asked(addr) ||
		    ask(addr, i, AI_NUMERICHOST, send_row, errand, &err) == 0)
			continue;
		if (ask(addr, i, 0, send_row, errand, &err) == 0)
			continue;
		last.kind = FOUND_FAILURE;
		last.why = err;
		break;
	}
	return send_row(errand, &last) ? 0 : 1;
}

/* ---- the resolver */

static void
resolver_free(struct resolver *r)
{
	if (r->heard != NULL)
		event_free(r->heard);
	if (r->limit != NULL)
		event_free(r->limit);
	if (r->fd != -1)
		close(r->fd);
	resolved_free(r->resolved);
	free(r);
}

/* Tell, with err: of a failure. The resolver goes first: done may start anew. */
static void
finish(struct resolver *r, const struct err *err)
{
	resolver_done_fn	*done = r->done;
	void			*arg = r->arg;
	struct resolved		*resolved = NULL;

	if (err == NULL) {
		resolved = r->resolved;
		r->resolved = NULL;
	}
	resolver_free(r);
	done(arg, resolved, err);
}

/* Take a whole row. 0: go on; -1 with err: there is no use in going on. */
static int
hear_row(struct resolver *r, struct err *err)
{
	struct found	 row;

	memcpy(&row, r->buf, sizeof(row));
	if (row.kind == FOUND_FAILURE) {
		row.why.text[sizeof(row.why.text) - 1] = 0;
		return err_set(err, "%s", row.why.text);
	}
	if (row.kind == FOUND_ALL)
		r->whole = true;
	else if (row.kind != FOUND_ADDRESS || r->whole ||
	    !add(r->resolved, &row, &r->conf->listen))
		return err_set(err, "cannot look up host names: the answer "
		    "makes no sense");
	return 0;
}

/* 1: to be continued; 0: all was heard; -1 with err. */
static int
hear(struct resolver *r, struct err *err)
{
	ssize_t	 n;

	while ((n = read(r->fd, r->buf + r->len, sizeof(r->buf) - r->len)) >
	    0) {
		r->len += (size_t)n;
		if (r->len < sizeof(r->buf))
			continue;
		r->len = 0;
		if (hear_row(r, err) == -1)
			return -1;
	}
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 1 :
		    err_sys(err, "cannot look up host names");
	if (!r->whole)
		return err_set(err, "cannot look up host names: the helper "
		    "died");
	return 0;
}

static void
on_heard(evutil_socket_t fd, short what, void *arg)
{
	struct resolver	*r = arg;
	struct err	 err;
	int		 x;

	(void)fd;
	(void)what;
	x = hear(r, &err);
	if (x == -1)
		finish(r, &err);
	else if (x == 0)
		finish(r, NULL);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct resolver	*r = arg;
	struct err	 err;
	int		 x = r->fd == -1 ? 0 : hear(r, &err);

	(void)fd;
	(void)what;
	if (x == 0) {
		finish(r, NULL);
		return;
	}
	if (x == 1) {
		/* No end of file yet: its pid is still its own. */
		proc_kill(r->pid);
		err_set(&err, "cannot look up host names: no answer within "
		    "%lld ms", (long long)r->limit_ms);
	}
	finish(r, &err);
}

void
resolver_cancel(struct resolver *r)
{
	struct err	 err;

	if (r == NULL)
		return;
	if (r->fd != -1 && hear(r, &err) == 1)
		proc_kill(r->pid);
	resolver_free(r);
}

static int
arm(struct resolver *r, struct event_base *base, int priority, int left)
{
	struct timeval	 limit = clock_timeval(left == 0 ? 0 : r->limit_ms);

	r->limit = evtimer_new(base, on_limit, r);
	if (r->limit == NULL || event_priority_set(r->limit, priority) == -1 ||
	    evtimer_add(r->limit, &limit) == -1)
		return -1;
	if (left == 0)
		return 0;
	r->heard = event_new(base, r->fd, EV_READ | EV_PERSIST, on_heard, r);
	return r->heard == NULL ||
	    event_priority_set(r->heard, priority) == -1 ? -1 :
	    event_add(r->heard, NULL);
}

struct resolver *
resolver_start(struct event_base *base, int priority, const struct conf *conf,
    int64_t limit_ms, resolver_done_fn *done, void *arg, struct err *err)
{
	struct resolver	*r = xcalloc(1, sizeof(*r));
	struct errand	 errand = { &conf->listen, -1, limit_ms };
	int		 left;

	*r = (struct resolver){ .conf = conf, .fd = -1, .limit_ms = limit_ms,
	    .done = done, .arg = arg };
	r->resolved = xcalloc(1, sizeof(*r->resolved));
	if (ask_all(r->resolved, &conf->listen, false, &left, err) == -1) {
		resolver_free(r);
		return NULL;
	}
	/* It does the numeric ones once more: what we have is kept apart. */
	if (left > 0) {
		r->resolved->count = 0;
		r->pid = proc_fork_helper(run_errand, &errand, &r->fd);
	}
	if (r->pid == -1)
		err_sys(err, "cannot fork to look up host names");
	else if (arm(r, base, priority, left) == 0)
		return r;
	else
		err_set(err, "cannot wait for host names");
	if (r->pid == -1)
		resolver_free(r);
	else
		resolver_cancel(r);
	return NULL;
}
