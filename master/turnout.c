#include "master/turnout_priv.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/mem.h"

/* A slot's socket without anybody to accept from it. */
struct parked {
	struct group		*group;
	int			 slot;
	struct event		*event;
};

/* One steered listener. */
struct group {
	struct turnout		*turnout;
	struct listener		*listener;	/* held */
	bool			*ready, *busy;	/* by slot */
	struct parked		**parked;
	int			 room, steered;
	bool			 served;	/* some slot was ready once */
	LIST_ENTRY(group)	 link;
};

struct turnout *
turnout_new(struct event_base *base, int priority, struct pool *pool,
    turnout_set_fn *set_of, turnout_run_fn *run, void *arg)
{
	struct turnout	*t = xcalloc(1, sizeof(*t));

	t->base = base;
	t->priority = priority;
	t->pool = pool;
	t->set_of = set_of;
	t->run = run;
	t->arg = arg;
	LIST_INIT(&t->partings);
	LIST_INIT(&t->groups);
	return t;
}

/* Did the workers of that generation inherit it? */
static bool
holds(struct turnout *t, int generation, const struct listener *l)
{
	if (t->asked == l && t->asked_of == generation)
		return t->answer;
	t->asked = l;
	t->asked_of = generation;
	t->answer = listener_set_has(t->set_of(t->arg, generation), l);
	return t->answer;
}

bool
turnout_holds(struct turnout *t, const struct child *child,
    enum child_state state, const struct listener *l)
{
	const struct child_info	*info;

	if (child == NULL)
		return false;
	info = child_info(child);
	return info->state == state && holds(t, info->generation, l);
}

bool
turnout_serves(struct turnout *t, int slot, const struct listener *l)
{
	struct slot_info	 info = { 0 };

	return pool_slot(t->pool, slot, &info) &&
	    turnout_holds(t, info.child, CHILD_READY, l);
}

static bool
is_starting(struct turnout *t, int slot, const struct listener *l)
{
	struct slot_info	 info = { 0 };

	return pool_slot(t->pool, slot, &info) &&
	    (turnout_holds(t, info.child, CHILD_STARTING, l) ||
	    turnout_holds(t, info.successor, CHILD_STARTING, l));
}

/* ---- parked sockets */

static void
parked_free(struct parked *parked)
{
	if (parked == NULL)
		return;
	if (parked->event != NULL)
		event_free(parked->event);
	free(parked);
}

/* A straggler: whoever serves it needs to be forked, once. */
static void
on_straggler(evutil_socket_t fd, short what, void *arg)
{
	struct parked	*parked = arg;
	struct turnout	*t = parked->group->turnout;

	(void)fd;
	(void)what;
	event_del(parked->event);
	pool_caretake(t->pool, parked->slot);
	t->run(t->arg);
}

static struct parked *
parked_new(struct group *g, int slot)
{
	struct parked	*parked = xcalloc(1, sizeof(*parked));

	parked->group = g;
	parked->slot = slot;
	parked->event = event_new(g->turnout->base,
	    listener_fd(g->listener, slot), EV_READ | EV_PERSIST, on_straggler,
	    parked);
	if (parked->event == NULL || event_priority_set(parked->event,
	    g->turnout->priority) == -1 || event_add(parked->event, NULL) ==
	    -1)
		log_event(EV_LOOP_NOTE,
		    log_str("msg", "cannot watch a parked socket"));
	return parked;
}

/* A caretaker can help where it would inherit the listener. */
static void
watch_slot(struct group *g, int slot, bool in_force)
{
	struct slot_info	 info = { 0 };
	bool			 empty;

	pool_slot(g->turnout->pool, slot, &info);
	/* Open and empty, it is filled at once, or waits, or is parked. */
	empty = in_force && !g->busy[slot] &&
	    (!info.open || info.parked || info.fill_at_ms != -1);
	if (empty && g->parked[slot] == NULL)
		g->parked[slot] = parked_new(g, slot);
	if (empty)
		return;
	parked_free(g->parked[slot]);
	g->parked[slot] = NULL;
}

/* ---- steering */

