#include "worker/worker.h"

#include <sys/resource.h>
#include <bsd/unistd.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/accept.h"
#include "worker/app.h"
#include "worker/beat.h"
#include "worker/confine.h"
#include "worker/conn.h"
#include "worker/env.h"
#include "worker/loop.h"
#include "worker/stop.h"
#include "worker/turns.h"
#include "worker/up.h"

#define CARETAKER_MS	20	/* so long without work, and it leaves */
#define RETRY_MS	100	/* the queue's rest, when there is no room */
#define OWN_FDS		20	/* not for connections: ours, and some spare */

struct worker {
	const struct worker_boot	*boot;
	const struct app		*app;
	struct app_context		 context;
	struct cell			*cell;
	struct event_base		*base;
	int				 epoll_fd;	/* -1: not by turns */
	struct up			*up;
	struct beat			*beat;
	struct conns			*conns;
	struct acceptor			*acceptor;
	struct event			*stop, *life;
	struct event			*limit;		/* of the drain */
	struct event			*again;		/* drain_step() */
	struct event			*caretaker;
	uint64_t			 accepted;	/* when last asked */
	bool				 draining, swept;
};

/* One that looks after a socket until it is idle is that all the time. */
static void
title(const struct worker *worker, const char *state)
{
	if (worker->boot->caretaker && !worker->draining)
		state = "caretaker";
	setproctitle("-muster: worker [%s] slot %d %s",
	    worker->boot->conf->master.name, worker->boot->slot, state);
}

/* In writing, too: what is sent may be lost with a master that crashes. */
static void
say(struct worker *worker, unsigned int what, uint32_t written)
{
	atomic_fetch_or(&worker->cell->said, written);
	up_say(worker->up, what);
}

/* ---- draining */

/*
 * Called at the start of the drain and after each close: what could not be
 * accepted yet may be now. Done when the queue is empty and nobody is left.
 */
static void
drain_step(struct worker *worker)
{
	struct timeval	 tv = clock_timeval(RETRY_MS);

	if (!worker->swept) {
		worker->swept = acceptor_drain(worker->acceptor);
		conns_drain(worker->conns);
	}
	if (beat_active(worker->beat) > 0)
		return;
	if (worker->swept)
		event_base_loopbreak(worker->base);
	else
		event_add(worker->again, &tv);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drain_step(arg);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct worker	*worker = arg;

	(void)fd;
	(void)what;
	conns_abandon(worker->conns, "graceful_timeout");
	event_base_loopbreak(worker->base);
}

/*
 * How long we may drain: a moment less than the master gives us, so that
 * leaving late is still leaving, not being killed.
 */
static int64_t
drain_limit_ms(const struct worker *worker)
{
	int64_t	 ms = worker->boot->conf->worker.graceful_timeout;

	return ms - (ms > 1000 ? 100 : ms / 10);
}

/* by_itself: nobody told us to, so the master should know. */
static void
drain(struct worker *worker, bool by_itself)
{
	struct timeval	 tv = clock_timeval(drain_limit_ms(worker));

	if (worker->draining)
		return;
	worker->draining = true;
	title(worker, "draining");
	if (by_itself)
		up_say(worker->up, UP_STOPPING);
	if (worker->caretaker != NULL)
		event_del(worker->caretaker);
	/* Nobody else may be there to hold us to it. */
	event_add(worker->limit, &tv);
	drain_step(worker);
}

/* ---- what happens to a worker */

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct worker	*worker = arg;
	uint64_t	 count;

	(void)what;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		drain(worker, stop_sender() != worker->boot->master_pid);
}

/* Nobody writes into the life line: it can only end. */
static void
on_life(evutil_socket_t fd, short what, void *arg)
{
	struct worker	*worker = arg;

	(void)fd;
	(void)what;
	event_del(worker->life);
	switch (worker->boot->conf->worker.on_master_death) {
	case MASTER_DEATH_DRAIN:
		drain(worker, false);
		break;
	case MASTER_DEATH_SERVE:
		title(worker, "orphan");
		break;
	case MASTER_DEATH_KILL:
		event_base_loopbreak(worker->base);
		break;
	}
}

