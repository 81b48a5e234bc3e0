#include "master/resolve_priv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/proc.h"

#define GRACE_S		2	/* a child whose master is gone ends, too */

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
	struct err		 err = { "" };

	errand->out = out;
	alarm((unsigned int)(errand->limit_ms / 1000) + GRACE_S);
	for (size_t i = 0; i < errand->conf->nbind; i++) {
		addr = &errand->conf->bind[i];
		if (!resolve_is_asked(addr) || resolve_ask(addr, i,
		    AI_NUMERICHOST, send_row, errand, &err) == 0 ||
		    resolve_ask(addr, i, 0, send_row, errand, &err) == 0)
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
	if (row.kind == FOUND_FAILURE && !r->whole) {
		row.why.text[sizeof(row.why.text) - 1] = '\0';
		return err_set(err, "%s", row.why.text);
	}
	if (r->whole || (row.kind != FOUND_ALL &&
	    (row.kind != FOUND_ADDRESS ||
	    !resolve_add(r->resolved, &row, &r->conf->listen))))
		return err_set(err, "cannot look up host names: the answer "
		    "makes no sense");
	r->whole = row.kind == FOUND_ALL;
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
	if (resolve_ask_all(r->resolved, &conf->listen, false, &left, err) == -1) {
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
