#include "master/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/logs.h"
#include "master/policy.h"
#include "master/pool.h"
#include "master/resolve.h"

#define RESOLVE_MS	5000

struct cause {
	const char	*why;
	int64_t		 at_us;
};

struct reload {
	struct reload_parts	 p;
	/* What is being prepared; what is in force may be at work still. */
	struct cause		 asked;
	struct resolver		*resolver;	/* looks names up; or NULL */
	struct conf		*fresh;		/* owned, until it is in force */
	bool			 preparing;
	/* What took force. */
	struct cause		 going;
	bool			 renewing;	/* the pool is at it */
	int			 target_before;	/* to put back; -1: proven */
	int			 target_set;	/* what became of it */
	bool			 detached;
	struct err		 failure;	/* of the last one, or "" */
};

struct reload *
reload_new(const struct reload_parts *parts)
{
	struct reload	*r = xcalloc(1, sizeof(*r));

	r->p = *parts;
	r->target_before = -1;
	return r;
}

void
reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	reload_forget(r);
	free(r);
}

void
reload_detached(struct reload *r)
{
	r->detached = true;
}

/* What is prepared, not what took force. */
static void
abandon(struct reload *r)
{
	resolver_cancel(r->resolver);
	r->resolver = NULL;
	conf_free(r->fresh);
	r->fresh = NULL;
	r->preparing = false;
}

void
reload_forget(struct reload *r)
{
	abandon(r);
	r->renewing = false;
}

bool
reload_running(const struct reload *r)
{
	return r->preparing || r->renewing;
}

const char *
reload_preparing(const struct reload *r)
{
	return r->preparing ? r->asked.why : NULL;
}

const char *
reload_why(const struct reload *r)
{
	return r->going.why;
}

void
reload_resume(struct reload *r, const char *why)
{
	r->renewing = true;
	r->going = (struct cause){ why, clock_now_us() };
}

/* One has ended; not all, if another has come in the meantime. */
static void
ended(struct reload *r)
{
	if (!reload_running(r))
		r->p.ended(r->p.arg);
}

/*
 * It came to nothing before anything was changed. One before it that is in
 * force goes on.
 */
static void
refused(struct reload *r)
{
	abandon(r);
	log_event(EV_RELOAD_FAILED, log_str("why", r->asked.why),
	    log_str("msg", r->failure.text));
	ended(r);
}

void
reload_cut_off(struct reload *r, const char *why)
{
	r->asked = (struct cause){ why, clock_now_us() };
	r->preparing = true;
}

void
reload_give_up(struct reload *r)
{
	err_set(&r->failure, "the master crashed while it prepared this one, "
	    "nothing changed: ask for it again");
	refused(r);
}

/* ---- the new configuration, checked aside */

static struct conf *
load(struct reload *r)
{
	struct conf_errors	 errors = { 0 };
	struct conf		*conf;
	size_t			 i;

	if ((conf = conf_load(r->p.source, &errors)) != NULL)
		return conf;
	for (i = 0; i < errors.count; i++)
		log_event(EV_CONFIG_ERROR, log_str("msg", errors.lines[i]));
	err_set(&r->failure, "the configuration is bad, nothing changed: %s",
	    errors.lines[0]);
	conf_errors_free(&errors);
	return NULL;
}

struct changes {
	struct err	 keys;		/* that need a restart, "a, b" */
	size_t		 restart;
};

static void
note_change(void *arg, const struct conf_key_info *key)
{
	struct changes	*changes = arg;
	size_t		 len = strlen(changes->keys.text);

	if (key->reload != CLASS_RESTART)
		return;
	snprintf(changes->keys.text + len, sizeof(changes->keys.text) - len,
	    "%s%s.%s", changes->restart++ == 0 ? "" : ", ", key->section,
	    key->key);
}

/* Some keys cannot change while the master lives. */
static int
permitted(struct reload *r, const struct conf *old)
{
	struct changes	 changes = { 0 };

	conf_diff(old, r->fresh, note_change, &changes);
	if (changes.restart == 0)
		return 0;
	return err_set(&r->failure, "nothing changed: a restart is needed for"
	    " %.400s", changes.keys.text);
}