static void
on_beat(void *arg)
{
	struct worker	*worker = arg;

	if (log_lossy())
		log_retry();
	if (worker->epoll_fd != -1 && !worker->draining)
		acceptor_try(worker->acceptor);
}

static void
on_requests(void *arg)
{
	say(arg, UP_RETIRE, BOARD_RETIRE);
}

static void
on_close(void *arg)
{
	struct worker	*worker = arg;

	if (worker->draining)
		event_active(worker->again, EV_TIMEOUT, 0);
	else
		acceptor_room(worker->acceptor);
}

static void
on_caretaker(evutil_socket_t fd, short what, void *arg)
{
	struct worker	*worker = arg;
	uint64_t	 before = worker->accepted;

	(void)fd;
	(void)what;
	acceptor_try(worker->acceptor);
	worker->accepted = beat_accepted(worker->beat);
	if (beat_active(worker->beat) == 0 && worker->accepted == before)
		drain(worker, true);
}

/* ---- the parts of a worker, in the order in which it takes them on */

/*
 * Nothing of the master survives but what is named here. Its log goes first,
 * so that failures from here on reach the master as messages.
 */
static int
part_unlearn(struct worker *worker, struct err *err)
{
	const struct worker_boot	*boot = worker->boot;
	int				 last = boot->conf->master.daemon ?
					    STDERR_FILENO : STDIN_FILENO;
	size_t				 i;
	int				*keep, fd, result;

	log_to_master(boot->up_fd);
	/* A daemon lets go of its starter's terminal or pipe, all of it. */
	for (fd = STDIN_FILENO; fd <= last; fd++)
		if (dup2(boot->null_fd, fd) == -1)
			return err_sys(err, "cannot put /dev/null on %d", fd);
	keep = xcalloc(boot->nsockets + 3, sizeof(*keep));
	for (i = 0; i < boot->nsockets; i++)
		keep[i] = boot->sockets[i].fd;
	keep[i++] = boot->up_fd;
	keep[i++] = boot->life_fd;
	keep[i++] = boot->board_fd;
	result = fd_close_except(keep, i);
	if (result == -1)
		err_sys(err, "cannot close the master's descriptors");
	free(keep);
	return result;
}

static int
part_board(struct worker *worker, struct err *err)
{
	const struct worker_boot	*boot = worker->boot;

	if ((worker->cell = board_map(boot->board_fd, boot->cell, err)) == NULL)
		return -1;
	close(boot->board_fd);
	return 0;
}

static int
part_env(struct worker *worker, struct err *err)
{
	(void)err;
	env_apply(worker->boot);
	return 0;
}

static int
part_confine(struct worker *worker, struct err *err)
{
	const struct worker_boot	*boot = worker->boot;
	struct confine_result		 result;
	int				 done;

	done = confine(boot->conf, boot->slot, &result);
	confine_report(boot->slot, &result);
	return done == -1 ? confine_failure(boot->conf, &result, err) : 0;
}

static int
watch(struct worker *worker, struct event **event, int fd,
    event_callback_fn callback)
{
	*event = event_new(worker->base, fd, EV_READ | EV_PERSIST, callback,
	    worker);
	return *event != NULL ? event_add(*event, NULL) : -1;
}

static int
part_loop(struct worker *worker, struct err *err)
{
	const struct worker_boot	*boot = worker->boot;
	int				 stop_fd;

	worker->base = loop_open(boot->exclusive, &worker->epoll_fd, err);
	if (worker->base == NULL)
		return -1;
	worker->limit = evtimer_new(worker->base, on_limit, worker);
	worker->again = evtimer_new(worker->base, on_again, worker);
	worker->up = up_new(worker->base, boot->up_fd);
	if (worker->limit == NULL || worker->again == NULL ||
	    worker->up == NULL)
		return err_set(err, "no memory for the event loop");
	if ((stop_fd = stop_install(&boot->conf->worker)) == -1 ||
	    watch(worker, &worker->stop, stop_fd, on_stop) == -1 ||
	    watch(worker, &worker->life, boot->life_fd, on_life) == -1)
		return err_sys(err, "cannot watch the master");
	return 0;
}

static int
part_app(struct worker *worker, struct err *err)
{
	const struct conf	*conf = worker->boot->conf;

	if ((worker->app = app_find(conf->worker.app)) == NULL)
		return err_set(err, "there is no app %s", conf->worker.app);
	worker->context.conf = conf;
	return worker->app->init(&worker->context, err);
}

