#include "master/report.h"

#include <bsd/unistd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "master/capture.h"
#include "master/generation.h"
#include "master/proc.h"
#include "master/roster.h"

/* How much of a failed worker's output is told with the failure. */
#define LAST_LINES	5

void
report_init(struct report *report, const struct generations *generations,
    struct roster *roster)
{
	*report = (struct report){ .generations = generations,
	    .roster = roster, .started_us = clock_now_us(),
	    .title_ready = -1 };
}

static const struct conf_worker *
conf_of(const struct report *report, const struct child_info *child)
{
	return &generations_of(report->generations,
	    child->generation)->conf->worker;
}

static int64_t
age_us(const struct report *report, const struct child_info *child)
{
	return clock_now_us() - roster_at(report->roster,
	    child->cell)->born_us;
}

static const char *
signal_text(int signo)
{
	const char	*name = signo == 0 ? NULL : sigabbrev_np(signo);

	return signo != 0 && name == NULL ? "RT" : name;
}

void
report_start(struct report *report, const struct child_info *child,
    const struct act *act)
{
	(void)report;
	log_event(EV_WORKER_START, log_int("slot", child->slot),
	    log_int("pid", child->pid), log_int("gen", child->generation),
	    log_str("why", pool_why_name(act->why)));
}

void
report_ready(const struct report *report, const struct child_info *child)
{
	log_event(EV_WORKER_READY, log_int("slot", child->slot),
	    log_int("pid", child->pid), log_int("gen", child->generation),
	    log_us("took", age_us(report, child)));
}

void
report_signal(const struct report *report, const struct child_info *child,
    const struct act *act)
{
	const struct conf_worker	*worker = conf_of(report, child);
	const char			*why = pool_why_name(act->why);
	int				 signo;

	if (act->signal == DO_KILL) {
		log_event(EV_WORKER_KILL, log_int("slot", child->slot),
		    log_int("pid", child->pid),
		    log_int("gen", child->generation), log_str("why", why));
		return;
	}
	signo = act->signal == DO_ABORT ? SIGABRT : act->signal == DO_FAST ?
	    conf_fast_signal(worker) : worker->stop_signal;
	log_event(EV_WORKER_STOP, log_int("slot", child->slot),
	    log_int("pid", child->pid), log_int("gen", child->generation),
	    log_str("signal", signal_text(signo)), log_str("why", why));
}

void
report_kill_failed(const struct report *report,
    const struct child_info *child)
{
	struct log_field	 error = log_errno();

	(void)report;
	log_event(EV_WORKER_KILL, log_int("slot", child->slot),
	    log_int("pid", child->pid), log_int("gen", child->generation),
	    error);
}

void
report_exit(const struct report *report, const struct child_info *child,
    const struct proc_death *death)
{
	const struct entry	*entry = roster_at(report->roster,
				    child->cell);
	bool			 asked = child->why != WHY_NONE &&
				    child->why != WHY_WATCHDOG;
	struct log_field	 code = log_int("code", death->code);
	struct log_field	 core = log_str("core", "yes");
	struct log_field	 cpu = log_us("cpu", death->cpu_us);
	struct log_field	 rss = log_int("rss", death->peak_rss);

	if (death->signo != 0 || death->code == -1)
		code = log_str("code", NULL);
	/* Of one that is no child of ours nobody tells us. */
	if (death->signo == 0 && death->code == -1) {
		cpu = log_str("cpu", NULL);
		rss = log_str("rss", NULL);
	}
	if (!death->core)
		core.text = NULL;
	log_event(asked || death->code == 0 ? EV_WORKER_EXIT : EV_WORKER_DIED,
	    log_int("slot", child->slot), log_int("pid", child->pid),
	    log_int("gen", child->generation), code,
	    log_str("signal", signal_text(death->signo)), core,
	    log_us("age", age_us(report, child)),
	    log_str("why", child->why != WHY_NONE ?
	    pool_why_name(child->why) : NULL),
	    cpu, rss, log_str("status", entry->status), log_str("error",
	    entry->error == 0 ? NULL : strerrordesc_np(entry->error)));
}

