#include "master/restore.h"

#include <stdlib.h>
#include <sysexits.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/policy.h"
#include "master/pool_rows.h"
#include "master/pool_save.h"
#include "master/saved.h"

int
restore_check(const struct saved *saved, struct err *err)
{
	if (saved->setup == NULL || !saved->has_pool ||
	    saved->setup->ngenerations == 0)
		return err_set(err, "the state is not complete");
	return 0;
}

/* ---- a trial */

static struct conf *
conf_of(const struct setup_generation *from, struct err *err)
{
	struct conf_errors	 errors = { 0 };
	struct conf		*conf;

	conf = conf_load_text(from->conf, from->conf_len, true, &errors);
	if (conf != NULL)
		return conf;
	err_set(err, "the configuration of generation %d: %s", from->nr,
	    errors.lines[0]);
	conf_errors_free(&errors);
	return NULL;
}

static void
ignore_tell(void *arg, const struct pool_tell *tell)
{
	(void)arg;
	(void)tell;
}

static int
try_pool(const struct saved *saved, const struct conf *conf, struct err *err)
{
	struct pool_policy	 policy = policy_of(conf, NULL);
	struct pool_rows	 rows = { &saved->pool, saved->slots,
				    saved->nslots, saved->pool_children,
				    saved->nchildren };
	struct pool		*pool;

	pool = pool_restore(&policy, &rows, false, 0, ignore_tell, NULL,
	    clock_now_ms(), err);
	pool_free(pool);
	return pool == NULL ? -1 : 0;
}

int
restore_try(const struct saved *saved, struct err *err)
{
	struct conf	*conf;
	size_t		 i;
	int		 result;

	if ((result = restore_check(saved, err)) == -1)
		return -1;
	for (i = 0; result == 0 && i < saved->setup->ngenerations; i++) {
		conf = conf_of(&saved->setup->generations[i], err);
		result = conf == NULL ? -1 : try_pool(saved, conf, err);
		conf_free(conf);
	}
	return result;
}

/* ---- for good */

/* The listeners that were restored, held until all sets have them. */
struct held {
	struct listener		**list;		/* owned */
	size_t			 count;
	struct err		 err;		/* why one is not among them */
};

static void
let_go(struct held *held)
{
	size_t	 i;

	for (i = 0; i < held->count; i++)
		listener_drop(held->list[i]);
	free(held->list);
}

/* It was closed, and its file removed, in a turn that a crash cut off. */
static bool
folder_is_gone(const struct saved *saved, int fd)
{
	size_t	 i;

	for (i = 0; i < saved->nkeeps; i++)
		if (saved->keeps[i].fd == fd)
			return saved->keeps[i].kind != KEEP_DIR;
	return true;
}

/*
 * One that is not there any more was about to be closed with its generation,
 * which nobody needs; else restore_one() misses it.
 */
static void
restore_listeners(const struct saved *saved, struct held *held)
{
	const struct setup_saved	*setup = saved->setup;
	const struct setup_listener	*from;
	struct listener_saved		 row;
	struct listener			*listener;
	size_t				 i;

	held->list = xcalloc(setup->nlisteners + 1, sizeof(*held->list));
	for (i = 0; i < setup->nlisteners; i++) {
		from = &setup->listeners[i];
		row = from->saved;
		if (folder_is_gone(saved, row.dir))
			row.dir = -1;
		listener = listener_restore(&row, from->fds, from->nfds,
		    &held->err);
		if (listener != NULL)
			held->list[held->count++] = listener;
	}
}

static struct listener *
find(const struct held *held, uint32_t id)
{
	size_t	 i;

	for (i = 0; i < held->count; i++)
		if (listener_id(held->list[i]) == id)
			return held->list[i];
	return NULL;
}

static struct listener_set *
restore_set(const struct setup_generation *from, const struct held *held,
    struct err *err)
{
	struct listener		**list;
	const char		**names;
	struct listener_set	*set = NULL;
	bool			 all_there = true;
	size_t			 i;

	list = xcalloc(from->nmembers + 1, sizeof(*list));
	names = xcalloc(from->nmembers + 1, sizeof(*names));
	for (i = 0; i < from->nmembers; i++) {
		list[i] = find(held, from->members[i].id);
		names[i] = from->members[i].name;
		all_there = all_there && list[i] != NULL;
	}
	if (all_there)
		set = listener_set_restore(list, names, from->nmembers, err);
	else
		*err = held->err;
	free(list);
	free(names);
	return set;
}

/* It is in force, is gone back to, or has a worker. */
static bool
is_needed(const struct saved *saved, int32_t nr)
{
	size_t	 i;

	for (i = 0; i < saved->nchildren; i++)
		if (saved->pool_children[i].generation == nr)
			return true;
	return nr == saved->setup->master.generation ||
	    nr == saved->pool.generation || nr == saved->pool.proven;
}

static int
restore_one(struct generations *all, const struct saved *saved,
    const struct setup_generation *from, const struct held *held,
    struct err *err)
{
	struct listener_set	*set;
	struct conf		*conf;

	if ((conf = conf_of(from, err)) == NULL)
		return -1;
	if ((set = restore_set(from, held, err)) == NULL) {
		conf_free(conf);
		return is_needed(saved, from->nr) ? -1 : 0;
	}
	generations_add(all, from->nr, conf, set);
	return 0;
}

struct generations *
restore_generations(const struct saved *saved, struct err *err)
{
	const struct setup_saved	*setup = saved->setup;
	struct generations		*all = generations_new();
	struct held			 held = { .count = 0 };
	size_t				 i;
	int				 result = 0;

	restore_listeners(saved, &held);
	/* They were written the newest first. */
	for (i = setup->ngenerations; result == 0 && i > 0; i--)
		result = restore_one(all, saved, &setup->generations[i - 1],
		    &held, err);
	if (result == -1)
		return NULL;	/* as restore_may_undo() says */
	let_go(&held);
	generations_go_back(all, setup->master.generation);
	generations_proved(all, saved->pool.proven);
	return all;
}

bool
restore_may_undo(const struct saved *saved)
{
	return saved == NULL;
}

/* ---- the end of an end */

bool
restore_ended(const struct saved *saved)
{
	return saved->has_pool && saved->pool.phase == POOL_ENDED;
}

struct conf *
restore_farewell(const struct saved *saved, struct err *err)
{
	const struct setup_saved	*setup = saved->setup;
	struct held			 held = { .count = 0 };
	size_t				 i;

	restore_listeners(saved, &held);
	let_go(&held);
	for (i = 0; i < setup->ngenerations; i++)
		if (setup->generations[i].nr == setup->master.generation)
			return conf_of(&setup->generations[i], err);
	return conf_of(&setup->generations[0], err);
}

int
restore_exit_code(const struct saved *saved)
{
	if ((saved->pool.flags & POOL_GAVE_UP) != 0)
		return EX_TEMPFAIL;
	return (saved->pool.flags & POOL_KILLED_ANY) != 0 ? EXIT_FAILURE : 0;
}
