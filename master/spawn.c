#include "master/spawn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/inbox.h"
#include "master/listener.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/report.h"
#include "worker/worker.h"

#define BIRTHS_MAX	64	/* at a time */

struct birth {
	struct act		 act;
	struct worker_boot	 boot;
	struct inherited	*sockets;	/* owned, reused */
	pid_t			 pid;		/* -1: not forked */
};

struct spawner {
	const struct conf	*conf;
	struct listener_set	*listeners;
	struct board		*board;
	const struct inbox	*inbox;
	struct pool		*pool;
	struct report		*report;
	int			 life[2];	/* workers hold life[0] */
	int			 null_fd;	/* /dev/null, for their stdin */
	struct birth		 births[BIRTHS_MAX];
	int			 count;
};

struct spawner *
spawner_new(const struct conf *conf, struct listener_set *listeners,
    struct board *board, const struct inbox *inbox, struct pool *pool,
    struct report *report, struct err *err)
{
	struct spawner	*s = xcalloc(1, sizeof(*s));

	*s = (struct spawner){ .conf = conf, .listeners = listeners,
	    .board = board, .inbox = inbox, .pool = pool, .report = report,
	    .life = { -1, -1 } };
	if ((s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		err_sys(err, "cannot open /dev/null");
	else if (pipe2(s->life, O_CLOEXEC) == -1)
		err_sys(err, "cannot make the life pipe");
	else
		return s;
	spawner_free(s);
	return NULL;
}

void
spawner_free(struct spawner *s)
{
	int	 i, fds[] = { s == NULL ? -1 : s->null_fd,
		    s == NULL ? -1 : s->life[0], s == NULL ? -1 : s->life[1] };

	for (i = 0; i < 3; i++)
		if (fds[i] != -1)
			close(fds[i]);
	for (i = 0; s != NULL && i < BIRTHS_MAX; i++)
		free(s->births[i].sockets);
	free(s);
}

/* ---- one birth */

/* All that can fail or allocate, before the fork. 0, or -1 with err. */
static int
prepare(struct spawner *s, struct birth *birth, struct err *err)
{
	const struct act	*act = &birth->act;
	size_t			 max = listeners_count(s->listeners);
	int			 count;

	if (birth->sockets == NULL)
		birth->sockets = xcalloc(max + 1, sizeof(*birth->sockets));
	count = listeners_for_slot(s->listeners, act->slot, birth->sockets,
	    max, err);
	if (count == -1)
		return -1;
	birth->boot = (struct worker_boot){
		.conf = s->conf, .slot = act->slot,
		.generation = act->generation, .master_pid = getpid(),
		.board_fd = board_fd(s->board),
		.up_fd = inbox_worker_fd(s->inbox), .life_fd = s->life[0],
		.null_fd = s->null_fd, .sockets = birth->sockets,
		.nsockets = (size_t)count,
		.exclusive = s->conf->listen.accept == ACCEPT_AUTO ||
		    s->conf->listen.accept == ACCEPT_EXCLUSIVE,
		.max_requests = act->max_requests,
		.caretaker = act->caretaker,
	};
	birth->boot.cell = board_take(s->board, err);
	return birth->boot.cell == -1 ? -1 : 0;
}

static void
failed(struct spawner *s, const struct act *act, const struct err *err)
{
	report_spawn_failed(s->report, err);
	pool_spawn_failed(s->pool, act, clock_now_ms());
}

void
spawner_add(struct spawner *s, const struct act *act)
{
	struct birth	*birth;
	struct err	 err;

	birth = &s->births[s->count];
	birth->act = *act;
	if (prepare(s, birth, &err) == 0) {
		if (++s->count == BIRTHS_MAX)
			spawner_flush(s);	/* before more are asked for */
		return;
	}
	/* Those before it first: a pool that gives up must know them. */
	spawner_flush(s);
	failed(s, act, &err);
}

static void
announce(struct spawner *s, const struct birth *birth)
{
	struct child	*child;

	child = pool_spawned(s->pool, &birth->act, birth->pid,
	    birth->boot.cell, clock_now_ms());
	report_start(s->report, child_info(child), &birth->act);
}

bool
spawner_flush(struct spawner *s)
{
	struct err	 err = { "cannot fork a worker" };
	struct birth	*birth;
	int		 i;

	if (s->count == 0)
		return false;
	proc_hold_signals();
	for (i = 0; i < s->count; i++) {
		birth = &s->births[i];
		birth->pid = i > 0 && s->births[i - 1].pid == -1 ? -1 :
		    proc_spawn(&birth->boot);
		if (birth->pid == -1 && (i == 0 || birth[-1].pid != -1))
			err_sys(&err, "cannot fork a worker");
	}
	proc_release_signals();
	for (i = 0; i < s->count; i++) {
		birth = &s->births[i];
		if (birth->pid != -1) {
			announce(s, birth);
			continue;
		}
		board_release(s->board, birth->boot.cell);
		failed(s, &birth->act, &err);
	}
	s->count = 0;
	return true;
}