void
report_spawn_failed(struct report *report, const struct err *err)
{
	report->spawn_error = *err;
}

void
report_hopeless(struct report *report, int slot, const struct err *err)
{
	report->spawn_error = report->last_words = *err;
	log_event(EV_WORKER_FAILED, log_int("slot", slot),
	    log_str("msg", err->text));
}

struct last {
	struct err	*words;
	size_t		 skip;		/* lines before the last ones */
	const char	*between;	/* before the next one */
};

static void
pass_line(void *arg, const char *line, size_t len)
{
	(void)arg;
	(void)line;
	(void)len;
}

static void
add_line(void *arg, const char *line, size_t len)
{
	struct last	*last = arg;
	struct err	*words = last->words;
	size_t		 used = strlen(words->text);

	if (last->skip > 0) {
		last->skip--;
		return;
	}
	snprintf(words->text + used, sizeof(words->text) - used, "%s%.*s",
	    last->between, (int)len, line);
	last->between = " | ";
}

static void
tell_end(const struct report *report, const struct child_info *child,
    const struct proc_death *death, struct err *how)
{
	if (report->unfit == child->pid)
		*how = report->why_unfit;
	else if (death->signo != 0)
		err_set(how, "ended by SIG%s", signal_text(death->signo));
	else
		err_set(how, "exit code %d%s", death->code,
		    death->code == 0 && report->background == child->pid ?
		    "; it left processes behind: did it go to the "
		    "background?" : "");
}

void
report_background(struct report *report, const struct child_info *child)
{
	report->background = child->pid;
}

void
report_failed(struct report *report, const struct child_info *child,
    const struct proc_death *death)
{
	const struct entry	*entry = roster_at(report->roster,
				    child->cell);
	struct err		 heard = report->last_words;
	struct last		 last = { &report->last_words, 0, ": " };
	size_t			 count;

	tell_end(report, child, death, &report->last_words);
	if (heard.text[0] != '\0')
		add_line(&last, heard.text, strlen(heard.text));
	if (entry->output == NULL)
		return;
	count = capture_last(entry->output, pass_line, NULL);
	last.skip = count > LAST_LINES ? count - LAST_LINES : 0;
	capture_last(entry->output, add_line, &last);
}

void
report_forget(struct report *report)
{
	report->last_words.text[0] = '\0';
}

static const char *
limit_name(enum child_state state)
{
	switch (state) {
	case CHILD_STARTING:
		return "ready_timeout";
	case CHILD_DRAINING:
		return "graceful_timeout";
	default:
		return "kill_timeout";
	}
}

static void
tell_surprise(const struct pool_tell *tell)
{
	log_event(EV_WORKER_SURPRISE, log_int("slot", tell->slot),
	    log_int("pid", tell->child->pid),
	    log_str("event", child_event_name(tell->event)),
	    log_str("state", child_state_name(tell->child->state)));
}

void
report_heard(struct report *report, const char *line, size_t len)
{
	const char	*name = event_rows[EV_WORKER_FAILED].name;
	const char	*found = memmem(line, len, name, strlen(name));

	if (found != NULL)
		err_set(&report->last_words, "%.*s",
		    (int)(len - (size_t)(found - line)), found);
}

static void
tell_late(struct report *report, const struct child_info *child)
{
	if (child->state != CHILD_STARTING)
		return;
	report->unfit = child->pid;
	err_set(&report->why_unfit, "not ready within ready_timeout");
}

void
report_unfit(struct report *report, const struct child_info *child,
    const struct err *why)
{
	report->unfit = child->pid;
	report->why_unfit = *why;
	log_event(EV_WORKER_UNUSED, log_int("slot", child->slot),
	    log_int("pid", child->pid), log_str("msg", why->text));
}

