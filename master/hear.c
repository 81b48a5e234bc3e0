#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/notify.h"
#include "master/acks.h"
#include "master/capture.h"
#include "master/check.h"
#include "master/generation.h"
#include "master/inbox.h"
#include "master/keepsake.h"
#include "master/mailbox.h"
#include "master/reload.h"
#include "master/roster.h"
#include "master/supervise_priv.h"
#include "master/systemd.h"
#include "master/turnout.h"

/*
 * What workers say becomes facts. Built-in apps share one channel, programs
 * have an address each; both speak sd_notify(3).
 */

/* Messages that are read before a death is judged, and some per worker. */
#define LAST_WORDS	256
/* The longest extension of a time limit that is taken at its word. */
#define EXTEND_MAX_MS	INT64_C(86400000)
#define STATUS_MAX	200
/* What ready_timeout leaves at least to one whose word is looked into. */
#define HELD_SLACK_MS	1000

/*
 * A built-in caretaker leaves by itself; a program has to be told to, once it
 * has served whom it was started for.
 */
static void
tell_caretaker(struct supervise *s, const struct child_info *info)
{
	const struct conf_worker	*conf;

	conf = &generations_of(s->p.generations,
	    info->generation)->conf->worker;
	turnout_stop(s->turnout, info->pid, info->slot, info->generation,
	    conf->stop_signal);
}

static void
hear_ready(struct supervise *s, const struct child_info *info)
{
	bool	 program = roster_at(s->roster, info->cell)->program;

	report_ready(&s->report, info);
	s->look_due = true;
	if (info->caretaker) {
		if (program)
			tell_caretaker(s, info);
		return;
	}
	if (!generations_proved(s->p.generations, info->generation))
		return;
	reload_proved(s->reload, info->generation);
	s->setup_due = true;	/* sockets may have been retired */
	if (program)
		check_soon(s->check, info->generation);
}

/* Is it not to count as ready yet, or ever? */
static bool
held(struct supervise *s, struct child *child)
{
	const struct child_info	*info = child_info(child);
	int64_t			 again_ms;
	struct err		 why;

	switch (check_successor(s->check, info, &again_ms, &why)) {
	case CHECK_GOOD:
		break;
	case CHECK_WAIT:
		pool_hold(s->pool, child, clock_now_ms() + again_ms);
		/* It has said its word in time. */
		pool_extend(s->pool, child, again_ms + HELD_SLACK_MS,
		    clock_now_ms());
		return true;
	case CHECK_BAD:
		report_unfit(&s->report, info, &why);
		pool_reject(s->pool, child, clock_now_ms());
		return true;
	}
	return false;
}

void
hear_alive(struct supervise *s, const struct child_info *info)
{
	if (!held(s, pool_find(s->pool, info->pid)))
		hear_ready(s, info);
}

static void
is_ready(struct supervise *s, struct child *child)
{
	bool	 starting = child_info(child)->state == CHILD_STARTING;

	if (starting && held(s, child))
		return;
	if (starting)
		hear_ready(s, child_info(child));
	else if (s->p.again && child_info(child)->ready_ms != -1)
		return;		/* we know: hear_again() */
	pool_fact(s->pool, child, ON_READY, clock_now_ms());
}

/* ---- built-in apps */

static void
on_said(void *arg, pid_t sender, const struct notify *said)
{
	struct supervise	*s = arg;
	struct child		*child;

	if (said->log != NULL) {
		log_relay(said->log, said->log_len);
		report_heard(&s->report, said->log, said->log_len);
	}
	if ((child = pool_find(s->pool, sender)) == NULL)
		return;
	if (said->ready)
		is_ready(s, child);
	if (said->stopping)
		pool_fact(s->pool, child, ON_LEAVING, clock_now_ms());
	if (said->retire)
		pool_retire(s->pool, child, WHY_REQUESTS, clock_now_ms());
}

void
hear_again(struct supervise *s, struct child *child)
{
	struct entry	*entry = roster_at(s->roster, child_info(child)->cell);
	struct figures	 figures;

	if (entry->program || board_read(s->board, child_info(child)->cell,
	    &figures) == -1)
		return;
	if ((figures.said & BOARD_READY) != 0 &&
	    child_info(child)->state == CHILD_STARTING)
		is_ready(s, child);
	if ((figures.said & BOARD_RETIRE) != 0)
		pool_retire(s->pool, child, WHY_REQUESTS, clock_now_ms());
}