/* ---- it takes force */

/* Another number of workers was configured: that one counts from now on. */
static void
retarget(struct reload *r, const struct conf *old, const struct conf *fresh,
    int64_t now_ms)
{
	if (fresh->pool.workers != old->pool.workers)
		pool_set_target(r->p.pool, fresh->pool.workers, now_ms);
	r->target_set = pool_target(r->p.pool);
}

/*
 * The target to go back to. If the one in force has not proved itself, that
 * is still the one before it, moved as the pool was scaled since.
 */
static void
note_target(struct reload *r)
{
	int	 target = pool_target(r->p.pool);

	if (r->target_before == -1)
		r->target_before = target;
	else
		r->target_before += target - r->target_set;
}

static void
take_force(struct reload *r, const struct conf *old,
    struct listener_set *sockets)
{
	struct pool_policy	 policy = policy_of(r->fresh, sockets);
	int64_t			 now_ms = clock_now_ms();
	struct generation	*generation;

	pool_undrain(r->p.pool, now_ms);
	note_target(r);
	pool_set_policy(r->p.pool, &policy, now_ms);
	retarget(r, old, r->fresh, now_ms);
	pool_renew(r->p.pool, now_ms);
	generation = generations_add(r->p.generations,
	    pool_generation(r->p.pool), r->fresh, sockets);
	r->fresh = NULL;
	r->preparing = false;
	r->going = r->asked;
	r->renewing = true;
	r->failure.text[0] = '\0';	/* that of one before, by now */
	listeners_apply(sockets, generation->conf);
	log_event(EV_RELOAD_START, log_int("gen", generation->nr),
	    log_int("workers", pool_target(r->p.pool)),
	    log_str("why", r->going.why));
	r->p.changed(r->p.arg);
	r->p.run(r->p.arg);
}

/* All that can fail, and then all that cannot. */
static void
apply(struct reload *r, const struct resolved *resolved)
{
	struct generation	*now = generations_now(r->p.generations);
	struct listener_set	*sockets;

	/* It may have given up by itself. */
	if (pool_phase(r->p.pool) != POOL_RUNNING) {
		err_set(&r->failure, "stopping: ignored");
		refused(r);
		return;
	}
	sockets = listeners_plan(now->sockets, r->fresh, resolved,
	    &r->failure);
	if (sockets == NULL) {
		refused(r);
		return;
	}
	if (logs_differ(now->conf, r->fresh) &&
	    logs_open(r->fresh, r->detached, &r->failure) == -1) {
		listener_set_drop(sockets);
		refused(r);
		return;
	}
	take_force(r, now->conf, sockets);
}

static void
on_resolved(void *arg, struct resolved *resolved, const struct err *err)
{
	struct reload	*r = arg;

	r->resolver = NULL;
	if (resolved != NULL) {
		apply(r, resolved);
		resolved_free(resolved);
		return;
	}
	r->failure = *err;
	refused(r);
}

void
reload_request(struct reload *r, const char *why)
{
	const struct conf	*old;

	abandon(r);
	/* What was before is one thing, what comes another. */
	r->p.run(r->p.arg);
	r->asked = (struct cause){ why, clock_now_us() };
	r->failure.text[0] = '\0';
	r->preparing = true;
	r->p.begun(r->p.arg);
	old = generations_now(r->p.generations)->conf;
	if ((r->fresh = load(r)) == NULL || permitted(r, old) == -1) {
		refused(r);
		return;
	}
	r->resolver = resolver_start(r->p.base, r->p.priority, r->fresh,
	    RESOLVE_MS, on_resolved, r, &r->failure);
	if (r->resolver == NULL)
		refused(r);
}

/* A copy: a generation owns its own. */
static struct conf *
copy_of(const struct conf *conf)
{
	struct conf_errors	 errors = { 0 };
	struct conf		*copy;
	size_t			 len;
	char			*text = conf_print(conf, &len);

	copy = conf_load_text(text, len, true, &errors);
	conf_errors_free(&errors);
	free(text);
	return copy;
}

