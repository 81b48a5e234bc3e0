#include "master/check.h"

#include <sys/stat.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/conf.h"
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
/* So long a successor is asked where nothing says that it is needed. */
#define HOLD_MS		(FIRST_MS + AGAIN_MS)
/* Just ready it may still be running, of which nothing can be told. */
#define UNKNOWN_MS	300
/* Where there is no ready_timeout. */
#define LOAD_MS		60000
/* Looks are ever more rare. */
#define LOOK_MIN_MS	20
#define LOOK_MAX_MS	500

struct check {
	const struct generations *generations;
	struct pool		*pool;
	struct roster		*roster;
	struct event		*timer;		/* or NULL: no memory for it */
	int			 generation;
	bool			 suspect;	/* the one asked again */
	/* Of the generation whose successors were asked last. */
	int			 held;
	bool			 needed;	/* who is there uses them */
	bool			 strayed;	/* one was seen elsewhere */
	bool			 blind;		/* nothing can be told of them */
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
	    log_str("msg", elsewhere[0] != '\0' ? "it is ready, but does not "
	    "use the sockets that it was given: does its command line tell it "
	    "to?" : "it is ready, but does not use the sockets that it was "
	    "given: does its command line tell it to, or does it still load, "
	    "longer than [worker] ready says?"));
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

/* Whom it is to replace, or NULL. */
static const struct child_info *
predecessor(const struct check *check, const struct child_info *info)
{
	struct slot_info	 slot;

	if (!pool_slot(check->pool, info->slot, &slot) ||
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

/* Nobody is known to use them: then they may not be there to be used. */
static enum check_verdict
judge_unneeded(enum probe_result old, enum probe_result new, int64_t waited_ms)
{
	int64_t	 limit_ms = old == PROBE_UNUSED || new == PROBE_UNKNOWN ?
		    UNKNOWN_MS : HOLD_MS;

	return waited_ms < limit_ms ? CHECK_WAIT : CHECK_GOOD;
}

/*
 * Who is there uses them, and this one does not yet: it loads. One that was
 * seen to be elsewhere is not let go for being busy at another look.
 */
static enum check_verdict
judge_needed(struct check *check, enum probe_result new, bool elsewhere,
    int64_t waited_ms, bool timed_out)
{
	if (elsewhere && waited_ms >= HOLD_MS)
		return CHECK_BAD;
	if (new == PROBE_UNKNOWN && check->blind && waited_ms >= UNKNOWN_MS)
		return CHECK_GOOD;
	if (!timed_out)
		return CHECK_WAIT;
	if (new == PROBE_UNUSED || check->strayed)
		return CHECK_BAD;
	check->blind = true;
	return CHECK_GOOD;
}

static bool
timed_out(const struct check *check, const struct child_info *info,
    int64_t now_ms)
{
	int64_t	 limit_ms = generations_of(check->generations,
		    info->generation)->conf->worker.ready_timeout;

	return now_ms - info->spawned_ms >= (limit_ms == 0 ? LOAD_MS :
	    limit_ms);
}

static void
say_why(const struct err *elsewhere, struct err *why)
{
	if (elsewhere->text[0] != '\0')
		err_set(why, "it listens on %.200s, not on the sockets that "
		    "it was given", elsewhere->text);
	else
		err_set(why, "it does not use the sockets that it was given, "
		    "as the one in its place does");
}

enum check_verdict
check_successor(struct check *check, const struct child_info *info,
    int64_t *again_ms, struct err *why)
{
	const struct child_info	*old = predecessor(check, info);
	struct entry		*entry = roster_at(check->roster, info->cell);
	enum probe_result	 new, other;
	enum check_verdict	 verdict;
	struct err		 elsewhere = { "" }, unused = { "" };
	int64_t			 now_ms = clock_now_ms(), waited_ms;

	if (old == NULL || !entry->program)
		return CHECK_GOOD;
	if (check->held != info->generation)
		check->needed = check->strayed = check->blind = false;
	check->held = info->generation;
	if (entry->held_ms == 0)
		entry->held_ms = now_ms;
	waited_ms = now_ms - entry->held_ms;
	if ((new = ask_of(check, info, &elsewhere)) == PROBE_USED)
		return CHECK_GOOD;
	check->strayed |= elsewhere.text[0] != '\0';
	other = ask_of(check, old, &unused);
	check->needed |= other == PROBE_USED;
	verdict = !check->needed ? judge_unneeded(other, new, waited_ms) :
	    judge_needed(check, new, elsewhere.text[0] != '\0', waited_ms,
	    timed_out(check, info, now_ms));
	*again_ms = waited_ms < LOOK_MIN_MS ? LOOK_MIN_MS :
	    waited_ms > LOOK_MAX_MS ? LOOK_MAX_MS : waited_ms;
	if (verdict == CHECK_BAD)
		say_why(&elsewhere, why);
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
