#include "master/turnout.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/listener.h"
#include "master/pool.h"
#include "master/proc.h"

/* A handshake under way belongs to its socket: give it time to complete. */
#define SETTLE_MS	20
#define SETTLE_STEP_MS	5
#define SETTLE_MAX_MS	100
#define FDS_A_SLOT	64

struct parting {		/* steered away from, not told yet */
	pid_t			 pid;
	int			 slot, signo;
	int64_t			 due_ms, bound_ms;
	LIST_ENTRY(parting)	 link;
};

/* A slot's sockets without anybody to accept from them. */
struct parked {
	struct turnout		*turnout;
	int			 slot;
	int			 count;
	struct event		*events[FDS_A_SLOT];
};

struct turnout {
	struct event_base	*base;
	int			 priority;
	struct listeners	*listeners;
	struct pool		*pool;
	turnout_run_fn		*run;
	void			*arg;
	LIST_HEAD(, parting)	 partings;
	bool			*ready, *busy;	/* by slot */
	struct parked		**parked;
	int			 room, steered;
};

struct turnout *
turnout_new(struct event_base *base, int priority,
    struct listeners *listeners, struct pool *pool, turnout_run_fn *run,
    void *arg)
{
	struct turnout	*t = xcalloc(1, sizeof(*t));

	t->base = base;
	t->priority = priority;
	t->listeners = listeners;
	t->pool = pool;
	t->run = run;
	t->arg = arg;
	LIST_INIT(&t->partings);
	return t;
}

/* ---- parked sockets */

static void
parked_free(struct parked *parked)
{
	int	 i;

	if (parked == NULL)
		return;
	for (i = 0; i < parked->count; i++)
		event_free(parked->events[i]);
	free(parked);
}

/* A straggler: whoever serves it needs to be forked, once. */
static void
on_straggler(evutil_socket_t fd, short what, void *arg)
{
	struct parked	*parked = arg;
	struct turnout	*t = parked->turnout;
	int		 i;

	(void)fd;
	(void)what;
	for (i = 0; i < parked->count; i++)
		event_del(parked->events[i]);
	pool_caretake(t->pool, parked->slot);
	t->run(t->arg);
}

static struct parked *
parked_new(struct turnout *t, int slot)
{
	struct parked	*parked = xcalloc(1, sizeof(*parked));
	struct event	*event;
	int		 fds[FDS_A_SLOT], i, count;

	parked->turnout = t;
	parked->slot = slot;
	count = listeners_slot_fds(t->listeners, slot, fds, FDS_A_SLOT);
	for (i = 0; i < count; i++) {
		event = event_new(t->base, fds[i], EV_READ | EV_PERSIST,
		    on_straggler, parked);
		if (event == NULL)
			break;
		parked->events[parked->count++] = event;
		if (event_priority_set(event, t->priority) == -1 ||
		    event_add(event, NULL) == -1)
			log_event(EV_LOOP_NOTE,
			    log_str("msg", "cannot watch a parked socket"));
	}
	return parked;
}

static void
watch_slot(struct turnout *t, int slot)
{
	struct slot_info	 info = { 0 };
	bool			 empty;

	pool_slot(t->pool, slot, &info);
	/* Open and empty, it is filled at once, or waits, or is parked. */
	empty = !t->busy[slot] &&
	    (!info.open || info.parked || info.fill_at_ms != -1);
	if (empty && t->parked[slot] == NULL)
		t->parked[slot] = parked_new(t, slot);
	if (empty)
		return;
	parked_free(t->parked[slot]);
	t->parked[slot] = NULL;
}

/* ---- steering */

static void
make_room(struct turnout *t, int slots)
{
	int	 i;

	if (slots <= t->room)
		return;
	t->ready = xreallocarray(t->ready, (size_t)slots, sizeof(bool));
	t->busy = xreallocarray(t->busy, (size_t)slots, sizeof(bool));
	t->parked = xreallocarray(t->parked, (size_t)slots,
	    sizeof(*t->parked));
	for (i = t->room; i < slots; i++) {
		t->ready[i] = t->busy[i] = false;
		t->parked[i] = NULL;
	}
	t->room = slots;
}

static void
look(struct turnout *t, int slots)
{
	struct child	*child = NULL;
	int		 slot;

	memset(t->busy, 0, (size_t)slots * sizeof(bool));
	while ((child = pool_next_child(t->pool, child)) != NULL) {
		slot = child_info(child)->slot;
		if (slot < slots)
			t->busy[slot] = true;
	}
}

static void
steer(struct turnout *t, int slots)
{
	bool	 changed = t->steered != slots;
	int	 i;

	for (i = 0; i < slots; i++) {
		changed |= t->ready[i] != pool_slot_ready(t->pool, i);
		t->ready[i] = pool_slot_ready(t->pool, i);
	}
	if (!changed)
		return;
	t->steered = slots;
	listeners_steer(t->listeners, t->ready, slots);
}

/* ---- those who are to be told to stop */

void
turnout_stop(struct turnout *t, pid_t pid, int slot, int signo)
{
	struct parting	*parting;

	/* A successor shares the slot's socket; at the end all go at once. */
	if (!listeners_steered(t->listeners) ||
	    pool_slot_ready(t->pool, slot) ||
	    pool_phase(t->pool) != POOL_RUNNING) {
		proc_signal(pid, signo);
		return;
	}
	parting = xcalloc(1, sizeof(*parting));
	*parting = (struct parting){ .pid = pid, .slot = slot,
	    .signo = signo, .due_ms = clock_now_ms() + SETTLE_MS,
	    .bound_ms = clock_now_ms() + SETTLE_MAX_MS };
	LIST_INSERT_HEAD(&t->partings, parting, link);
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

static void
tell_due(struct turnout *t, int64_t now_ms)
{
	struct parting	*parting, *next;
	bool		 stopping = pool_phase(t->pool) != POOL_RUNNING;

	LIST_FOREACH_SAFE(parting, &t->partings, link, next) {
		if (now_ms < parting->due_ms && !stopping)
			continue;
		if (now_ms < parting->bound_ms && !stopping &&
		    !listeners_slot_quiet(t->listeners, parting->slot)) {
			parting->due_ms = now_ms + SETTLE_STEP_MS;
			continue;
		}
		proc_signal(parting->pid, parting->signo);
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

void
turnout_run(struct turnout *t, int64_t now_ms)
{
	int	 slots, i;

	if (!listeners_steered(t->listeners))
		return;
	slots = listeners_slots(t->listeners);
	make_room(t, slots);
	if (pool_phase(t->pool) < POOL_DOOR) {
		steer(t, slots);
		look(t, slots);
		for (i = 0; i < slots; i++)
			watch_slot(t, i);
	}
	tell_due(t, now_ms);
}

void
turnout_free(struct turnout *t)
{
	struct parting	*parting;
	int		 i;

	if (t == NULL)
		return;
	while ((parting = LIST_FIRST(&t->partings)) != NULL) {
		LIST_REMOVE(parting, link);
		free(parting);
	}
	for (i = 0; i < t->room; i++)
		parked_free(t->parked[i]);
	free(t->parked);
	free(t->ready);
	free(t->busy);
	free(t);
}
