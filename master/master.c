#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/daemon.h"
#include "master/options.h"
#include "master/orders.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/sigq.h"
#include "master/supervise.h"

/* Callbacks in a row before the loop looks for signals again. */
#define CALLBACKS_A_LOOK	16
/* "stopped as asked, but some worker had to be killed" */
#define EXIT_KILLED		1

struct master {
	const struct conf	*conf;
	struct daemon_parent	*parent;
	struct event_base	*base;
	struct event		*signals;
	struct supervise	*supervise;
	bool			 had_terminal;	/* at the start */
	int64_t			 stop_ms;	/* asked to stop, or -1 */
};

/* ---- wishes */

static void
request_stop(struct master *m, bool fast)
{
	struct pool	*pool = supervise_pool(m->supervise);

	fast = fast || pool_phase(pool) != POOL_RUNNING;
	if (m->stop_ms == -1)
		m->stop_ms = clock_now_ms();
	log_event(EV_POOL_STOP, log_str("mode", fast ? "fast" : "graceful"),
	    log_int("workers", pool_live(pool)),
	    log_ms("delay", fast ? 0 : m->conf->worker.stop_delay));
	pool_stop(pool, fast, clock_now_ms());
}

static void
request_scale(struct master *m, int64_t delta)
{
	struct pool		*pool = supervise_pool(m->supervise);
	struct pool_scaled	 scaled;
	const char		*msg = NULL;

	if (delta < 0 && m->conf->pool.cull == CULL_IDLEST)
		supervise_count_active(m->supervise);
	scaled = pool_scale(pool, delta, clock_now_ms());
	if (scaled.ignored)
		msg = pool_phase(pool) == POOL_RUNNING ? "drained: ignored" :
		    "stopping: ignored";
	else if (scaled.asked > scaled.to)
		msg = "max_workers allows no more";
	else if (scaled.asked < scaled.to)
		msg = "min_workers allows no fewer";
	log_event(EV_POOL_SCALE, log_int("from", scaled.from),
	    log_int("to", scaled.to), log_int("asked", scaled.asked),
	    log_str("msg", msg));
}

static void
request_reopen(const struct master *m)
{
	struct err	 err;

	if (log_reopen(&err) == -1)
		log_event(EV_LOG_FAILED, log_str("path", m->conf->master.log),
		    log_str("error", err.text));
	else
		log_event(EV_LOG_REOPENED,
		    log_str("path", m->conf->master.log));
}

static void
request_drain(struct master *m)
{
	struct pool	*pool = supervise_pool(m->supervise);

	log_event(EV_POOL_DRAIN, log_int("workers", pool_live(pool)));
	pool_drain(pool);
}

void
master_request(struct master *m, enum wish wish, int64_t arg)
{
	switch (wish) {
	case WISH_FAST_STOP:
	case WISH_STOP:
		request_stop(m, wish == WISH_FAST_STOP);
		break;
	case WISH_SCALE:
		request_scale(m, arg);
		break;
	case WISH_REOPEN:
		request_reopen(m);
		break;
	case WISH_DRAIN:
		request_drain(m);
		break;
	case WISH_RELOAD:
	case WISH_UPGRADE:
		log_event(EV_LOOP_NOTE, log_str("msg", wish == WISH_RELOAD ?
		    "reload is not available yet: nothing changed" :
		    "upgrade is not available yet: nothing changed"));
		break;
	}
}

/* ---- signals */

/*
 * The order of precedence within one turn: the most immediate stop first,
 * then the dead are reaped, then what changes the pool, then the rest.
 */
static void
act_on(struct master *m, const struct orders *orders)
{
	unsigned	 i;

	if (orders->fast_stops > 0)
		master_request(m, WISH_FAST_STOP, 0);
	for (i = 0; i < orders->stops && i < 2; i++)
		master_request(m, WISH_STOP, 0);
	if (orders->deaths > 0)
		supervise_reap(m->supervise);
	if (orders->reloads > 0)
		master_request(m, WISH_RELOAD, 0);
	if (orders->upgrades > 0)
		master_request(m, WISH_UPGRADE, 0);
	if (orders->scaled)
		master_request(m, WISH_SCALE, orders->scale);
	if (orders->reopens > 0)
		master_request(m, WISH_REOPEN, 0);
	if (orders->drains > 0)
		master_request(m, WISH_DRAIN, 0);
}

/* Only these say that there is none; to be out of descriptors does not. */
static bool
has_terminal(void)
{
	int	 fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK |
		    O_CLOEXEC);

	if (fd == -1)
		return errno != ENXIO && errno != EIO && errno != ENODEV &&
		    errno != ENOENT;
	close(fd);
	return true;
}

