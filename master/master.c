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
#include "master/base.h"
#include "master/crash.h"
#include "master/daemon.h"
#include "master/generation.h"
#include "master/heal.h"
#include "master/keep.h"
#include "master/logs.h"
#include "master/mirror.h"
#include "master/options.h"
#include "master/orders.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/reload.h"
#include "master/saved.h"
#include "master/sigq.h"
#include "master/store.h"
#include "master/supervise.h"
#include "master/systemd.h"
#include "master/upgrade.h"

/* "stopped as asked, but some worker had to be killed" */
#define EXIT_KILLED		1
/* How often a manager is asked for more time, while the start goes on. */
#define SLOW_MS			5000
/* A deadline this far behind says that the pool does not get its turn. */
#define OVERDUE_MS		5000

struct master {
	struct master_parts	 p;
	struct event_base	*base;
	struct event		*signals;
	struct event		*slow;		/* until the pool is ready */
	struct event		*become;	/* the binary that was tried */
	struct supervise	*supervise;
	struct systemd		*systemd;	/* or NULL */
	struct store		*store;		/* or NULL */
	struct upgrade		*upgrade;
	char			*proven;	/* owned; its version, until then */
	bool			 gives_up;	/* crashed too often */
	bool			 over;		/* the pool has ended */
	struct crash_saved	 crash;		/* the last; nr 0: none */
	struct crash_saved	 untold[CRASHES];
	size_t			 nuntold;
	int64_t			 stop_ms;	/* asked to stop, or -1 */
};

static const struct conf *
conf_now(const struct master *m)
{
	return generations_now(m->p.generations)->conf;
}

static bool
running(const struct master *m)
{
	return pool_phase(supervise_pool(m->supervise)) == POOL_RUNNING;
}

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
	    log_ms("delay", fast ? 0 : conf_now(m)->worker.stop_delay));
	systemd_stopping(m->systemd);
	reload_forget(supervise_reload(m->supervise));
	pool_stop(pool, fast, clock_now_ms());
}

static void
request_scale(struct master *m, int64_t delta)
{
	struct pool		*pool = supervise_pool(m->supervise);
	struct pool_scaled	 scaled;
	const char		*msg = NULL;

	if (delta < 0 && conf_now(m)->pool.cull == CULL_IDLEST)
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
	const char	*path = conf_now(m)->master.log;
	struct err	 err;

	if (log_reopen(&err) == -1)
		log_event(EV_LOG_FAILED, log_str("path", path),
		    log_str("error", err.text));
	else
		log_event(EV_LOG_REOPENED, log_str("path", path));
	supervise_reopen(m->supervise);
}

static void
request_drain(struct master *m)
{
	struct pool	*pool = supervise_pool(m->supervise);

	log_event(EV_POOL_DRAIN, log_int("workers", pool_live(pool)));
	pool_drain(pool);
}

static void
request_reload(struct master *m)
{
	if (running(m))
		reload_request(supervise_reload(m->supervise), "signal");
	else
		log_event(EV_RELOAD_FAILED, log_str("why", "signal"),
		    log_str("msg", "stopping: ignored"));
}

/* First a trial; on_tried() goes on. */
static void
request_upgrade(struct master *m)
{
	struct err	 err;

	if (!running(m))
		err_set(&err, "stopping: ignored");
	else if (upgrade_running(m->upgrade) || m->proven != NULL)
		err_set(&err, "another one is being tried: ignored");
	else if (upgrade_start(m->upgrade, NULL,
	    conf_now(m)->worker.upgrade_timeout, &err) == 0) {
		log_event(EV_UPGRADE_TRIAL, log_str("path", heal_path()),
		    log_int("pid", upgrade_pid(m->upgrade)));
		return;
	}
	log_event(EV_UPGRADE_FAILED, log_str("path", heal_path()),
	    log_str("msg", err.text));
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
		request_reload(m);
		break;
	case WISH_UPGRADE:
		request_upgrade(m);
		break;
	}
}

/* ---- upgrade */

static void
upgrade_failed(const char *why)
{
	log_event(EV_UPGRADE_FAILED, log_str("path", heal_path()),
	    log_str("msg", why));
}