void
reload_again(struct reload *r, const char *why)
{
	struct generation	*now = generations_now(r->p.generations);

	/* What is being prepared will do; without workers, it is done. */
	if (r->resolver != NULL || pool_drained(r->p.pool) ||
	    pool_phase(r->p.pool) != POOL_RUNNING ||
	    (r->fresh = copy_of(now->conf)) == NULL)
		return;
	r->asked = (struct cause){ why, clock_now_us() };
	r->p.begun(r->p.arg);
	take_force(r, now->conf, listener_set_hold(now->sockets));
}

/* ---- how it goes on */

/* Sockets that others have and this one has not let nobody new in. */
static void
retire_others(struct reload *r, const struct generation *now)
{
	struct generation	*other;

	for (other = generations_first(r->p.generations); other != NULL;
	    other = other->next)
		if (other != now)
			listeners_retire(other->sockets, now->sockets);
}

/*
 * From the first new worker on there is no way back. A late one of a
 * generation that is not in force any more says nothing about the sockets:
 * those in force are not to be retired for it.
 */
void
reload_proved(struct reload *r, int nr)
{
	struct generation	*now = generations_now(r->p.generations);

	if (now->nr != nr)
		return;
	r->target_before = -1;
	retire_others(r, now);
}

/* As many workers as before, and those that were asked for since. */
static void
put_back_target(struct reload *r, const struct conf *tried,
    const struct conf *conf, int64_t now_ms)
{
	struct pool	*pool = r->p.pool;
	bool		 drained = pool_drained(pool);

	/* Another image knew; the configurations tell enough. */
	if (r->target_before == -1) {
		r->target_before = conf->pool.workers;
		r->target_set = tried->pool.workers;
	}
	pool_undrain(pool, now_ms);
	if (r->target_before != r->target_set)
		pool_set_target(pool, (int64_t)pool_target(pool) +
		    r->target_before - r->target_set, now_ms);
	if (drained)
		pool_drain(pool);
	r->target_before = -1;
}

/* No worker of the new generation was ever ready: as if nothing had been. */
static void
put_back(struct reload *r)
{
	struct generation	*tried, *now;
	const struct conf	*conf;
	struct pool_policy	 policy;
	int64_t			 now_ms = clock_now_ms();
	struct err		 err;

	tried = generations_now(r->p.generations);
	generations_go_back(r->p.generations, pool_generation(r->p.pool));
	now = generations_now(r->p.generations);
	conf = now->conf;
	policy = policy_of(conf, now->sockets);
	pool_set_policy(r->p.pool, &policy, now_ms);
	put_back_target(r, tried->conf, conf, now_ms);
	retire_others(r, now);
	listeners_apply(now->sockets, conf);
	if (logs_differ(tried->conf, conf) &&
	    logs_open(conf, r->detached, &err) == -1)
		log_event(EV_LOG_FAILED, log_str("path", conf->master.log),
		    log_str("error", err.text));
	r->p.changed(r->p.arg);
}

static void
failed(struct reload *r, const struct pool_tell *tell, const char *words)
{
	err_set(&r->failure, "a worker of the new generation could not become "
	    "ready%s%s", words[0] == '\0' ? "" : ": ", words);
	if (tell->restored)
		put_back(r);
	log_event(EV_RELOAD_FAILED, log_int("gen", tell->n),
	    log_int("slot", tell->slot), log_str("why", r->going.why),
	    log_str("kept", tell->restored ? "all" : "workers"),
	    log_str("msg", r->failure.text));
}

void
reload_told(struct reload *r, const struct pool_tell *tell, const char *words)
{
	r->renewing = false;
	if (tell->kind == TELL_RENEW_FAILED)
		failed(r, tell, words);
	else
		log_event(EV_RELOAD_DONE, log_int("gen", tell->n),
		    log_us("took", clock_now_us() - r->going.at_us));
	ended(r);
}
