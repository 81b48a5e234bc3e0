#include "master/policy.h"

#include "common/conf.h"
#include "master/listener.h"

/* From refusing new connections to draining: handshakes in flight complete. */
#define DOOR_MS	20

static enum pool_cull
cull_of(enum conf_cull cull)
{
	switch (cull) {
	case CULL_NEWEST:
		return POOL_CULL_NEWEST;
	case CULL_IDLEST:
		return POOL_CULL_IDLEST;
	case CULL_OLDEST:
		break;
	}
	return POOL_CULL_OLDEST;
}

/* More than that a steering program cannot tell apart. */
static int
most_workers(const struct conf *conf, const struct listener_set *sockets)
{
	if (listeners_steered(sockets) &&
	    conf->pool.max_workers > CONF_REUSEPORT_SLOTS)
		return CONF_REUSEPORT_SLOTS;
	return conf->pool.max_workers;
}

/* Built-in apps always say when they are ready. */
static int64_t
alive_of(const struct conf *conf)
{
	if (!conf_is_program(conf) ||
	    conf->worker.ready.mode == READY_NOTIFY)
		return -1;
	return conf->worker.ready.alive;
}

struct pool_policy
policy_of(const struct conf *conf, const struct listener_set *sockets)
{
	const struct conf_pool		*pool = &conf->pool;
	const struct conf_worker	*worker = &conf->worker;

	return (struct pool_policy){
		.min_workers = pool->min_workers,
		.max_workers = most_workers(conf, sockets),
		.cull = cull_of(pool->cull),
		.spawn_batch = pool->spawn_batch,
		.spawn_jitter = pool->spawn_jitter,
		.backoff_min = pool->backoff_min,
		.backoff_max = pool->backoff_max,
		.min_uptime = pool->min_uptime,
		.boot_retries = pool->boot_retries,
		.surge = pool->surge.number,
		.surge_percent = pool->surge.percent,
		.stop_delay = worker->stop_delay,
		.door = DOOR_MS,
		.alive = alive_of(conf),
		.limits = { worker->ready_timeout, worker->graceful_timeout,
		    worker->kill_timeout },
		.max_requests = worker->max_requests,
		.max_requests_jitter = worker->max_requests_jitter,
		.max_age = worker->max_age,
		.max_age_jitter = worker->max_age_jitter,
		.fatal_codes = worker->fatal_exit_codes,
		.nfatal_codes = worker->nfatal_exit_codes,
	};
}
