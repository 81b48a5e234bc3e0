#include "tests/unit/pool_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static void
on_tell(void *arg, const struct pool_tell *tell)
{
	struct rig	*rig = arg;

	cr_assert(rig->ntells < RIG_MANY);
	rig->tells[rig->ntells++] = *tell;
}

struct pool_policy
rig_policy(void)
{
	static const int	 fatal_codes[] = { 78 };

	return (struct pool_policy){ .min_workers = 1, .max_workers = 100,
	    .spawn_batch = 16, .backoff_min = 1000, .backoff_max = 8000,
	    .min_uptime = 1000, .boot_retries = 3, .surge = 1, .alive = -1,
	    .limits = { .ready = 60000, .graceful = 30000, .kill = 5000 },
	    .fatal_codes = fatal_codes, .nfatal_codes = 1 };
}

void
rig_begin(struct rig *rig, const struct pool_policy *policy, int target)
{
	memset(rig, 0, sizeof(*rig));
	rig->now_ms = 1000;
	rig->last_pid = 100;
	rig->pool = pool_new(policy, target, 1, on_tell, rig, rig->now_ms);
	rig_turn(rig);
}

void
rig_ready(struct rig *rig, const struct pool_policy *policy, int target)
{
	rig_begin(rig, policy, target);
	rig_all_ready(rig);
}

void
rig_end(struct rig *rig)
{
	pool_free(rig->pool);
}

static void
do_act(struct rig *rig, const struct act *act)
{
	cr_assert(rig->nspawns < RIG_MANY && rig->nsignals < RIG_MANY);
	if (act->kind == ACT_REFUSE) {
		rig->refusals++;
	} else if (act->kind == ACT_SIGNAL) {
		rig->signals[rig->nsignals].pid = child_info(act->child)->pid;
		rig->signals[rig->nsignals].why = act->why;
		rig->signals[rig->nsignals++].signal = act->signal;
	} else if (rig->forks_fail > 0) {
		rig->forks_fail--;
		pool_spawn_failed(rig->pool, act, rig->now_ms);
	} else if (rig->execs_fail > 0) {
		rig->execs_fail--;
		pool_hopeless(rig->pool, act, rig->now_ms);
	} else {
		rig->spawns[rig->nspawns] = *act;
		rig->spawned_ms[rig->nspawns++] = rig->now_ms;
		pool_spawned(rig->pool, act, ++rig->last_pid, 0, rig->now_ms);
	}
}

void
rig_turn(struct rig *rig)
{
	struct act	 act;

	do {
		pool_begin_turn(rig->pool);
		while (pool_next(rig->pool, rig->now_ms, &act))
			do_act(rig, &act);
	} while (pool_hungry(rig->pool));
}

void
rig_pass(struct rig *rig, int64_t ms)
{
	int64_t	 until = rig->now_ms + ms, deadline;

	while (rig->now_ms < until) {
		deadline = pool_deadline_ms(rig->pool);
		rig->now_ms = deadline == -1 || deadline > until ? until :
		    deadline;
		rig_turn(rig);
	}
}

struct child *
rig_child(struct rig *rig, int nr)
{
	struct slot_info	 slot;

	return pool_slot(rig->pool, nr, &slot) ? slot.child : NULL;
}

struct child *
rig_successor(struct rig *rig, int nr)
{
	struct slot_info	 slot;

	return pool_slot(rig->pool, nr, &slot) ? slot.successor : NULL;
}

void
rig_fact(struct rig *rig, struct child *child, enum child_event event)
{
	cr_assert(child != NULL);
	pool_fact(rig->pool, child, event, rig->now_ms);
	rig_turn(rig);
}

void
rig_exit(struct rig *rig, struct child *child, int code)
{
	cr_assert(child != NULL);
	pool_exited(rig->pool, child, code, rig->now_ms);
	rig_turn(rig);
}

void
rig_all_ready(struct rig *rig)
{
	struct child	*child = NULL;

	while ((child = pool_next_child(rig->pool, child)) != NULL)
		if (child_info(child)->state == CHILD_STARTING)
			pool_fact(rig->pool, child, ON_READY, rig->now_ms);
	rig_turn(rig);
}

void
rig_all_gone(struct rig *rig)
{
	struct child	*child = NULL, *gone;

	child = pool_next_child(rig->pool, NULL);
	while ((gone = child) != NULL) {
		child = pool_next_child(rig->pool, child);
		if (child_info(gone)->state > CHILD_READY)
			pool_exited(rig->pool, gone, 0, rig->now_ms);
	}
	rig_turn(rig);
}

void
rig_anew(struct rig *rig, bool again)
{
	struct pool_policy	 policy = rig_policy();
	struct slot_saved	 slots[RIG_MANY];
	struct child_saved	 children[RIG_MANY];
	struct pool_saved	 pool;
	struct pool_rows	 rows = { &pool, slots, 0, children, 0 };
	struct child		*child = NULL;
	struct err		 err = { "" };

	pool_save(rig->pool, &pool);
	while (pool_save_slot(rig->pool, (int)rows.nslots,
	    &slots[rows.nslots]))
		rows.nslots++;
	while ((child = pool_next_child(rig->pool, child)) != NULL)
		pool_save_child(child, &children[rows.nchildren++]);
	pool_free(rig->pool);
	rig->pool = pool_restore(&policy, &rows, again, 1, on_tell, rig,
	    rig->now_ms, &err);
	cr_assert(rig->pool != NULL, "%s", err.text);
}

int
rig_told(const struct rig *rig, enum tell_kind kind)
{
	int	 i, n = 0;

	for (i = 0; i < rig->ntells; i++)
		n += rig->tells[i].kind == kind;
	return n;
}

const struct pool_tell *
rig_last(const struct rig *rig, enum tell_kind kind)
{
	int	 i;

	for (i = rig->ntells - 1; i >= 0; i--)
		if (rig->tells[i].kind == kind)
			return &rig->tells[i];
	return NULL;
}

bool
rig_signalled(const struct rig *rig, pid_t pid, enum child_act signal)
{
	int	 i;

	for (i = 0; i < rig->nsignals; i++)
		if (rig->signals[i].pid == pid &&
		    rig->signals[i].signal == signal)
			return true;
	return false;
}

pid_t
rig_pid(struct rig *rig, int slot)
{
	struct child	*child = rig_child(rig, slot);

	return child == NULL ? -1 : child_info(child)->pid;
}
