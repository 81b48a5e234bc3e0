#include "master/turnout_priv.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"
#include "master/pool_save.h"
#include "master/proc.h"

/* A handshake under way belongs to its socket: give it time to complete. */
#define SETTLE_MS	20
#define SETTLE_STEP_MS	5
#define SETTLE_MAX_MS	100

/*
 * May something be under way that only this worker would serve? To a steered
 * socket that has no successor, or to one that was removed.
 */
static bool
is_exposed(struct turnout *t, int slot, const struct listener *l)
{
	if (listener_is_steered(l))
		return !turnout_serves(t, slot, l);
	return listener_refused_ms(l) != -1 && listener_kind(l) != ADDR_FD;
}

/* How long it has to be waited for, in ms; 0: not at all. */
static int64_t
unsettled_ms(struct turnout *t, const struct parting *parting, int64_t now_ms,
    bool at_first)
{
	const struct listener_set	*set = t->set_of(t->arg,
					    parting->generation);
	const char			*name;
	const struct listener		*l;
	int64_t				 wait_ms = 0;

	for (size_t i = 0; set != NULL && i < listeners_count(set); i++) {
		l = listener_set_nth(set, i, &name);
		if (!is_exposed(t, parting->slot, l))
			continue;
		if (at_first && (listener_is_steered(l) ||
		    now_ms < listener_refused_ms(l) + SETTLE_MS))
			return SETTLE_MS;
		if (!listener_quiet(l, parting->slot))
			wait_ms = SETTLE_STEP_MS;
	}
	return wait_ms;
}

static bool
has_other_holder(struct turnout *t, pid_t pid, const struct listener *l)
{
	struct child	*child = NULL;

	while ((child = pool_next_child(t->pool, child)) != NULL)
		if (child_info(child)->pid != pid &&
		    (turnout_holds(t, child, CHILD_READY, l) ||
		    turnout_holds(t, child, CHILD_STARTING, l)))
			return true;
	return false;
}

/* The last to serve an abstract socket that was removed takes it along. */
static void
tell(struct turnout *t, const struct parting *parting)
{
	const struct listener_set	*set = t->set_of(t->arg,
					    parting->generation);
	const char			*name;
	struct listener			*l;

	for (size_t i = 0; set != NULL && i < listeners_count(set); i++) {
		l = listener_set_nth(set, i, &name);
		if (listener_kind(l) == ADDR_ABSTRACT &&
		    listener_refused_ms(l) != -1 &&
		    !has_other_holder(t, parting->pid, l))
			listener_shut(l);
	}
	proc_signal(parting->pid, parting->signo);
}

/* What its row says of it is to be written down anew. */
static void
changed(struct turnout *t, pid_t pid)
{
	struct child	*child = pool_find(t->pool, pid);

	if (child != NULL)
		pool_changed(t->pool, child);
}

void
turnout_stop(struct turnout *t, pid_t pid, int slot, int generation, int signo)
{
	struct parting	*parting, one = { .pid = pid, .slot = slot,
			    .generation = generation, .signo = signo };
	int64_t		 now_ms = clock_now_ms(), wait_ms;

	t->asked = NULL;
	/* At the end all go at once. */
	wait_ms = pool_phase(t->pool) != POOL_RUNNING ? 0 :
	    unsettled_ms(t, &one, now_ms, true);
	if (wait_ms == 0) {
		tell(t, &one);
		return;
	}
	one.due_ms = now_ms + wait_ms;
	one.bound_ms = now_ms + SETTLE_MAX_MS;
	parting = xcalloc(1, sizeof(*parting));
	*parting = one;
	LIST_INSERT_HEAD(&t->partings, parting, link);
	changed(t, pid);
}

bool
turnout_owes(const struct turnout *t, pid_t pid)
{
	const struct parting	*parting;

	LIST_FOREACH(parting, &t->partings, link)
		if (parting->pid == pid)
			return true;
	return false;
}

void
turnout_forget(struct turnout *t, pid_t pid)
{
	struct parting	*parting;

	LIST_FOREACH(parting, &t->partings, link) {
		if (parting->pid != pid)
			continue;
		LIST_REMOVE(parting, link);
		free(parting);
		return;
	}
}

void
turnout_tell_due(struct turnout *t, int64_t now_ms)
{
	struct parting	*parting, *next;
	bool		 stopping = pool_phase(t->pool) != POOL_RUNNING;
	int64_t		 wait_ms;

	LIST_FOREACH_SAFE(parting, &t->partings, link, next) {
		if (now_ms < parting->due_ms && !stopping)
			continue;
		wait_ms = now_ms >= parting->bound_ms || stopping ? 0 :
		    unsettled_ms(t, parting, now_ms, false);
		if (wait_ms > 0) {
			parting->due_ms = now_ms + wait_ms;
			continue;
		}
		tell(t, parting);
		changed(t, parting->pid);
		LIST_REMOVE(parting, link);
		free(parting);
	}
}

int64_t
turnout_due_ms(const struct turnout *t)
{
	const struct parting	*parting;
	int64_t			 due_ms = -1;

	LIST_FOREACH(parting, &t->partings, link)
		if (due_ms == -1 || parting->due_ms < due_ms)
			due_ms = parting->due_ms;
	return due_ms;
}