/*
 * It ended among other children, in the middle of a turn that has more to do:
 * a wish that was taken and not acted on would be lost with this image.
 */
static void
on_tried(void *arg, const char *version, const char *why)
{
	struct master	*m = arg;

	if (version == NULL) {
		upgrade_failed(why);
		return;
	}
	free(m->proven);
	m->proven = xstrdup(version);
	event_active(m->become, 0, 0);
}

/*
 * The new binary could go on from here: let it. All that happened so far is
 * written down at the end of a turn, and this is the last one.
 */
static void
become(struct master *m, struct err *err)
{
	struct setup_master	*figures = m->p.figures;

	supervise_run(m->supervise);
	log_event(EV_UPGRADE_EXEC, log_str("path", heal_path()),
	    log_str("version", m->proven));
	figures->exec_ms = clock_now_ms();
	figures->reload_wanted =
	    reload_preparing(supervise_reload(m->supervise));
	if (supervise_write_down(m->supervise))
		upgrade_exec(m->p.mirror, NULL, err);
	else
		err_set(err, "the state could not be written down whole");
	/* Still here. The reload goes on as it was. */
	figures->reload_wanted = 0;
	figures->exec_ms = 0;
	supervise_write_down(m->supervise);
}

static void
on_become(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m = arg;
	struct err	 err;

	(void)fd;
	(void)what;
	if (running(m))
		become(m, &err);
	else
		err_set(&err, "stopping");
	upgrade_failed(err.text);
	free(m->proven);
	m->proven = NULL;
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
	struct orders_context	 context = { conf_now(m)->signals,
				    m->p.figures->had_terminal, has_terminal };
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

static void
on_ready(void *arg)
{
	struct master	*m = arg;
	struct err	 err;

	event_del(m->slow);
	systemd_ready(m->systemd);
	if (m->p.parent == NULL)
		return;
	/* A daemon's stderr ends. */
	if (strcmp(conf_now(m)->master.log, "stderr") == 0)
		logs_open(conf_now(m), true, &err);
	daemon_ready(m->p.parent);
	m->p.parent = NULL;
	m->p.figures->daemon_fd = -1;
	reload_detached(supervise_reload(m->supervise));
	supervise_changed(m->supervise);
}

/*
 * Which signals stop us: those are never lost, not even by a crash. Which
 * sockets the service manager keeps for the next start.
 */
static void
on_changed(void *arg)
{
	struct master		*m = arg;
	const enum effect	*effects = conf_now(m)->signals;
	uint32_t		 stops = 0;
	int			 kind;

	for (kind = 0; kind < CONF_SIGNALS; kind++)
		if (effects[kind] == EFFECT_STOP ||
		    effects[kind] == EFFECT_FAST_STOP)
			stops |= UINT32_C(1) << kind;
	sigq_set_stops(stops);
	store_set(m->store, generations_now(m->p.generations)->sockets);
}

/* The manager above us gives a start so much time; it may be a slow one. */
static void
on_slow(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m = arg;

	(void)fd;
	(void)what;
	systemd_extend(m->systemd, 6 * SLOW_MS * 1000);
}

static bool
on_stranger(void *arg, pid_t pid, const struct proc_death *death)
{
	struct master	*m = arg;

	if (pid == m->crash.twin) {
		m->crash.twin = 0;
		return true;
	}
	return upgrade_exited(m->upgrade, pid, death);
}

/* Does the pool get its turn? What becomes of workers is not judged. */
static bool
is_healthy(void *arg)
{
	struct master	*m = arg;
	int64_t		 due_ms;

	due_ms = pool_deadline_ms(supervise_pool(m->supervise));
	return due_ms == -1 || clock_now_ms() - due_ms < OVERDUE_MS;
}

static void
on_ended(void *arg)
{
	struct master	*m = arg;

	m->over = true;
	store_set(m->store, generations_now(m->p.generations)->sockets);
	event_base_loopbreak(m->base);
}

static int
watch_signals(struct master *m, struct err *err)
{
	m->signals = event_new(m->base, m->p.figures->signal_fds[0],
	    EV_READ | EV_PERSIST, on_signals, m);
	if (m->signals == NULL ||
	    event_priority_set(m->signals, PRIORITY_SIGNALS) == -1 ||
	    event_add(m->signals, NULL) == -1)
		return err_set(err, "cannot watch the signal pipe");
	return 0;
}

static int
make_parts(struct master *m, struct err *err)
{
	struct supervise_parts	 parts = {
		.base = m->base, .generations = m->p.generations,
		.source = m->p.source, .environment = heal_environ(),
		.systemd = m->systemd, .mirror = m->p.mirror,
		.figures = m->p.figures, .path = heal_path(),
		.saved = m->p.saved, .again = m->p.how == HEAL_CRASH ||
		    m->p.how == HEAL_GIVE_UP, .ready = on_ready,
		.ended = on_ended, .changed = on_changed,
		.stranger = on_stranger, .arg = m,
	};

	if ((m->supervise = supervise_new(&parts, err)) == NULL)
		return -1;
	m->upgrade = upgrade_new(m->base, PRIORITY_FACTS, m->p.mirror,
	    on_tried, m);
	m->slow = event_new(m->base, -1, EV_PERSIST, on_slow, m);
	m->become = evtimer_new(m->base, on_become, m);
	if (m->slow == NULL || m->become == NULL ||
	    event_priority_set(m->become, PRIORITY_FACTS) == -1)
		return err_set(err, "cannot make the master's timers");
	return watch_signals(m, err);
}

/*
 * All that nobody was told of: an image may crash before it can tell. They are
 * told once it is written down that they are.
 */
static void
note_crashes(struct master *m)
{
	const struct saved		*saved = m->p.saved;
	const struct crash_saved	*crash;
	size_t				 i;

	for (i = 0; i < saved->ncrashes; i++) {
		crash = &saved->crashes[i];
		m->crash = *crash;
		if (crash->nr <= m->p.figures->crashes)
			continue;
		m->p.figures->crashes = (uint32_t)crash->nr;
		if (crash->novice == 0)		/* else: say_back() */
			m->untold[m->nuntold++] = *crash;
	}
}

struct master *
master_new(const struct master_parts *parts, struct err *err)
{
	struct heal_options	 heal = { parts->mirror, true };
	struct master		*m = xcalloc(1, sizeof(*m));

	m->p = *parts;
	m->stop_ms = -1;
	m->gives_up = parts->how == HEAL_GIVE_UP;
	if (parts->how == HEAL_FRESH)
		parts->figures->had_terminal = has_terminal();
	if (parts->how == HEAL_FRESH)
		sigq_fds(parts->figures->signal_fds);
	keep_add(parts->figures->signal_fds[0], KEEP_SIGNALS);
	keep_add(parts->figures->signal_fds[1], KEEP_SIGNALS);
	proc_prepare();		/* before base_open(): it uses libevent, too */
	if ((m->base = base_open(err)) == NULL) {
		free(m);
		return NULL;
	}
	m->systemd = systemd_new(m->base, PRIORITY_FACTS,
	    parts->how != HEAL_FRESH, is_healthy, m);
	if (parts->parent != NULL)
		systemd_main_pid(m->systemd);
	if (make_parts(m, err) == -1) {
		/* What was kept is the image's before us, if that goes on. */
		if (parts->saved == NULL)
			master_free(m);
		return NULL;
	}
	m->store = store_new(m->systemd,
	    generations_now(m->p.generations)->sockets);
	on_changed(m);
	if (parts->saved != NULL) {
		note_crashes(m);
		supervise_take_stock(m->supervise);
	}
	if (parts->survivors != NULL)
		supervise_adopt(m->supervise, parts->survivors);
	supervise_write_down(m->supervise);
	/* A master that cannot heal is a master all the same. */
	if (heal_arm(&heal, err) == -1)
		log_event(EV_LOOP_NOTE, log_str("msg", err->text));
	m->p.saved = NULL;
	m->p.survivors = NULL;
	return m;
}

void
master_free(struct master *m)
{
	if (m->signals != NULL)
		event_free(m->signals);
	if (m->slow != NULL)
		event_free(m->slow);
	if (m->become != NULL)
		event_free(m->become);
	free(m->proven);
	upgrade_free(m->upgrade);
	if (m->supervise != NULL)
		supervise_free(m->supervise);
	store_free(m->store);
	systemd_free(m->systemd);
	event_base_free(m->base);
	free(m);
}

static int
exit_code(const struct master *m)
{
	struct pool	*pool = supervise_pool(m->supervise);

	if (m->gives_up)
		return EX_SOFTWARE;
	if (pool_gave_up(pool))
		return EX_TEMPFAIL;
	return pool_killed_any(pool) ? EXIT_KILLED : 0;
}

/* The image before us was to be our successor, and could not go on. */
static void
say_back(const struct master *m)
{
	struct heal_origin	 origin = heal_origin();
	struct err		 err;

	if (origin.why[0] != '\0')
		err_set(&err, "it could not go on, we are back: %s",
		    origin.why);
	else
		err_set(&err, "it crashed (SIG%s) before it could go on, we "
		    "are back", sigabbrev_np(m->crash.signal) == NULL ? "?" :
		    sigabbrev_np(m->crash.signal));
	upgrade_failed(err.text);
}

/*
 * Workers of the image before us that run its code. Those of a drained pool
 * come with the next reload, which is not this one.
 */
static bool
has_old_workers(const struct master *m)
{
	return !conf_is_program(conf_now(m)) &&
	    !pool_drained(supervise_pool(m->supervise));
}

/*
 * Did an upgrade bring us here? Also when we crashed right after we had taken
 * over, and could tell nobody.
 */
static bool
is_upgraded(const struct master *m)
{
	return m->p.how == HEAL_UPGRADE ||
	    (m->p.how == HEAL_CRASH && m->p.figures->exec_ms != 0);
}

static void
say_origin(const struct master *m)
{
	int	 live = pool_live(supervise_pool(m->supervise));
	size_t	 i;

	if (m->p.how == HEAL_FRESH)
		log_event(EV_MASTER_START, log_int("pid", getpid()),
		    log_str("version", MUSTER_VERSION),
		    log_str("name", conf_now(m)->master.name),
		    log_int("workers", conf_now(m)->pool.workers));
	for (i = 0; i < m->nuntold; i++)
		crash_report(&m->untold[i], live);
	if (m->p.how == HEAL_BACK)
		say_back(m);
	if (is_upgraded(m))
		log_event(EV_UPGRADE_DONE, log_int("pid", getpid()),
		    log_str("version", MUSTER_VERSION),
		    log_int("workers", live), log_ms("away",
		    clock_now_ms() - m->p.figures->exec_ms));
}

/* How we came to be says what is to be done first. */
static void
begin(struct master *m)
{
	const struct timeval	 slow = clock_timeval(SLOW_MS);
	struct setup_master	*figures = m->p.figures;
	bool			 wanted = figures->reload_wanted != 0;
	bool			 renew = is_upgraded(m) && has_old_workers(m);

	say_origin(m);
	if (!supervise_is_ready(m->supervise))
		event_add(m->slow, &slow);
	/* Signals that the image before us counted may have no record left. */
	if (m->p.how != HEAL_FRESH)
		event_active(m->signals, EV_READ, 0);
	/* First: should a reload crash us, it is not to be repeated. */
	figures->reload_wanted = 0;
	figures->exec_ms = 0;
	supervise_write_down(m->supervise);
	if (m->gives_up)
		request_stop(m, false);
	else if (wanted || renew)
		reload_request(supervise_reload(m->supervise),
		    wanted ? "signal" : "upgrade");
}

const char *
master_verdict(const struct master *m)
{
	return supervise_verdict(m->supervise);
}

int
master_run(struct master *m)
{
	struct err	 err;
	int64_t		 end_ms;
	int		 code;

	/* What came since the image before us blocked them is told of now. */
	if (m->p.how != HEAL_FRESH &&
	    sigq_reopen(m->p.figures->signal_fds, &err) == -1) {
		log_event(EV_MASTER_FAILED, log_str("msg", err.text),
		    log_int("code", EX_OSERR));
		return EX_OSERR;
	}
	begin(m);
	supervise_run(m->supervise);
	/* A break before the loop turns would be forgotten. */
	if (!m->over && event_base_dispatch(m->base) == -1) {
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
