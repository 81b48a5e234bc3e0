#include "tests/sim/sim.h"

#include <sys/random.h>
#include <stdlib.h>
#include <string.h>

/* What is drawn by lot before a world begins. */
static const int	 fatal_codes[] = { 78, 66 };

/* ---- the policy */

/* Nothing, or from 1 to most. */
static int64_t
some(struct sim *sim, int64_t most)
{
	return sim_chance(sim, 500) ? 0 : sim_between(sim, 1, most);
}

static void
draw_limits(struct sim *sim, const struct sim_temper *temper,
    struct pool_policy *policy)
{
	policy->limits.ready = some(sim, 5000);
	if (policy->limits.ready != 0)
		policy->limits.ready += 100;
	policy->limits.graceful = some(sim, 5000);
	policy->limits.kill = some(sim, 2000);
	if (temper->zero_limits)
		policy->limits = (struct child_limits){ 0 };
	policy->stop_delay = some(sim, 2000);
	policy->door = some(sim, 200);
}

void
sim_draw_policy(struct sim *sim, const struct sim_temper *temper,
    struct pool_policy *policy)
{
	*policy = (struct pool_policy){ 0 };
	policy->min_workers = sim_chance(sim, 800) ? 1 :
	    (int)sim_between(sim, 1, temper->workers);
	policy->max_workers = (int)sim_between(sim, policy->min_workers,
	    temper->workers);
	policy->cull = (enum pool_cull)sim_between(sim, 0, 2);
	policy->spawn_batch = (int)sim_between(sim, 1, 16);
	policy->spawn_jitter = some(sim, 500);
	policy->backoff_min = sim_between(sim, 1, 1000);
	policy->backoff_max = policy->backoff_min * sim_between(sim, 1, 60);
	policy->min_uptime = some(sim, 2000);
	policy->boot_retries = (int)sim_between(sim, 1, 5);
	policy->surge_percent = sim_chance(sim, 500);
	policy->surge = (int)sim_between(sim, 1, policy->surge_percent ? 100 :
	    4);
	policy->max_requests = some(sim, 1000);
	policy->max_requests_jitter = some(sim, 100);
	policy->max_age = some(sim, 10000);
	if (policy->max_age != 0)
		policy->max_age += 500;
	policy->max_age_jitter = some(sim, 1000);
	policy->fatal_codes = fatal_codes;
	policy->nfatal_codes = sizeof(fatal_codes) / sizeof(fatal_codes[0]);
	if (sim_chance(sim, 200))
		policy->nfatal_codes--;
	policy->alive = sim_chance(sim, 700) ? -1 : some(sim, 3000);
	draw_limits(sim, temper, policy);
}

/* ---- the environment */

uint64_t
sim_seed(void)
{
	const char	*text = getenv("MUSTER_SIM_SEED");
	uint64_t	 seed;

	if (text != NULL)
		return strtoull(text, NULL, 0);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed >> 32;
}

unsigned long
sim_steps(unsigned long usual)
{
	const char	*text = getenv("MUSTER_SIM_STEPS");

	if (text != NULL)
		return strtoul(text, NULL, 0);
	text = getenv("MUSTER_SOAK");
	return text != NULL && strcmp(text, "0") != 0 ? usual * 50 : usual;
}
