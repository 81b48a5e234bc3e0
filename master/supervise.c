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

static void
arm_timers(struct supervise *s, int64_t now_ms)
{
	int64_t	 due_ms = pool_deadline_ms(s->pool);
	int64_t	 other_ms = turnout_due_ms(s->turnout);

	if (due_ms == -1 || (other_ms != -1 && other_ms < due_ms))
		due_ms = other_ms;
	/* While time limits run, absence is noticed to the second. */
	if (due_ms > now_ms + AWAY_MS &&
	    pool_live(s->pool) != pool_ready(s->pool))
		due_ms = now_ms + AWAY_MS;
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