/* ---- programs */

static void
keep_status(struct entry *entry, const struct notify *said)
{
	size_t	 len = said->status_len;

	if (said->status == NULL)
		return;
	if (len > STATUS_MAX)
		len = STATUS_MAX;
	free(entry->status);
	entry->status = xasprintf("%.*s", (int)len, said->status);
	log_event(EV_WORKER_STATUS, log_int("slot", entry->slot),
	    log_int("pid", entry->pid), log_str("status", entry->status));
}

static void
keep_signs(struct supervise *s, struct child *child, struct entry *entry,
    const struct notify *said)
{
	int64_t	 now_ms = clock_now_ms();
	bool	 first;

	if (said->error != 0)
		entry->error = said->error;
	if (said->watchdog == NOTIFY_WATCHDOG_ALIVE) {
		first = entry->alive_ms == 0;
		entry->alive_ms = now_ms;
		if (first)
			keepsake_child(s, child);
	}
	if (said->extend_us > 0)
		pool_extend(s->pool, child, said->extend_us / 1000 >
		    EXTEND_MAX_MS ? EXTEND_MAX_MS : said->extend_us / 1000,
		    now_ms);
}

/* A word cuts auto short; alive:DURATION means just that. */
static bool
listens_to_ready(const struct supervise *s, const struct entry *entry)
{
	const struct conf	*conf;

	conf = generations_of(s->p.generations, entry->generation)->conf;
	return conf->worker.ready.mode != READY_ALIVE;
}

static void
on_mail(void *arg, pid_t worker, const struct notify *said)
{
	struct supervise	*s = arg;
	struct child		*child = pool_find(s->pool, worker);
	struct entry		*entry;

	if (child == NULL)
		return;
	entry = roster_at(s->roster, child_info(child)->cell);
	keep_status(entry, said);
	keep_signs(s, child, entry, said);
	if (said->ready && child_info(child)->state == CHILD_STARTING &&
	    listens_to_ready(s, entry)) {
		is_ready(s, child);
		keepsake_turn(s);	/* it is not said again */
	}
	if (said->stopping && child_info(child)->state == CHILD_READY)
		pool_fact(s->pool, child, ON_LEAVING, clock_now_ms());
	if (said->watchdog == NOTIFY_WATCHDOG_TRIGGER &&
	    child_info(child)->state == CHILD_READY) {
		log_event(EV_WORKER_STUCK, log_int("slot", entry->slot),
		    log_int("pid", entry->pid),
		    log_int("gen", entry->generation),
		    log_str("where", "by its own word"));
		pool_fact(s->pool, child, ON_STALE, clock_now_ms());
	}
}

static void
on_ack(void *arg, pid_t worker)
{
	struct supervise	*s = arg;
	struct child		*child = pool_find(s->pool, worker);

	if (child == NULL || child_info(child)->state != CHILD_STARTING ||
	    !listens_to_ready(s, roster_at(s->roster, child_info(child)->cell)))
		return;
	is_ready(s, child);
	keepsake_turn(s);
	supervise_run(s);
}

static void
run(void *arg)
{
	supervise_run(arg);
}

void
hear_last_words(struct supervise *s, const struct child_info *info)
{
	struct entry	*entry;

	if (info == NULL) {	/* of whoever */
		inbox_read(s->inbox, LAST_WORDS + 4 * pool_live(s->pool));
		return;
	}
	entry = roster_at(s->roster, info->cell);
	if (entry->mail != NULL)
		mailbox_read(entry->mail, LAST_WORDS);
	if (entry->output != NULL)
		capture_finish(entry->output);
}

int
hear_open(struct supervise *s, struct err *err)
{
	struct event_base	*base = s->p.base;

	s->inbox = inbox_new(base, PRIORITY_FACTS, keepsake_inbox(s), on_said,
	    run, s, err);
	if (s->inbox == NULL)
		return -1;
	s->mailroom = mailroom_new(base, PRIORITY_FACTS, on_mail, run, s, err);
	if (s->mailroom == NULL)
		return -1;
	s->captures = captures_new(base, PRIORITY_OUTPUT, err);
	if (s->captures == NULL)
		return -1;
	s->acks = acks_new(base, PRIORITY_FACTS, on_ack, s);
	return 0;
}