/* How many connections: as configured, or what descriptors allow. */
static uint32_t
connection_limit(const struct worker_boot *boot)
{
	struct rlimit	 rl;
	uint64_t	 own = OWN_FDS + boot->nsockets;

	if (boot->conf->worker.max_connections > 0)
		return (uint32_t)boot->conf->worker.max_connections;
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 || rl.rlim_cur > 1 << 30)
		return 0;
	return rl.rlim_cur > own ? (uint32_t)(rl.rlim_cur - own) : 1;
}

static int
part_serve(struct worker *worker, struct err *err)
{
	const struct worker_boot	*boot = worker->boot;
	const struct beat_options	 beat = {
		.base = worker->base, .cell = worker->cell,
		.watchdog_ms = boot->conf->worker.watchdog,
		.max_requests = (uint64_t)boot->max_requests,
		.on_beat = on_beat, .on_limit = on_requests, .arg = worker,
	};
	struct conns_options		 conns = {
		.base = worker->base, .app = worker->app,
		.context = &worker->context, .slot = boot->slot,
		.on_close = on_close, .arg = worker,
	};
	struct acceptor_options		 accept = {
		.base = worker->base, .epoll_fd = worker->epoll_fd,
		.sockets = boot->sockets, .nsockets = boot->nsockets,
		.limit = connection_limit(boot),
		.backlog = boot->conf->listen.backlog,
	};

	if ((worker->beat = beat_new(&beat)) == NULL)
		return err_set(err, "no memory for the heartbeat");
	conns.beat = accept.beat = worker->beat;
	if ((worker->conns = conns_new(&conns)) == NULL)
		return err_set(err, "no memory for connections");
	accept.conns = worker->conns;
	if ((worker->acceptor = acceptor_new(&accept)) == NULL)
		return err_sys(err, "cannot accept connections");
	return 0;
}

static int
part_caretaker(struct worker *worker, struct err *err)
{
	struct timeval	 tv = clock_timeval(CARETAKER_MS);

	if (!worker->boot->caretaker)
		return 0;
	worker->caretaker = event_new(worker->base, -1, EV_PERSIST,
	    on_caretaker, worker);
	if (worker->caretaker == NULL ||
	    event_add(worker->caretaker, &tv) == -1)
		return err_set(err, "no memory for a timer");
	return 0;
}

static const struct {
	int	(*take)(struct worker *, struct err *);
	int	  exit_code;	/* when it fails */
} parts[] = {
	{ part_unlearn,		WORKER_EXIT_OSERR },
	{ part_env,		WORKER_EXIT_OSERR },
	{ part_board,		WORKER_EXIT_OSERR },
	{ part_confine,		WORKER_EXIT_NOPERM },
	{ part_loop,		WORKER_EXIT_OSERR },
	{ part_app,		WORKER_EXIT_OSERR },
	{ part_serve,		WORKER_EXIT_OSERR },
	{ part_caretaker,	WORKER_EXIT_OSERR },
};

static int
start(struct worker *worker)
{
	struct err	 err = { "" };
	size_t		 i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].take(worker, &err) == 0)
			continue;
		log_event(EV_WORKER_FAILED,
		    log_int("slot", worker->boot->slot),
		    log_str("msg", err.text),
		    log_int("code", parts[i].exit_code));
		return parts[i].exit_code;
	}
	return 0;
}

void
worker_prepare(void)
{
	turns_learn();
}

int
worker_run(const struct worker_boot *boot)
{
	static struct worker	 worker;	/* one a process */
	int			 code;

	worker.boot = boot;
	if ((code = start(&worker)) != 0)
		return code;
	say(&worker, UP_READY, BOARD_READY);
	title(&worker, "ready");
	if (event_base_dispatch(worker.base) == -1) {
		log_event(EV_LOOP_NOTE, log_str("msg", "the loop failed"),
		    log_errno());
		code = WORKER_EXIT_OSERR;
	}
	worker.app->fini(&worker.context);
	log_retry();		/* the last chance to tell of lost lines */
	/* All else ends with the process, and quicker than by hand. */
	return code;
}
