#include "master/supervise.h"

#include <sys/random.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/notify.h"
#include "master/health.h"
#include "master/inbox.h"
#include "master/listener.h"
#include "master/policy.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/report.h"
#include "master/spawn.h"
#include "master/turnout.h"

/* Messages that are read before a death is judged, and some per worker. */
#define LAST_WORDS	256
/* An alarm that comes later than this says that we were away. */
#define AWAY_MS		1000
/* How soon lost log lines are tried to be told of: ever more rarely. */
#define LOG_RETRY_MS		1000
#define LOG_RETRY_MAX_MS	60000

struct supervise {
	struct event_base	*base;
	const struct conf	*conf;
	struct listener_set	*listeners;	/* borrowed */
	struct pool		*pool;
	struct board		*board;
	struct inbox		*inbox;
	struct health		*health;
	struct turnout		*turnout;
	struct spawner		*spawner;
	struct event		*timer;		/* the pool's next deadline */
	struct event		*turn;		/* more forks, next turn */
	struct event		*log_retry;
	int64_t			 log_retry_ms;
	int64_t			 armed_ms;	/* timer's time, or -1 */
	int64_t			 last_run_ms;
	bool			 over;
	struct supervise_events	 events;
	struct report		 report;
};

/* ---- facts */

static void
on_said(void *arg, pid_t sender, const struct notify *said)
{
	struct supervise	*s = arg;
	struct child		*child;
	int64_t			 now_ms;

	if (said->log != NULL) {
		log_relay(said->log, said->log_len);
		report_heard(&s->report, said->log, said->log_len);
	}
	if ((child = pool_find(s->pool, sender)) == NULL)
		return;
	now_ms = clock_now_ms();
	if (said->ready) {
		if (child_info(child)->state == CHILD_STARTING)
			report_ready(&s->report, child_info(child));
		pool_fact(s->pool, child, ON_READY, now_ms);
	}
	if (said->stopping)
		pool_fact(s->pool, child, ON_LEAVING, now_ms);
	if (said->retire)
		pool_retire(s->pool, child, WHY_REQUESTS, now_ms);
}

void
supervise_reap(struct supervise *s)
{
	struct proc_death	 death;
	struct child		*child;
	pid_t			 pid;

	/* Last words before the verdict: all that the living may have said. */
	inbox_read(s->inbox, LAST_WORDS + 4 * pool_live(s->pool));
	while ((pid = proc_ended()) > 0) {
		child = pool_find(s->pool, pid);
		/*
		 * What it leaves behind goes with it; now, while its number
		 * still is the group's and cannot be a stranger's.
		 */
		if (child != NULL)
			proc_kill_leftovers(pid);
		if (!proc_reap(pid, &death))
			break;
		if (child == NULL) {
			log_event(EV_STRANGER_EXIT, log_int("pid", pid));
			continue;
		}
		report_exit(&s->report, child_info(child), &death);
		turnout_forget(s->turnout, pid);
		board_release(s->board, child_info(child)->cell);
		pool_exited(s->pool, child, death.code, clock_now_ms());
	}
}

/* ---- acts */

static void
do_signal(struct supervise *s, const struct act *act)
{
	const struct child_info	*info = child_info(act->child);

	report_signal(&s->report, info, act);
	switch (act->signal) {
	case DO_STOP:
		turnout_stop(s->turnout, info->pid, info->slot,
		    info->generation,
		    s->conf->worker.stop_signal);
		break;
	case DO_FAST:
		turnout_forget(s->turnout, info->pid);
		proc_signal(info->pid, conf_fast_signal(&s->conf->worker));
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
		break;
	}
}

/* ---- the turn */

static void
arm(struct event *timer, int64_t delay_ms)
{
	struct timeval	 tv = clock_timeval(delay_ms);

	evtimer_add(timer, &tv);
}

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
		arm(s->timer, due_ms - now_ms);
	s->armed_ms = due_ms;
	if (pool_hungry(s->pool))
		event_active(s->turn, EV_TIMEOUT, 0);
	if (log_lossy() && !evtimer_pending(s->log_retry, NULL))
		arm(s->log_retry, s->log_retry_ms = LOG_RETRY_MS);
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