/* An exit code that is fatal, or a program that cannot be executed. */
static void
tell_given_up(enum event_id event, const struct pool_tell *tell)
{
	struct log_field	 code = log_int("code", tell->n);

	if (tell->n == -1)
		code = log_str("code", NULL);
	log_event(event, log_int("slot", tell->slot), code, log_str("msg",
	    tell->n == -1 ? "the program cannot be executed" :
	    "this exit code says that there is no use in another"));
}

static void
tell_gave_up(struct report *report, const struct pool_tell *tell)
{
	const char	*last = tell->slot == -1 ? report->spawn_error.text :
			    report->last_words.text;

	snprintf(report->verdict, sizeof(report->verdict), "no worker "
	    "ever became ready%s%s", last[0] == '\0' ? "" :
	    "; the last failure: ", last);
	log_event(EV_POOL_FAILED, log_int("slot", tell->slot),
	    log_int("failures", tell->n),
	    log_str("msg", report->verdict));
}

void
report_tell(struct report *report, const struct pool_tell *tell)
{
	switch (tell->kind) {
	case TELL_GAVE_UP:
		tell_gave_up(report, tell);
		break;
	case TELL_SLOT_WAIT:
	case TELL_CARE_WAIT:
		log_event(EV_SLOT_WAIT, log_int("slot", tell->slot),
		    log_int("failures", tell->n), log_ms("delay", tell->ms));
		break;
	case TELL_SLOT_PARKED:
		tell_given_up(EV_SLOT_PARKED, tell);
		break;
	case TELL_SLOT_BARRED:
		tell_given_up(EV_SLOT_BARRED, tell);
		break;
	case TELL_FORK_WAIT:
		log_event(EV_SPAWN_FAILED, log_int("slot", tell->slot),
		    log_ms("delay", tell->ms),
		    log_str("msg", report->spawn_error.text));
		break;
	case TELL_RETIRE:
		log_event(EV_WORKER_RETIRE, log_int("slot", tell->slot),
		    log_int("pid", tell->child->pid),
		    log_int("gen", tell->child->generation),
		    log_str("why", pool_why_name(tell->why)));
		break;
	case TELL_SURPRISE:
		tell_surprise(tell);
		break;
	case TELL_LATE:
		tell_late(report, tell->child);
		log_event(EV_WORKER_LATE, log_int("slot", tell->slot),
		    log_int("pid", tell->child->pid),
		    log_int("gen", tell->child->generation),
		    log_str("limit", limit_name(tell->child->state)));
		break;
	case TELL_LEAVING:
		log_event(EV_WORKER_LEAVING, log_int("slot", tell->slot),
		    log_int("pid", tell->child->pid),
		    log_int("gen", tell->child->generation));
		break;
	case TELL_READY:
	case TELL_ALIVE:
	case TELL_RENEW_DONE:
	case TELL_RENEW_FAILED:
		break;
	}
}

void
report_pool_ready(const struct report *report, const struct pool *pool)
{
	log_event(EV_POOL_READY, log_int("workers", pool_ready(pool)),
	    log_int("target", pool_target(pool)),
	    log_us("took", clock_now_us() - report->started_us));
}

void
report_title(struct report *report, const struct pool *pool)
{
	static const char *const phases[] = {
		[POOL_RUNNING] = "running", [POOL_STOP_DELAY] = "stopping",
		[POOL_DOOR] = "stopping", [POOL_STOPPING] = "stopping",
		[POOL_ENDED] = "ended",
	};
	const char	*phase;

	if (report->title_ready == pool_ready(pool) &&
	    report->title_target == pool_target(pool) &&
	    report->title_phase == pool_phase(pool))
		return;
	report->title_ready = pool_ready(pool);
	report->title_target = pool_target(pool);
	report->title_phase = pool_phase(pool);
	phase = phases[report->title_phase];
	if (report->title_phase == POOL_RUNNING && report->title_target == 0)
		phase = "drained";
	setproctitle("-muster: master [%s] %s %d/%d",
	    generations_now(report->generations)->conf->master.name, phase,
	    report->title_ready, report->title_target);
}
