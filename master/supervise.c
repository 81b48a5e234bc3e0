#include "master/supervise.h"

#include <signal.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "master/generation.h"
#include "master/health.h"
#include "master/keepsake.h"
#include "master/listener.h"
#include "master/proc.h"
#include "master/reload.h"
#include "master/roster.h"
#include "master/spawn.h"
#include "master/supervise_priv.h"
#include "master/systemd.h"
#include "master/turnout.h"

/* An alarm that comes later than this says that we were away. */
#define AWAY_MS		1000
/* While workers stop, how often listeners are looked at, at most. */
#define LOOK_MS		200
/* From one renewal of all workers for a listener's sake to the next. */
#define ANEW_MS		1000
/* How soon lost log lines are tried to be told of, at first. */
#define LOG_RETRY_MS		1000

/* ---- acts */

static void
do_signal(struct supervise *s, const struct act *act)
{
	const struct child_info		*info = child_info(act->child);
	const struct conf_worker	*conf;

	/* By the configuration that it was started with. */
	conf = &generations_of(s->p.generations,
	    info->generation)->conf->worker;
	report_signal(&s->report, info, act);
	switch (act->signal) {
	case DO_STOP:
		turnout_stop(s->turnout, info->pid, info->slot,
		    info->generation, conf->stop_signal);
		break;
	case DO_FAST:
		turnout_forget(s->turnout, info->pid);
		proc_signal(info->pid, conf_fast_signal(conf));
		break;
	case DO_ABORT:
		proc_signal(info->pid, SIGABRT);
		break;
	case DO_KILL:
		turnout_forget(s->turnout, info->pid);
		if (proc_kill(info->pid) == -1)
			report_kill_failed(&s->report, info);
		break;
	default:
		break;
	}
}

static void
do_act(struct supervise *s, const struct act *act)
{
	if (act->kind != ACT_SPAWN)
		spawner_flush(s->spawner);
	switch (act->kind) {
	case ACT_SPAWN:
		spawner_add(s->spawner, act);
		break;
	case ACT_SIGNAL:
		do_signal(s, act);
		break;
	case ACT_REFUSE:
		listeners_refuse_all();
		s->setup_due = true;
		s->p.changed(s->p.arg);
		break;
	}
}

void
supervise_reopen(struct supervise *s)
{
	const struct child_info		*info;
	const struct conf_worker	*conf;
	struct child			*child = NULL;

	while ((child = pool_next_child(s->pool, child)) != NULL) {
		info = child_info(child);
		conf = &generations_of(s->p.generations,
		    info->generation)->conf->worker;
		if (roster_at(s->roster, info->cell)->program &&
		    conf->reopen_signal != 0)
			proc_signal(info->pid, conf->reopen_signal);
	}
}

/* ---- the turn */

/*
 * Has a worker shut a listener down? It may have as it ended, or as it was
 * told to, which may take it long.
 */
static void
look_at_listeners(struct supervise *s, int64_t now_ms)
{
	if (pool_phase(s->pool) != POOL_RUNNING || (!s->look_due &&
	    (pool_live(s->pool) == pool_ready(s->pool) ||
	    now_ms - s->looked_ms < LOOK_MS)))
		return;
	s->look_due = false;
	s->looked_ms = now_ms;
	switch (listeners_revive()) {
	case REVIVED_NONE:
	case REVIVED_SAME:
		return;
	case REVIVED_OTHER:
		s->anew_due = true;
		/* The image to come has to know it by its new name. */
		s->setup_due = true;
		keepsake_turn(s);
		/* FALLTHROUGH */
	case REVIVED_GROUP:
		turnout_steer_anew(s->turnout);
		return;
	}
}

/* Not as fast as a program can shut its listener down. -1: not at all. */
static int64_t
renewal_due_ms(const struct supervise *s, int64_t now_ms)
{
	if (!s->anew_due)
		return -1;
	return s->anew_ms == 0 || s->anew_ms + ANEW_MS < now_ms ? now_ms :
	    s->anew_ms + ANEW_MS;
}

void
supervise_renew_due(struct supervise *s)
{
	int64_t	 now_ms = clock_now_ms();

	if (renewal_due_ms(s, now_ms) != now_ms)
		return;
	s->anew_due = false;
	s->anew_ms = now_ms;
	reload_again(s->reload, "listener");
}

