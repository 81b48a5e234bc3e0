#include "master/health.h"

#include <stdlib.h>

#include <event2/event.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/pool.h"
#include "master/proc.h"

/* How often memory is looked at when there is no watchdog. */
#define RSS_TICK_MS	5000

struct health {
	const struct conf_worker *conf;
	struct pool		*pool;
	struct board		*board;
	struct event		*tick;
	int64_t			 interval_ms, due_ms, forgiven_ms;
	health_done_fn		*done;
	void			*arg;
};

/*
 * The last sign of life. The figure is the worker's own claim: one that lies
 * ahead of us is none.
 */
static int64_t
last_sign(const struct health *health, const struct child_info *info,
    int64_t now_ms)
{
	struct figures	 figures;
	int64_t		 last = info->ready_ms;

	if (health->forgiven_ms > last)
		last = health->forgiven_ms;
	if (board_read(health->board, info->cell, &figures) == 0 &&
	    figures.beat_ms > last && figures.beat_ms <= now_ms)
		last = figures.beat_ms;
	return last;
}

static void
check_beat(struct health *health, struct child *child, int64_t now_ms)
{
	const struct child_info	*info = child_info(child);
	int64_t			 silent;
	char			 where[128];

	if (health->conf->watchdog == 0 || info->state != CHILD_READY)
		return;
	silent = now_ms - last_sign(health, info, now_ms);
	if (silent <= health->conf->watchdog)
		return;
	proc_where(info->pid, where, sizeof(where));
	log_event(EV_WORKER_STUCK, log_int("slot", info->slot),
	    log_int("pid", info->pid), log_int("gen", info->generation),
	    log_ms("silent", silent), log_str("where", where));
	pool_fact(health->pool, child, ON_STALE, now_ms);
}

static void
check_rss(struct health *health, struct child *child, int64_t now_ms)
{
	const struct child_info	*info = child_info(child);

	if (health->conf->max_rss == 0 || info->state != CHILD_READY)
		return;
	if (proc_rss(info->pid) > health->conf->max_rss)
		pool_retire(health->pool, child, WHY_RSS, now_ms);
}

static void
arm(struct health *health, int64_t now_ms)
{
	struct timeval	 tv = clock_timeval(health->interval_ms);

	health->due_ms = now_ms + health->interval_ms;
	evtimer_add(health->tick, &tv);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct health	*health = arg;
	struct child	*child = NULL;
	int64_t		 now_ms = clock_now_ms();

	(void)fd;
	(void)what;
	/* Late? Then we were away, and say so before anyone is judged. */
	health->done(health->arg);
	while ((child = pool_next_child(health->pool, child)) != NULL) {
		check_beat(health, child, now_ms);
		check_rss(health, child, now_ms);
	}
	arm(health, now_ms);
	health->done(health->arg);
}

struct health *
health_new(struct event_base *base, int priority, const struct conf *conf,
    struct pool *pool, struct board *board, health_done_fn *done, void *arg)
{
	struct health	*health = xcalloc(1, sizeof(*health));

	health->conf = &conf->worker;
	health->pool = pool;
	health->board = board;
	health->done = done;
	health->arg = arg;
	health->due_ms = -1;
	if (conf->worker.watchdog > 0)
		health->interval_ms = conf->worker.watchdog / 3;
	else if (conf->worker.max_rss > 0)
		health->interval_ms = RSS_TICK_MS;
	else
		return health;
	if (health->interval_ms < 1)
		health->interval_ms = 1;
	if ((health->tick = evtimer_new(base, on_tick, health)) == NULL)
		return health;
	event_priority_set(health->tick, priority);
	arm(health, clock_now_ms());
	return health;
}

void
health_free(struct health *health)
{
	if (health == NULL)
		return;
	if (health->tick != NULL)
		event_free(health->tick);
	free(health);
}

int64_t
health_due_ms(const struct health *health)
{
	return health->due_ms;
}

void
health_forgive(struct health *health, int64_t now_ms)
{
	health->forgiven_ms = now_ms;
	if (health->tick != NULL)
		arm(health, now_ms);
}

void
health_count_active(struct health *health)
{
	struct child	*child = NULL;
	struct figures	 figures;

	while ((child = pool_next_child(health->pool, child)) != NULL)
		if (board_read(health->board, child_info(child)->cell,
		    &figures) == 0)
			pool_set_active(health->pool, child, figures.active);
}
