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
#include "master/daemon.h"
#include "master/generation.h"
#include "master/heal.h"
#include "master/keep.h"
#include "master/logs.h"
#include "master/master_priv.h"
#include "master/mirror.h"
#include "master/orders.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/reload.h"
#include "master/restore.h"
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

const struct conf *
master_conf(const struct master *m)
{
	return generations_now(m->p.generations)->conf;
}

bool
master_running(const struct master *m)
{
	return pool_phase(supervise_pool(m->supervise)) == POOL_RUNNING;
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
	struct orders_context	 context = { master_conf(m)->signals,
				    m->p.figures->had_terminal, has_terminal };
	struct orders		 orders;

	(void)fd;
	(void)what;
	/* Fork first, tell of it afterwards: supervise_run() releases it. */
	log_hold();
	orders_take(&context, &orders);
	act_on(m, &orders);
	/* What is wanted now survives a crash in what comes of it. */
	if (orders.scaled || orders.drains > 0)
		supervise_note(m->supervise);
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
	if (strcmp(master_conf(m)->master.log, "stderr") == 0)
		logs_open(master_conf(m), true, &err);
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
	const enum effect	*effects = master_conf(m)->signals;
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

static void
on_become(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	master_become(arg);
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
	    master_tried, m);
	m->slow = event_new(m->base, -1, EV_PERSIST, on_slow, m);
	m->become = evtimer_new(m->base, on_become, m);
	if (m->slow == NULL || m->become == NULL ||
	    event_priority_set(m->become, PRIORITY_FACTS) == -1)
		return err_set(err, "cannot make the master's timers");
	return watch_signals(m, err);
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
		if (restore_may_undo(parts->saved))
			master_free(m);
		return NULL;
	}
	if (master_conf(m)->master.daemon && parts->parent == NULL)
		reload_detached(supervise_reload(m->supervise));
	m->store = store_new(m->systemd,
	    generations_now(m->p.generations)->sockets);
	on_changed(m);
	if (parts->saved != NULL) {
		master_note_crashes(m);
		supervise_take_stock(m->supervise);
	}
	/* What is found is told behind the start. */
	if (parts->how == HEAL_FRESH)
		master_say_origin(m);
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

/*
 * Workers of the image before us that run its code. Those of a drained pool
 * come with the next reload, which is not this one.
 */
static bool
has_old_workers(const struct master *m)
{
	return !conf_is_program(master_conf(m)) &&
	    !pool_drained(supervise_pool(m->supervise));
}

/* How we came to be says what is to be done first. */
static void
begin(struct master *m)
{
	const struct timeval	 slow = clock_timeval(SLOW_MS);
	struct setup_master	*figures = m->p.figures;
	struct reload		*reload = supervise_reload(m->supervise);
	bool			 wanted = figures->reload_wanted != 0;
	bool			 renew = master_upgraded(m) && has_old_workers(m);

	if (m->p.how != HEAL_FRESH)
		master_say_origin(m);
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
		master_request(m, WISH_STOP, 0);
	else if (wanted || renew)
		reload_request(reload, wanted ? "signal" : "upgrade");
	else if (reload_preparing(reload) != NULL)
		reload_give_up(reload);
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