static int64_t
sooner(int64_t a_ms, int64_t b_ms)
{
	if (a_ms == -1 || b_ms == -1)
		return a_ms == -1 ? b_ms : a_ms;
	return a_ms < b_ms ? a_ms : b_ms;
}

static void
arm_timers(struct supervise *s, int64_t now_ms)
{
	int64_t	 due_ms = sooner(pool_deadline_ms(s->pool),
		    turnout_due_ms(s->turnout));

	due_ms = sooner(due_ms, renewal_due_ms(s, now_ms));
	/*
	 * While time limits run, absence is noticed to the second, and what
	 * somebody does to a listener as it stops, before.
	 */
	if (pool_live(s->pool) != pool_ready(s->pool))
		due_ms = sooner(due_ms, now_ms + LOOK_MS);
	if (due_ms == -1)
		event_del(s->timer);
	else if (due_ms != s->armed_ms || !evtimer_pending(s->timer, NULL))
		supervise_arm(s->timer, due_ms - now_ms);
	s->armed_ms = due_ms;
	if (pool_hungry(s->pool))
		event_active(s->turn, EV_TIMEOUT, 0);
	if (log_lossy() && !evtimer_pending(s->log_retry, NULL))
		supervise_arm(s->log_retry, s->log_retry_ms = LOG_RETRY_MS);
}

/*
 * Were we stopped, starved or frozen? An alarm that is overdue by a second
 * says so. We may have been away since the last run: that is what those who
 * had a time limit get back.
 */
static void
notice_absence(struct supervise *s, int64_t now_ms)
{
	int64_t	 due_ms = health_due_ms(s->health);

	if (s->armed_ms != -1 && (due_ms == -1 || s->armed_ms < due_ms))
		due_ms = s->armed_ms;
	if (due_ms == -1 || now_ms - due_ms < AWAY_MS)
		return;
	log_event(EV_MASTER_AWAY, log_ms("for", now_ms - due_ms));
	pool_shift(s->pool, now_ms - s->last_run_ms);
	health_forgive(s->health, now_ms);
}

/*
 * A renewal has ended. It was told of from within the pool, which cannot be
 * given another policy there.
 */
static void
end_renewal(struct supervise *s)
{
	if (!s->renewal_told)
		return;
	s->renewal_told = false;
	reload_told(s->reload, &s->renewal, s->renewal_words.text);
}

/* All acts there are to do, and the forks that they ask for. */
static void
do_acts(struct supervise *s, int64_t now_ms)
{
	struct act	 act;

	do {
		end_renewal(s);
		while (!s->renewal_told && pool_next(s->pool, now_ms, &act)) {
			do_act(s, &act);
			now_ms = clock_now_ms();
		}
	} while (spawner_flush(s->spawner) || s->renewal_told);
}

static void
tell_manager(struct supervise *s)
{
	if (s->p.systemd == NULL)
		return;
	if (pool_phase(s->pool) != POOL_RUNNING)
		systemd_status(s->p.systemd, "stopping, workers left: %d",
		    pool_live(s->pool));
	else
		systemd_status(s->p.systemd, "%d of %d workers ready, "
		    "generation %d%s", pool_ready(s->pool),
		    pool_target(s->pool), pool_generation(s->pool),
		    reload_running(s->reload) ? ", reloading" : "");
}

/* Their sockets close, which the next turn writes down. */
static void
bury(struct supervise *s)
{
	if (generations_bury(s->p.generations))
		s->setup_due = true;
}

void
supervise_run(struct supervise *s)
{
	int64_t		 now_ms = clock_now_ms();

	if (s->over) {
		log_release();
		return;
	}
	log_hold();
	notice_absence(s, now_ms);
	look_at_listeners(s, now_ms);
	pool_begin_turn(s->pool);
	do_acts(s, now_ms);
	now_ms = clock_now_ms();
	log_release();
	turnout_run(s->turnout, now_ms);
	s->setup_due |= generations_prune(s->p.generations);
	keepsake_turn(s);
	bury(s);
	s->last_run_ms = now_ms;
	arm_timers(s, now_ms);
	report_title(&s->report, s->pool);
	tell_manager(s);
	if (pool_phase(s->pool) == POOL_ENDED) {
		s->over = true;
		s->p.ended(s->p.arg);
	}
}
