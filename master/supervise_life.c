#include "master/supervise.h"

#include <sys/random.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/acks.h"
#include "master/capture.h"
#include "master/check.h"
#include "master/generation.h"
#include "master/health.h"
#include "master/inbox.h"
#include "master/keep.h"
#include "master/keepsake.h"
#include "master/listener.h"
#include "master/mailbox.h"
#include "master/mirror.h"
#include "master/policy.h"
#include "master/pool_save.h"
#include "master/proc.h"
#include "master/reload.h"
#include "master/restore.h"
#include "master/roster.h"
#include "master/setup.h"
#include "master/spawn.h"
#include "master/supervise_priv.h"
#include "master/survivors.h"
#include "master/systemd.h"
#include "master/turnout.h"

/* The shell's parts: made, connected, taken apart. What it does each turn is
 * in supervise.c. */

/* Lost log lines are tried to be told of ever more rarely. */
#define LOG_RETRY_MAX_MS	60000

/* ---- what calls us */

void
supervise_arm(struct event *timer, int64_t delay_ms)
{
	struct timeval	 tv = clock_timeval(delay_ms);

	evtimer_add(timer, &tv);
}

static void
run(void *arg)
{
	supervise_run(arg);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct supervise	*s = arg;

	(void)fd;
	(void)what;
	supervise_renew_due(s);
	supervise_run(s);
}

static void
on_log_retry(evutil_socket_t fd, short what, void *arg)
{
	struct supervise	*s = arg;

	(void)fd;
	(void)what;
	log_retry();
	if (!log_lossy())
		return;
	if ((s->log_retry_ms *= 2) > LOG_RETRY_MAX_MS)
		s->log_retry_ms = LOG_RETRY_MAX_MS;
	supervise_arm(s->log_retry, s->log_retry_ms);
}

static void
on_tell(void *arg, const struct pool_tell *tell)
{
	struct supervise	*s = arg;

	report_tell(&s->report, tell);
	switch (tell->kind) {
	case TELL_READY:
		report_pool_ready(&s->report, s->pool);
		s->p.ready(s->p.arg);
		break;
	case TELL_ALIVE:
		hear_alive(s, tell->child);
		break;
	case TELL_RENEW_DONE:
	case TELL_RENEW_FAILED:
		s->renewal = *tell;
		s->renewal.child = NULL;	/* it may be gone by then */
		s->renewal_words = s->report.last_words;
		s->renewal_told = true;
		break;
	default:
		break;
	}
}

/* ---- life */

static uint64_t
random_seed(void)
{
	uint64_t	 seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(seed))
		seed = (uint64_t)clock_now_us() ^ (uint64_t)getpid();
	return seed;
}

static struct event *
timer_new(struct supervise *s, event_callback_fn callback, int priority)
{
	struct event	*timer = evtimer_new(s->p.base, callback, s);

	if (timer != NULL)
		event_priority_set(timer, priority);
	return timer;
}

static int
open_spawner(struct supervise *s, struct err *err)
{
	struct spawn_parts	 parts = {
		.generations = s->p.generations,
		.environment = s->p.environment, .board = s->board,
		.inbox = s->inbox, .mailroom = s->mailroom, .acks = s->acks,
		.captures = s->captures, .roster = s->roster,
		.mirror = s->p.mirror, .pool = s->pool, .report = &s->report,
		.life = keepsake_life(s),
	};

	s->spawner = spawner_new(&parts, err);
	return s->spawner == NULL ? -1 : 0;
}

static int
open_timers(struct supervise *s, struct err *err)
{
	s->timer = timer_new(s, on_timer, PRIORITY_FACTS);
	s->turn = timer_new(s, on_timer, PRIORITY_TURNS);
	s->log_retry = timer_new(s, on_log_retry, PRIORITY_TURNS);
	if (s->timer == NULL || s->turn == NULL || s->log_retry == NULL)
		return err_set(err, "cannot make the master's timers");
	return 0;
}

static void
on_changed(void *arg)
{
	struct supervise	*s = arg;

	health_set(s->health);
	keepsake_setup(s);
	s->p.changed(s->p.arg);
}

static void
on_reload_begun(void *arg)
{
	struct supervise	*s = arg;

	supervise_write_down(s);
	systemd_reloading(s->p.systemd);
}

static void
on_reload_ended(void *arg)
{
	systemd_ready(((struct supervise *)arg)->p.systemd);
}

static const struct listener_set *
set_of(void *arg, int generation)
{
	struct supervise	*s = arg;

	return generations_of(s->p.generations, generation)->sockets;
}

static void
open_parts(struct supervise *s)
{
	struct health_parts	 health = { s->p.base, PRIORITY_FACTS,
				    s->p.generations, s->pool, s->board,
				    s->roster, run, s };
	struct reload_parts	 reload = { s->p.base, PRIORITY_FACTS,
				    s->p.source, s->p.generations, s->pool,
				    on_changed, on_reload_begun,
				    on_reload_ended, run, s };

	s->health = health_new(&health);
	health_set(s->health);
	s->turnout = turnout_new(s->p.base, PRIORITY_FACTS, s->pool, set_of,
	    run, s);
	s->reload = reload_new(&reload);
	s->check = check_new(s->p.base, PRIORITY_TURNS, s->p.generations,
	    s->pool, s->roster);
}

static struct pool *
first_pool(struct supervise *s, int64_t now_ms)
{
	const struct generation	*first = generations_now(s->p.generations);
	struct pool_policy	 policy = policy_of(first->conf,
				    first->sockets);

	return pool_new(&policy, first->conf->pool.workers, random_seed(),
	    on_tell, s, now_ms);
}