void
supervise_run(struct supervise *s)
{
	struct act	 act;
	int64_t		 now_ms = clock_now_ms();

	if (s->over) {
		log_release();
		return;
	}
	log_hold();
	notice_absence(s, now_ms);
	pool_begin_turn(s->pool);
	do {
		while (pool_next(s->pool, now_ms, &act)) {
			do_act(s, &act);
			now_ms = clock_now_ms();
		}
	} while (spawner_flush(s->spawner));
	log_release();
	turnout_run(s->turnout, now_ms);
	s->last_run_ms = now_ms;
	arm_timers(s, now_ms);
	report_title(&s->report, s->pool);
	if (pool_phase(s->pool) == POOL_ENDED) {
		s->over = true;
		s->events.ended(s->events.arg);
	}
}

static void
run(void *arg)
{
	supervise_run(arg);
}

/* There is one generation's set so far, and all have it. */
static const struct listener_set *
set_of(void *arg, int generation)
{
	const struct supervise	*s = arg;

	(void)generation;
	return s->listeners;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct supervise	*s = arg;

	(void)fd;
	(void)what;
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
	arm(s->log_retry, s->log_retry_ms);
}

static void
on_tell(void *arg, const struct pool_tell *tell)
{
	struct supervise	*s = arg;

	report_tell(&s->report, tell);
	if (tell->kind == TELL_READY) {
		report_pool_ready(&s->report, s->pool);
		s->events.ready(s->events.arg);
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
	struct event	*timer = evtimer_new(s->base, callback, s);

	if (timer != NULL)
		event_priority_set(timer, priority);
	return timer;
}

static int
open_parts(struct supervise *s, struct err *err)
{
	if ((s->board = board_new(err)) == NULL)
		return -1;
	s->inbox = inbox_new(s->base, PRIORITY_FACTS, on_said, run, s, err);
	if (s->inbox == NULL)
		return -1;
	s->spawner = spawner_new(s->conf, s->listeners, s->board, s->inbox,
	    s->pool, &s->report, err);
	if (s->spawner == NULL)
		return -1;
	s->timer = timer_new(s, on_timer, PRIORITY_FACTS);
	s->turn = timer_new(s, on_timer, PRIORITY_TURNS);
	s->log_retry = timer_new(s, on_log_retry, PRIORITY_TURNS);
	if (s->timer == NULL || s->turn == NULL || s->log_retry == NULL)
		return err_set(err, "cannot make the master's timers");
	return 0;
}

struct supervise *
supervise_new(struct event_base *base, const struct conf *conf,
    struct listener_set *listeners, const struct supervise_events *events,
    struct err *err)
{
	struct supervise	*s = xcalloc(1, sizeof(*s));
	struct pool_policy	 policy = policy_of(conf);
	int64_t			 now_ms = clock_now_ms();

	if (listeners_steered(listeners) &&
	    policy.max_workers > CONF_REUSEPORT_SLOTS)
		policy.max_workers = CONF_REUSEPORT_SLOTS;
	s->base = base;
	s->conf = conf;
	s->listeners = listeners;
	s->events = *events;
	s->armed_ms = -1;
	s->last_run_ms = now_ms;
	report_init(&s->report, conf);
	s->pool = pool_new(&policy, conf->pool.workers, random_seed(),
	    on_tell, s, now_ms);
	if (open_parts(s, err) == -1) {
		supervise_free(s);
		return NULL;
	}
	s->health = health_new(base, PRIORITY_FACTS, conf, s->pool, s->board,
	    run, s);
	s->turnout = turnout_new(base, PRIORITY_FACTS, s->pool, set_of,
	    run, s);
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
	spawner_free(s->spawner);
	turnout_free(s->turnout);
	health_free(s->health);
	pool_free(s->pool);
	inbox_free(s->inbox);
	board_free(s->board);
	report_free(&s->report);
	free(s);
}

struct pool *
supervise_pool(struct supervise *s)
{
	return s->pool;
}

void
supervise_count_active(struct supervise *s)
{
	health_count_active(s->health);
}