static void
on_signals(evutil_socket_t fd, short what, void *arg)
{
	struct master		*m = arg;
	struct orders_context	 context = { m->conf->signals,
				    m->had_terminal, has_terminal };
	struct orders		 orders;

	(void)fd;
	(void)what;
	/* Fork first, tell of it afterwards: supervise_run() releases it. */
	log_hold();
	orders_take(&context, &orders);
	act_on(m, &orders);
	supervise_run(m->supervise);
}

/* ---- life */

/* A daemon's stderr ends: such lines go to syslog from now on. */
static void
leave_stderr(const struct conf_master *conf)
{
	struct log_options	 options = { "syslog", "muster",
				    conf->log_level, conf->log_format };
	struct err		 err;

	if (strcmp(conf->log, "stderr") != 0)
		return;
	if (log_open(&options, &err) == 0 && log_fd() == -1)
		fprintf(stderr, "muster: cannot reach syslog: what is logged "
		    "is lost, and counted, until it is there\n");
}

static void
on_ready(void *arg)
{
	struct master	*m = arg;

	if (m->parent == NULL)
		return;
	leave_stderr(&m->conf->master);
	daemon_ready(m->parent);
	m->parent = NULL;
}

static void
on_ended(void *arg)
{
	struct master	*m = arg;

	event_base_loopbreak(m->base);
}

static void
on_fatal(int error)
{
	log_release();
	log_event(EV_MASTER_FAILED, log_str("msg", "libevent cannot go on"),
	    log_int("code", error));
	_exit(EX_OSERR);
}

static void
on_complaint(int severity, const char *msg)
{
	if (severity != EVENT_LOG_DEBUG)
		log_event(EV_LOOP_NOTE, log_str("msg", msg));
}

static struct event_base *
base_new(struct err *err)
{
	struct event_config	*config = event_config_new();
	struct event_base	*base = NULL;

	event_set_log_callback(on_complaint);
	event_set_fatal_callback(on_fatal);
	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
		    EVENT_BASE_FLAG_IGNORE_ENV);
		event_config_set_max_dispatch_interval(config, NULL,
		    CALLBACKS_A_LOOK, PRIORITY_FACTS);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL || event_base_priority_init(base, PRIORITIES) == -1) {
		err_set(err, "cannot make the event loop");
		if (base != NULL)
			event_base_free(base);
		return NULL;
	}
	return base;
}

static int
watch_signals(struct master *m, struct err *err)
{
	m->signals = event_new(m->base, sigq_fd(), EV_READ | EV_PERSIST,
	    on_signals, m);
	if (m->signals == NULL ||
	    event_priority_set(m->signals, PRIORITY_SIGNALS) == -1 ||
	    event_add(m->signals, NULL) == -1)
		return err_set(err, "cannot watch the signal pipe");
	return 0;
}

struct master *
master_new(const struct conf *conf, struct listener_set *listeners,
    struct daemon_parent *parent, struct err *err)
{
	struct master		*m = xcalloc(1, sizeof(*m));
	struct supervise_events	 events = { on_ready, on_ended, m };

	m->conf = conf;
	m->parent = parent;
	m->stop_ms = -1;
	m->had_terminal = has_terminal();
	proc_prepare();		/* before base_new(): it uses libevent, too */
	if ((m->base = base_new(err)) == NULL) {
		free(m);
		return NULL;
	}
	m->supervise = supervise_new(m->base, conf, listeners, &events, err);
	if (m->supervise == NULL || watch_signals(m, err) == -1) {
		master_free(m);
		return NULL;
	}
	return m;
}

void
master_free(struct master *m)
{
	if (m->signals != NULL)
		event_free(m->signals);
	if (m->supervise != NULL)
		supervise_free(m->supervise);
	event_base_free(m->base);
	free(m);
}

static int
exit_code(const struct master *m)
{
	struct pool	*pool = supervise_pool(m->supervise);

	if (pool_gave_up(pool))
		return EX_TEMPFAIL;
	return pool_killed_any(pool) ? EXIT_KILLED : 0;
}

int
master_run(struct master *m)
{
	int64_t	 end_ms;
	int	 code;

	log_event(EV_MASTER_START, log_int("pid", getpid()),
	    log_str("version", MUSTER_VERSION),
	    log_str("name", m->conf->master.name),
	    log_int("workers", m->conf->pool.workers));
	supervise_run(m->supervise);
	if (event_base_dispatch(m->base) == -1) {
		log_event(EV_MASTER_FAILED, log_str("msg",
		    "the event loop failed"), log_int("code", EX_OSERR));
		return EX_OSERR;
	}
	code = exit_code(m);
	end_ms = clock_now_ms();
	log_event(EV_MASTER_STOP, log_int("pid", getpid()),
	    log_int("code", code), log_ms("took",
	    m->stop_ms == -1 ? 0 : end_ms - m->stop_ms));
	return code;
}
