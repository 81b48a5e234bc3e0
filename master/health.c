#include "master/health.h"

#include <stdlib.h>

#include <event2/event.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/generation.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/roster.h"

/* How often memory is looked at when there is no watchdog. */
#define RSS_TICK_MS	5000

struct health {
	struct health_parts	 p;
	struct event		*tick;
	int64_t			 interval_ms, due_ms, forgiven_ms;
};

static const struct conf_worker *
conf_of(const struct health *health, const struct child_info *info)
{
	return &generations_of(health->p.generations,
	    info->generation)->conf->worker;
}

/*
 * The last sign of life. The board's figure is the worker's own claim: one
 * that lies ahead of us is none.
 */
static int64_t
last_sign(const struct health *health, const struct child_info *info,
    const struct entry *entry, int64_t now_ms)
{
	struct figures	 figures;
	int64_t		 last = info->ready_ms;

	if (health->forgiven_ms > last)
		last = health->forgiven_ms;
	if (entry->program)
		return entry->alive_ms > last ? entry->alive_ms : last;
	if (board_read(health->p.board, info->cell, &figures) == 0 &&
	    figures.beat_ms > last && figures.beat_ms <= now_ms)
		last = figures.beat_ms;
	return last;
}

/*
 * Nobody can hold a program to a heartbeat that it does not know of, nor a
 * worker of another master to one that it shows elsewhere.
 */
static bool
watched(const struct conf_worker *conf, const struct entry *entry)
{
	if (conf->watchdog == 0 || entry->pidfd != -1)
		return false;
	return !entry->program || entry->alive_ms != 0 ||
	    conf->watchdog_required;
}

static void
check_beat(struct health *health, struct child *child, int64_t now_ms)
{
	const struct child_info		*info = child_info(child);
	const struct conf_worker	*conf = conf_of(health, info);
	const struct entry		*entry;
	int64_t				 silent;
	char				 where[128];

	entry = roster_at(health->p.roster, info->cell);
	if (info->state != CHILD_READY || !watched(conf, entry))
		return;
	silent = now_ms - last_sign(health, info, entry, now_ms);
	if (silent <= conf->watchdog)
		return;
	proc_where(info->pid, where, sizeof(where));
	log_event(EV_WORKER_STUCK, log_int("slot", info->slot),
	    log_int("pid", info->pid), log_int("gen", info->generation),
	    log_ms("silent", silent), log_str("where", where));
	pool_fact(health->p.pool, child, ON_STALE, now_ms);
}

static void
check_rss(struct health *health, struct child *child, int64_t now_ms)
{
	const struct child_info	*info = child_info(child);
	int64_t			 limit;

	limit = generations_now(health->p.generations)->conf->worker.max_rss;
	if (limit == 0 || info->state != CHILD_READY)
		return;
	if (proc_rss(info->pid) > limit)
		pool_retire(health->p.pool, child, WHY_RSS, now_ms);
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
	health->p.done(health->p.arg);
	while ((child = pool_next_child(health->p.pool, child)) != NULL) {
		check_beat(health, child, now_ms);
		check_rss(health, child, now_ms);
	}
	arm(health, now_ms);
	health->p.done(health->p.arg);
}

struct health *
health_new(const struct health_parts *parts)
{
	struct health	*health = xcalloc(1, sizeof(*health));

	health->p = *parts;
	health->due_ms = -1;
	health->tick = evtimer_new(parts->base, on_tick, health);
	if (health->tick != NULL)
		event_priority_set(health->tick, parts->priority);
	return health;
}

static int64_t
third(int64_t watchdog_ms)
{
	return watchdog_ms < 3 ? 1 : watchdog_ms / 3;
}

/* As often as the shortest watchdog of all that live asks for. */
void
health_set(struct health *health)
{
	const struct generation	*generation;
	const struct conf	*conf;
	int64_t			 interval_ms = 0;

	generation = generations_first(health->p.generations);
	for (; generation != NULL; generation = generation->next) {
		conf = generation->conf;
		if (conf->worker.watchdog > 0 && (interval_ms == 0 ||
		    third(conf->worker.watchdog) < interval_ms))
			interval_ms = third(conf->worker.watchdog);
	}
	conf = generations_now(health->p.generations)->conf;
	if (interval_ms == 0 && conf->worker.max_rss > 0)
		interval_ms = RSS_TICK_MS;
	if (interval_ms == health->interval_ms || health->tick == NULL)
		return;
	health->interval_ms = interval_ms;
	if (interval_ms > 0) {
		arm(health, clock_now_ms());
		return;
	}
	event_del(health->tick);
	health->due_ms = -1;
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
	if (health->interval_ms > 0)
		arm(health, now_ms);
}

void
health_count_active(struct health *health)
{
	struct child	*child = NULL;
	struct figures	 figures;

	while ((child = pool_next_child(health->p.pool, child)) != NULL)
		if (board_read(health->p.board, child_info(child)->cell,
		    &figures) == 0)
			pool_set_active(health->p.pool, child, figures.active);
}
