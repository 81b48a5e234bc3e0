#include <sys/epoll.h>
#include <sys/socket.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/exact/exact.h"
#include "tests/system/net.h"

#define PATIENCE_MS	8000
#define LOOK_MS		2	/* between two looks at the time */
#define LINGER_MS	200	/* a connection under way when we stop */

enum step { AWAY, CONNECTING, ASKING, HEARING, RESTING };

struct client {
	int		 fd;		/* -1: AWAY */
	enum step	 step;
	int64_t		 since_ms;	/* of the step, ASKING for HEARING */
	uint64_t	 id;		/* what it asks, or asked */
	bool		 reused;	/* the connection had an answer */
	bool		 again;		/* raced: id is still to be asked */
	size_t		 sent, want;	/* of the request */
	size_t		 got;		/* of the answer */
	char		*buf;		/* EXACT_ROOM: the answer */
};

struct load {
	const struct exact_plan *plan;
	struct exact_counts	*counts;
	const volatile bool	*stop;
	struct client		*clients;
	int			 nclients;
	int			 epoll;
	int64_t			 begin_ms, look_ms;
	int64_t			 end_ms;	/* since when it ends; 0 */
	uint64_t		 begun;
	unsigned		 source;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
enter(struct client *c, enum step step)
{
	c->step = step;
	c->since_ms = now_ms();
}

static void
leave(struct client *c)
{
	if (c->fd != -1)
		close(c->fd);		/* leaves the epoll set with it */
	c->fd = -1;
	c->reused = false;
	enter(c, AWAY);
}

/* ---- ways to end */

static void
lose(struct load *l, struct client *c, uint64_t *count, const char *how)
{
	static const char *const steps[] = { "", "connecting", "asking",
	    "hearing", "resting" };

	(*count)++;
	if (l->counts->first[0] == '\0')
		snprintf(l->counts->first, sizeof(l->counts->first),
		    "request %llu: %s when %s, %s connection, %lld ms, "
		    "%zu bytes sent, %zu heard", (unsigned long long)c->id,
		    how, steps[c->step], c->reused ? "used" : "fresh",
		    (long long)(now_ms() - c->since_ms), c->sent, c->got);
	c->again = false;
	leave(c);
}

/* The connection failed, or ended (error 0), under a request. */
static void
broken(struct load *l, struct client *c, int error)
{
	if (c->reused && c->got == 0) {
		l->counts->raced++;
		c->again = true;
		leave(c);
	} else if (error == 0) {
		lose(l, c, &l->counts->unanswered, "end of input");
	} else {
		lose(l, c, &l->counts->reset, strerror(error));
	}
}

static void
answered(struct load *l, struct client *c, bool last)
{
	l->counts->ok++;
	c->again = false;
	if (!l->plan->keep_alive || last) {
		leave(c);
		return;
	}
	c->reused = true;
	enter(c, RESTING);
}

/* ---- steps */

static bool
watch(struct load *l, struct client *c, uint32_t events, int how)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	return epoll_ctl(l->epoll, how, c->fd, &ev) == 0;
}

static void
hear(struct load *l, struct client *c)
{
	const char *why = "too long";
	enum exact_verdict verdict;
	bool ended;
	ssize_t n;

	n = recv(c->fd, c->buf + c->got, EXACT_ROOM - c->got, 0);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			broken(l, c, errno);
		return;
	}
	ended = n == 0;
	c->got += (size_t)n;
	verdict = c->got == 0 ? EXACT_MORE : exact_judge(l->plan, c->id,
	    c->buf, c->got, ended, &why);
	if (verdict == EXACT_MORE && c->got == EXACT_ROOM)
		verdict = EXACT_WRONG;
	if (verdict == EXACT_WRONG)
		lose(l, c, &l->counts->wrong, why);
	else if (verdict != EXACT_MORE)
		answered(l, c, ended || verdict == EXACT_LAST);
	else if (ended)
		broken(l, c, 0);
}

static void
ask(struct load *l, struct client *c)
{
	char request[2048];
	ssize_t n;

	c->want = exact_request(l->plan, c->id, request, sizeof(request));
	n = send(c->fd, request + c->sent, c->want - c->sent, MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN) {
		broken(l, c, errno);
		return;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (c->sent < c->want)
		return;
	if (!watch(l, c, EPOLLIN, EPOLL_CTL_MOD))
		abort();
	c->step = HEARING;		/* and the time since asking */
}

static void
begin_asking(struct load *l, struct client *c)
{
	if (!c->again && l->plan->requests > 0 &&
	    l->begun >= l->plan->requests) {
		leave(c);
		return;
	}
	if (!c->again)
		c->id = ++l->begun;
	c->sent = c->got = 0;
	enter(c, ASKING);
	if (!watch(l, c, EPOLLOUT, EPOLL_CTL_MOD))
		abort();
	ask(l, c);
}

static void
connected(struct load *l, struct client *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		lose(l, c, &l->counts->refused, strerror(error));
		return;
	}
	l->counts->connections++;
	begin_asking(l, c);
}