static void
make_room(struct group *g, int slots)
{
	int	 i;

	if (slots <= g->room)
		return;
	g->ready = xreallocarray(g->ready, (size_t)slots, sizeof(bool));
	g->busy = xreallocarray(g->busy, (size_t)slots, sizeof(bool));
	g->parked = xreallocarray(g->parked, (size_t)slots,
	    sizeof(*g->parked));
	for (i = g->room; i < slots; i++) {
		g->ready[i] = g->busy[i] = false;
		g->parked[i] = NULL;
	}
	g->room = slots;
}

static void
look(struct group *g, int slots)
{
	struct turnout		*t = g->turnout;
	const struct child_info	*info;
	struct child		*child = NULL;

	memset(g->busy, 0, (size_t)slots * sizeof(bool));
	while ((child = pool_next_child(t->pool, child)) != NULL) {
		info = child_info(child);
		if (info->slot < slots &&
		    holds(t, info->generation, g->listener))
			g->busy[info->slot] = true;
	}
}

static void
steer(struct group *g, int slots)
{
	struct turnout	*t = g->turnout;
	bool		 changed = g->steered != slots, any = false;
	bool		*next = xcalloc((size_t)slots, sizeof(*next));
	int		 i;

	for (i = 0; i < slots; i++)
		any |= next[i] = turnout_serves(t, i, g->listener);
	g->served |= any;
	for (i = 0; i < slots && !g->served; i++)
		any |= next[i] = is_starting(t, i, g->listener);
	changed |= memcmp(g->ready, next, (size_t)slots * sizeof(*next)) != 0;
	memcpy(g->ready, next, (size_t)slots * sizeof(*next));
	free(next);
	if (!changed)
		return;
	g->steered = slots;
	listener_steer(g->listener, g->ready, slots);
}

static void
group_free(struct group *g)
{
	int	 i;

	for (i = 0; i < g->room; i++)
		parked_free(g->parked[i]);
	LIST_REMOVE(g, link);
	listener_drop(g->listener);
	free(g->parked);
	free(g->ready);
	free(g->busy);
	free(g);
}

static bool
is_known(const struct turnout *t, const struct listener *l)
{
	const struct group	*g;

	LIST_FOREACH(g, &t->groups, link)
		if (g->listener == l)
			return true;
	return false;
}

/* A group for each steered listener there is, and for none that is gone. */
static void
find_groups(struct turnout *t)
{
	struct listener	*l = NULL;
	struct group	*g, *next;

	while ((l = listener_next(l)) != NULL) {
		if (!listener_is_steered(l) || is_known(t, l))
			continue;
		g = xcalloc(1, sizeof(*g));
		g->turnout = t;
		g->listener = listener_hold(l);
		LIST_INSERT_HEAD(&t->groups, g, link);
	}
	LIST_FOREACH_SAFE(g, &t->groups, link, next)
		if (listener_unused(g->listener))
			group_free(g);
}

static void
turn(struct group *g)
{
	int	 slots = listener_sockets(g->listener), i;
	bool	 in_force = holds(g->turnout,
		    pool_generation(g->turnout->pool), g->listener);

	make_room(g, slots);
	steer(g, slots);
	look(g, slots);
	for (i = 0; i < slots; i++)
		watch_slot(g, i, in_force);
}

void
turnout_steer_anew(struct turnout *t)
{
	struct group	*g;

	LIST_FOREACH(g, &t->groups, link)
		g->steered = -1;
}

void
turnout_run(struct turnout *t, int64_t now_ms)
{
	struct group	*g;

	t->asked = NULL;
	find_groups(t);
	if (pool_phase(t->pool) < POOL_DOOR)
		LIST_FOREACH(g, &t->groups, link)
			turn(g);
	turnout_tell_due(t, now_ms);
}

void
turnout_free(struct turnout *t)
{
	struct parting	*parting;
	struct group	*g;

	if (t == NULL)
		return;
	while ((parting = LIST_FIRST(&t->partings)) != NULL) {
		LIST_REMOVE(parting, link);
		free(parting);
	}
	while ((g = LIST_FIRST(&t->groups)) != NULL)
		group_free(g);
	free(t);
}
