#include "master/check.h"

#include <sys/stat.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/err.h"
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
/* A successor has so long, as anybody has who is warned about; looks are
 * ever more rare. Just ready it may still be running, of which nothing can
 * be told: that is waited for but shortly. */
#define HOLD_MS		(FIRST_MS + AGAIN_MS)
#define UNKNOWN_MS	300
#define LOOK_MIN_MS	20
#define LOOK_MAX_MS	500

struct check {
	const struct generations *generations;
	struct pool		*pool;
	struct roster		*roster;
	struct event		*timer;		/* or NULL: no memory for it */
	int			 generation;
	bool			 suspect;	/* the one asked again */
	/* Successors that are held: the first of a reload. */
	int			 held;		/* generation; 0: none yet */
	int64_t			 held_ms;	/* since */
	bool			 needed;	/* who is there uses them */
	bool			 strayed;	/* one was seen elsewhere */
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
ask(const struct child_info *info, const struct listener_set *set,
    char *elsewhere, size_t size)
{
	struct inherited	 sockets[SOCKETS_MAX];
	ino_t			 inodes[SOCKETS_MAX];
	struct stat		 st;
	struct err		 err;
	size_t			 count = 0;
	int			 i, n;

	n = listeners_for_slot((struct listener_set *)set, info->slot,
	    sockets, SOCKETS_MAX, &err);
	for (i = 0; i < n && i < SOCKETS_MAX; i++)
		if (fstat(sockets[i].fd, &st) == 0)
			inodes[count++] = st.st_ino;
	if (count == 0)
		return PROBE_USED;
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
	if (ask(info, set, elsewhere, sizeof(elsewhere)) !=
	    PROBE_UNUSED)
		return;
	if (check->suspect) {
		warn(info, set, elsewhere);
		return;
	}
	check->suspect = true;
	arm(check, AGAIN_MS);
}

/* ---- successors */

/* Whom it is to replace in the first place of a reload, or NULL. */
static const struct child_info *
predecessor(const struct check *check, const struct child_info *info)
{
	struct slot_info	 slot;

	if (!pool_renewing(check->pool) ||
	    info->generation != pool_generation(check->pool) ||
	    info->generation == pool_proven(check->pool) ||
	    !pool_slot(check->pool, info->slot, &slot) ||
	    slot.successor == NULL || child_info(slot.successor) != info)
		return NULL;
	return child_info(slot.child);
}

static enum probe_result
ask_of(const struct check *check, const struct child_info *info,
    struct err *elsewhere)
{
	if (!roster_at(check->roster, info->cell)->program)
		return PROBE_USED;
	return ask(info, generations_of(check->generations,
	    info->generation)->sockets, elsewhere->text,
	    sizeof(elsewhere->text));
}

/* As time goes by, and what was seen. */
static enum check_verdict
judge(struct check *check, enum probe_result old, enum probe_result new,
    bool elsewhere, int64_t waited_ms)
{
	int64_t	 limit_ms = HOLD_MS;

	check->needed |= old == PROBE_USED;
	check->strayed |= elsewhere;
	/* A busy one can look idle between two clients: not at every look. */
	if (new == PROBE_USED || (old == PROBE_UNUSED && !check->needed &&
	    waited_ms >= UNKNOWN_MS))
		return CHECK_GOOD;
	/* One that was seen to be elsewhere is not let go for being busy. */
	if (new == PROBE_UNKNOWN)
		limit_ms = check->strayed ? 2 * HOLD_MS : UNKNOWN_MS;
	if (waited_ms < limit_ms)
		return CHECK_WAIT;
	return new == PROBE_UNUSED && elsewhere && check->needed ?
	    CHECK_BAD : CHECK_GOOD;
}

enum check_verdict
check_successor(struct check *check, const struct child_info *info,
    int64_t *again_ms, struct err *why)
{
	const struct child_info	*old = predecessor(check, info);
	enum probe_result	 result;
	enum check_verdict	 verdict;
	struct err		 elsewhere = { "" }, unused = { "" };
	int64_t			 waited_ms;

	if (old == NULL || !roster_at(check->roster, info->cell)->program)
		return CHECK_GOOD;
	if (check->held != info->generation) {
		check->held = info->generation;
		check->held_ms = clock_now_ms();
		check->needed = check->strayed = false;
	}
	waited_ms = clock_now_ms() - check->held_ms;
	result = ask_of(check, info, &elsewhere);
	verdict = judge(check, ask_of(check, old, &unused), result,
	    elsewhere.text[0] != '\0', waited_ms);
	*again_ms = waited_ms < LOOK_MIN_MS ? LOOK_MIN_MS :
	    waited_ms > LOOK_MAX_MS ? LOOK_MAX_MS : waited_ms;
	if (verdict == CHECK_BAD)
		err_set(why, "it listens on %.200s, not on the sockets that "
		    "it was given", elsewhere.text);
	return verdict;
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