/* A Unix socket's full queue says EAGAIN: that is no refusal. */
static void
begin(struct load *l, struct client *c)
{
	c->got = c->sent = 0;
	enter(c, CONNECTING);
	c->fd = net_connect(l->plan->addr, ++l->source);
	if (c->fd == -1 && errno == EAGAIN)
		leave(c);
	else if (c->fd == -1)
		lose(l, c, &l->counts->refused, strerror(errno));
	else if (!watch(l, c, EPOLLOUT, EPOLL_CTL_ADD))
		abort();
}

/* Between two requests nothing comes but an end, which is nobody's loss. */
static void
rested(struct load *l, struct client *c)
{
	char byte;

	if (recv(c->fd, &byte, 1, MSG_PEEK) == 1)
		lose(l, c, &l->counts->wrong, "more than the answer");
	else
		leave(c);
}

static void
happened(struct load *l, struct client *c)
{
	switch (c->step) {
	case CONNECTING:
		connected(l, c);
		break;
	case ASKING:
		ask(l, c);
		break;
	case HEARING:
		hear(l, c);
		break;
	case RESTING:
		rested(l, c);
		break;
	case AWAY:
		break;
	}
}

/* ---- time */

static bool
ending(struct load *l, int64_t now)
{
	const struct exact_plan *plan = l->plan;

	if (l->end_ms == 0 && (*l->stop ||
	    (plan->for_ms > 0 && now - l->begin_ms >= plan->for_ms) ||
	    (plan->requests > 0 && l->begun >= plan->requests)))
		l->end_ms = now;
	return l->end_ms != 0;
}

static void
look_at(struct load *l, struct client *c, int64_t now)
{
	int patience = l->plan->patience_ms > 0 ? l->plan->patience_ms :
	    PATIENCE_MS;
	bool over = ending(l, now);

	if (over && !c->again && (c->step == AWAY || c->step == RESTING)) {
		leave(c);
		return;
	}
	if (over && c->step == CONNECTING && now - l->end_ms > LINGER_MS)
		leave(c);
	else if (c->step == AWAY &&
	    (c->again || now - c->since_ms >= l->plan->think_ms))
		begin(l, c);
	else if (c->step == RESTING && now - c->since_ms >= l->plan->think_ms)
		begin_asking(l, c);
	else if ((c->step == ASKING || c->step == HEARING) &&
	    now - c->since_ms >= patience)
		lose(l, c, &l->counts->late, "no answer");
	else if (c->step == CONNECTING && now - c->since_ms >= patience)
		lose(l, c, &l->counts->refused, "no connection");
}

/* Is anybody still in the middle? */
static bool
look_at_all(struct load *l)
{
	int64_t now = now_ms();
	bool busy = !ending(l, now);

	l->look_ms = now;
	for (int i = 0; i < l->nclients; i++) {
		look_at(l, &l->clients[i], now);
		busy = busy || l->clients[i].step != AWAY ||
		    l->clients[i].again;
	}
	return busy;
}

static int
loop(struct load *l)
{
	struct epoll_event events[64];
	int n;

	while (look_at_all(l)) {
		do {
			n = epoll_wait(l->epoll, events, 64, LOOK_MS);
			for (int i = 0; i < n; i++)
				happened(l, events[i].data.ptr);
		} while (now_ms() - l->look_ms < LOOK_MS);
	}
	return 0;
}

int
exact_run(const struct exact_plan *plan, struct exact_counts *counts,
    const volatile bool *stop)
{
	struct load l = { .plan = plan, .counts = counts, .stop = stop,
		.begin_ms = now_ms(), .epoll = epoll_create1(EPOLL_CLOEXEC) };

	if (l.epoll == -1)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	counts->pid = (uint64_t)getpid();
	l.nclients = plan->clients > EXACT_CLIENTS ? EXACT_CLIENTS :
	    plan->clients > 0 ? plan->clients : 1;
	l.clients = calloc((size_t)l.nclients, sizeof(*l.clients));
	for (int i = 0; l.clients != NULL && i < l.nclients; i++) {
		l.clients[i].fd = -1;
		if ((l.clients[i].buf = malloc(EXACT_ROOM)) == NULL)
			abort();
	}
	if (l.clients == NULL)
		abort();
	loop(&l);
	for (int i = 0; i < l.nclients; i++)
		free(l.clients[i].buf);
	free(l.clients);
	close(l.epoll);
	return 0;
}
