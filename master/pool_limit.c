#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "master/pool_priv.h"

/* Time limits that change while they run, and the policy that says them. */
void
pool_copy_policy(struct pool *pool, const struct pool_policy *policy)
{
	size_t	 n = policy->nfatal_codes;
	int	*codes = xcalloc(n + 1, sizeof(*codes));

	if (n > 0)
		memcpy(codes, policy->fatal_codes, n * sizeof(*codes));
	free((void *)pool->policy.fatal_codes);
	pool->policy = *policy;
	pool->policy.fatal_codes = codes;
	pool->limits = policy->limits;
	/* Who counts as ready by living on cannot be late. */
	if (policy->alive != -1)
		pool->limits.ready = 0;
}

void
child_arm_alive(struct pool *pool, struct child *child)
{
	if (child->core.state == CHILD_STARTING && pool->policy.alive != -1)
		timer_arm(pool, &child->alive, child->info.spawned_ms +
		    pool->policy.alive + child->away_ms);
	else
		timer_disarm(pool, &child->alive);
}

void
child_arm_age(struct pool *pool, struct child *child)
{
	const struct pool_policy	*policy = &pool->policy;

	if (policy->max_age > 0)
		timer_arm(pool, &child->age, child->info.spawned_ms +
		    policy->max_age +
		    random_below(pool, policy->max_age_jitter + 1));
	else
		timer_disarm(pool, &child->age);
}

/* The limits are others: count anew, with what was given on top. */
static void
limit_follows(struct pool *pool, struct child *child)
{
	int64_t	 at_ms;

	if (child->core.state == CHILD_KILLED)
		return;
	child_relimit(&child->core, &pool->limits);
	if (child->core.deadline_ms == CHILD_NO_DEADLINE) {
		timer_disarm(pool, &child->limit);
		return;
	}
	at_ms = child->core.deadline_ms + child->away_ms;
	if (at_ms < child->extended_ms)
		at_ms = child->extended_ms;
	timer_arm(pool, &child->limit, at_ms);
}

static void
child_follows(struct pool *pool, struct child *child)
{
	limit_follows(pool, child);
	child_arm_alive(pool, child);
	if (child->core.state == CHILD_READY && child->over == WHY_NONE)
		child_arm_age(pool, child);
}

void
pool_set_policy(struct pool *pool, const struct pool_policy *policy,
    int64_t now_ms)
{
	struct child	*child = NULL;

	(void)now_ms;
	pool_copy_policy(pool, policy);
	while ((child = pool_next_child(pool, child)) != NULL)
		child_follows(pool, child);
	if (pool->phase != POOL_RUNNING)
		return;
	if (pool->drained)
		pool->remembered = pool_clamp(pool, pool->remembered);
	else
		pool->target = pool_clamp(pool, pool->target);
}

void
pool_extend(struct pool *pool, struct child *child, int64_t ms,
    int64_t now_ms)
{
	if (child->core.state == CHILD_KILLED || !child->limit.armed ||
	    now_ms + ms <= child->limit.at_ms)
		return;
	child->extended_ms = now_ms + ms;
	timer_arm(pool, &child->limit, child->extended_ms);
}

void
pool_shift(struct pool *pool, int64_t ms)
{
	struct child	*child = NULL;

	while ((child = pool_next_child(pool, child)) != NULL) {
		child->away_ms += ms;
		if (child->extended_ms != -1)
			child->extended_ms += ms;
		if (child->limit.armed)
			timer_arm(pool, &child->limit,
			    child->limit.at_ms + ms);
		if (child->alive.armed)
			timer_arm(pool, &child->alive,
			    child->alive.at_ms + ms);
		child_touch(pool, child);
	}
}
