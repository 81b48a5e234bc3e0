#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "master/heal.h"
#include "master/master_priv.h"
#include "master/pool.h"
#include "master/reload.h"
#include "master/supervise.h"
#include "master/systemd.h"
#include "master/upgrade.h"

static void
request_stop(struct master *m, bool fast)
{
	struct pool	*pool = supervise_pool(m->supervise);

	fast = fast || pool_phase(pool) != POOL_RUNNING;
	if (m->stop_ms == -1)
		m->stop_ms = clock_now_ms();
	log_event(EV_POOL_STOP, log_str("mode", fast ? "fast" : "graceful"),
	    log_int("workers", pool_live(pool)),
	    log_ms("delay", fast ? 0 : master_conf(m)->worker.stop_delay));
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

	if (delta < 0 && master_conf(m)->pool.cull == CULL_IDLEST)
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
	const char	*path = master_conf(m)->master.log;
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
	if (master_running(m))
		reload_request(supervise_reload(m->supervise), "signal");
	else
		log_event(EV_RELOAD_FAILED, log_str("why", "signal"),
		    log_str("msg", "stopping: ignored"));
}

/* First a trial; master_tried() goes on. */
static void
request_upgrade(struct master *m)
{
	struct err	 err;

	if (!master_running(m))
		err_set(&err, "stopping: ignored");
	else if (upgrade_running(m->upgrade) || m->proven != NULL)
		err_set(&err, "another one is being tried: ignored");
	else if (upgrade_start(m->upgrade, NULL,
	    master_conf(m)->worker.upgrade_timeout, &err) == 0) {
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
