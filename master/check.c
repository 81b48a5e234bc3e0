#include "master/check.h"

#include <sys/stat.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/pool.h"
#include "master/probe.h"
#include "master/roster.h"

/* A program that has just begun may not have come to its sockets yet. */
#define FIRST_MS	3000
#define AGAIN_MS	2000
#define SOCKETS_MAX	256

struct check {
	const struct generations *generations;
	struct pool		*pool;
	struct roster		*roster;
	struct event		*timer;		/* or NULL: no memory for it */
	int			 generation;
	bool			 suspect;	/* the one asked again */
};

static void
arm(struct check *check, int64_t ms)
{
	struct timeval	 tv = clock_timeval(ms);

	if (check->timer != NULL)
		evtimer_add(check->timer, &tv);
}

/* Any ready program of the generation will do: all do the same. */
static const struct child_info *
find_one(const struct check *check)
{
	const struct child_info	*info;
	struct child		*child = NULL;

	while ((child = pool_next_child(check->pool, child)) != NULL) {
		info = child_info(child);
		if (info->generation == check->generation &&
		    info->state == CHILD_READY && !info->caretaker &&
		    roster_at(check->roster, info->cell)->program)
			return info;
	}
	return NULL;
}

static enum probe_result
ask(const struct check *check, const struct child_info *info,
    const struct listener_set *set, char *elsewhere, size_t size)
{
	struct inherited	 sockets[SOCKETS_MAX];
	ino_t			 inodes[SOCKETS_MAX];
	struct stat		 st;
	struct err		 err;
	size_t			 count = 0;
	int			 i, n;

	(void)check;
	n = listeners_for_slot((struct listener_set *)set, info->slot,
	    sockets, SOCKETS_MAX, &err);
	for (i = 0; i < n && i < SOCKETS_MAX; i++)
		if (fstat(sockets[i].fd, &st) == 0)
			inodes[count++] = st.st_ino;
	if (count == 0)
		return PROBE_UNKNOWN;
	return probe_worker(info->pid, inodes, count, elsewhere, size);
}

static void
warn(const struct child_info *info, const struct listener_set *set,
    const char *elsewhere)
{
	const char	*name;

	log_event(EV_WORKER_UNUSED, log_int("slot", info->slot),
	    log_int("pid", info->pid),
	    log_str("addr", listener_text(listener_set_nth(set, 0, &name))),
	    log_str("elsewhere", elsewhere[0] == '\0' ? NULL : elsewhere),
	    log_str("msg", "it is ready, but does not use the sockets that it"
	    " was given: does its command line tell it to?"));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct check			*check = arg;
	const struct child_info		*info = find_one(check);
	const struct listener_set	*set;
	char				 elsewhere[256] = "";

	(void)fd;
	(void)what;
	if (info == NULL)
		return;
	set = generations_of(check->generations, check->generation)->sockets;
	if (ask(check, info, set, elsewhere, sizeof(elsewhere)) !=
	    PROBE_UNUSED)
		return;
	if (check->suspect) {
		warn(info, set, elsewhere);
		return;
	}
	check->suspect = true;
	arm(check, AGAIN_MS);
}

struct check *
check_new(struct event_base *base, int priority,
    const struct generations *generations, struct pool *pool,
    struct roster *roster)
{
	struct check	*check = xcalloc(1, sizeof(*check));

	*check = (struct check){ .generations = generations, .pool = pool,
	    .roster = roster, .timer = evtimer_new(base, on_timer, check) };
	if (check->timer != NULL)
		event_priority_set(check->timer, priority);
	return check;
}

void
check_free(struct check *check)
{
	if (check == NULL)
		return;
	if (check->timer != NULL)
		event_free(check->timer);
	free(check);
}

void
check_soon(struct check *check, int generation)
{
	check->generation = generation;
	check->suspect = false;
	arm(check, FIRST_MS);
}