struct supervise *
supervise_new(const struct supervise_parts *parts, struct err *err)
{
	struct supervise	*s = xcalloc(1, sizeof(*s));

	s->p = *parts;
	s->armed_ms = -1;
	s->last_run_ms = clock_now_ms();
	s->roster = roster_new();
	report_init(&s->report, parts->generations, s->roster);
	s->pool = parts->saved != NULL ?
	    keepsake_pool(s, random_seed(), on_tell, err) :
	    first_pool(s, s->last_run_ms);
	if (s->pool == NULL || keepsake_board(s, err) == -1 ||
	    hear_open(s, err) == -1 || open_spawner(s, err) == -1 ||
	    open_timers(s, err) == -1) {
		if (restore_may_undo(parts->saved))
			supervise_free(s);
		return NULL;
	}
	open_parts(s);
	if (parts->saved != NULL) {
		keepsake_workers(s);
		if (pool_renewing(s->pool))
			keepsake_renewal(s);
		if (parts->figures->reload_begun != SETUP_NO_RELOAD)
			reload_cut_off(s->reload, parts->figures->reload_begun
			    == SETUP_BY_UPGRADE ? "upgrade" : "signal");
	}
	keepsake_setup(s);
	return s;
}

void
supervise_free(struct supervise *s)
{
	struct event	**timers[] = { &s->timer, &s->turn, &s->log_retry };
	size_t		 i;

	for (i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (*timers[i] != NULL)
			event_free(*timers[i]);
	check_free(s->check);
	reload_free(s->reload);
	spawner_free(s->spawner);
	turnout_free(s->turnout);
	health_free(s->health);
	pool_free(s->pool);
	roster_free(s->roster);
	acks_free(s->acks);
	captures_free(s->captures);
	mailroom_free(s->mailroom);
	inbox_free(s->inbox);
	board_free(s->board);
	free(s->left);
	free(s);
}

static void
refuse(const struct survivor *it, const char *msg)
{
	log_event(EV_SURVIVOR_LEFT, log_int("slot", it->slot),
	    log_int("pid", it->pid), log_str("msg", msg));
}

/* Its pidfd is ours from then on. */
static void
adopt(struct supervise *s, struct survivor *it)
{
	/* A built-in worker does not tell; any number below ours will do. */
	int		 generation = it->generation > 0 ? it->generation : 1;
	struct entry	 entry = { .pid = it->pid, .slot = it->slot,
			    .generation = generation, .program = it->program,
			    .pidfd = it->pidfd, .uid = it->uid,
			    .born_us = clock_of_start_us(it->start) };
	struct err	 err;
	int		 cell;

	if ((cell = board_take(s->board, &err)) == -1) {
		refuse(it, err.text);
		return;
	}
	if (pool_adopt_child(s->pool, it->pid, it->slot, generation, cell,
	    clock_now_ms()) == NULL) {
		refuse(it, "it is of no sensible slot or generation");
		board_release(s->board, cell);
		return;
	}
	it->pidfd = -1;
	roster_enter(s->roster, cell, &entry);
	reap_watch(s, cell);
	log_event(EV_SURVIVOR_FOUND, log_int("slot", it->slot),
	    log_int("pid", it->pid), log_int("gen", generation));
}

/*
 * The pool may have been scaled: who serves shall not be told to go before
 * somebody is there in his place.
 */
static void
make_room(struct supervise *s, const struct survivors *survivors)
{
	int	 from = pool_target(s->pool), slots;

	if ((slots = survivors_slots(survivors)) <= from)
		return;
	pool_set_target(s->pool, slots, clock_now_ms());
	if (pool_target(s->pool) != from)
		log_event(EV_POOL_SCALE, log_int("from", from),
		    log_int("to", pool_target(s->pool)), log_int("asked",
		    slots), log_str("msg", "so many survivors serve"));
}

/*
 * Each takes the place it had; then all are replaced, as they were started by
 * a configuration that nobody knows. Ours is the generation that replaces
 * them.
 */
void
supervise_adopt(struct supervise *s, struct survivors *survivors)
{
	size_t	 i;

	make_room(s, survivors);
	for (i = 0; i < survivors->count; i++)
		adopt(s, &survivors->list[i]);
	report_title(&s->report, s->pool);
	if (pool_live(s->pool) == 0)
		return;
	pool_renew(s->pool, clock_now_ms());
	generations_now(s->p.generations)->nr = pool_generation(s->pool);
	reload_resume(s->reload, "adopt");
}

bool
supervise_write_down(struct supervise *s)
{
	s->setup_due = true;
	if (mirror_lost(s->p.mirror) > 0)
		keepsake_all(s);
	else
		keepsake_turn(s);
	return mirror_lost(s->p.mirror) == 0;
}

void
supervise_note(struct supervise *s)
{
	/* The end of a renewal is not half a thing to be written down. */
	if (!s->over && !s->renewal_told)
		keepsake_turn(s);
}

void
supervise_changed(struct supervise *s)
{
	s->setup_due = true;
}

const char *
supervise_verdict(const struct supervise *s)
{
	return s->report.verdict;
}

bool
supervise_is_ready(const struct supervise *s)
{
	return pool_announced(s->pool);
}

struct pool *
supervise_pool(struct supervise *s)
{
	return s->pool;
}

struct reload *
supervise_reload(struct supervise *s)
{
	return s->reload;
}

void
supervise_count_active(struct supervise *s)
{
	health_count_active(s->health);
}
