#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/crash.h"
#include "master/heal.h"
#include "master/master_priv.h"
#include "master/options.h"
#include "master/pool.h"
#include "master/reload.h"
#include "master/saved.h"
#include "master/setup.h"
#include "master/supervise.h"
#include "master/upgrade.h"

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
void
master_tried(void *arg, const char *version, const char *why)
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
	    reload_preparing(supervise_reload(m->supervise)) != NULL;
	if (supervise_write_down(m->supervise))
		upgrade_exec(m->p.mirror, NULL, err);
	else
		err_set(err, "the state could not be written down whole");
	/* Still here. The reload goes on as it was. */
	figures->reload_wanted = 0;
	figures->exec_ms = 0;
	supervise_write_down(m->supervise);
}

void
master_become(struct master *m)
{
	struct err	 err;

	if (master_running(m))
		become(m, &err);
	else
		err_set(&err, "stopping");
	upgrade_failed(err.text);
	free(m->proven);
	m->proven = NULL;
}

/* ---- how we came to be */

/*
 * All that nobody was told of: an image may crash before it can tell. They are
 * told once it is written down that they are.
 */
void
master_note_crashes(struct master *m)
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
 * Did an upgrade bring us here? Also when we crashed right after we had taken
 * over, and could tell nobody.
 */
bool
master_upgraded(const struct master *m)
{
	return m->p.how == HEAL_UPGRADE ||
	    (m->p.how == HEAL_CRASH && m->p.figures->exec_ms != 0);
}

void
master_say_origin(const struct master *m)
{
	int	 live = pool_live(supervise_pool(m->supervise));
	size_t	 i;

	if (m->p.how == HEAL_FRESH)
		log_event(EV_MASTER_START, log_int("pid", getpid()),
		    log_str("version", MUSTER_VERSION),
		    log_str("name", master_conf(m)->master.name),
		    log_int("workers", master_conf(m)->pool.workers));
	for (i = 0; i < m->nuntold; i++)
		crash_report(&m->untold[i], live);
	if (m->p.how == HEAL_BACK)
		say_back(m);
	if (master_upgraded(m))
		log_event(EV_UPGRADE_DONE, log_int("pid", getpid()),
		    log_str("version", MUSTER_VERSION),
		    log_int("workers", live), log_ms("away",
		    clock_now_ms() - m->p.figures->exec_ms));
}
