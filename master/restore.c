#include "master/restore.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/policy.h"
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
};

static void
let_go(struct held *held)
{
	size_t	 i;

	for (i = 0; i < held->count; i++)
		listener_drop(held->list[i]);
	free(held->list);
}

static int
restore_listeners(const struct setup_saved *setup, struct held *held,
    struct err *err)
{
	const struct setup_listener	*from;
	struct listener			*listener;
	size_t				 i;

	held->list = xcalloc(setup->nlisteners + 1, sizeof(*held->list));
	for (i = 0; i < setup->nlisteners; i++) {
		from = &setup->listeners[i];
		listener = listener_restore(&from->saved, from->fds,
		    from->nfds, err);
		if (listener == NULL)
			return -1;
		held->list[held->count++] = listener;
	}
	return 0;
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
	struct listener_set	*set;
	size_t			 i;

	list = xcalloc(from->nmembers + 1, sizeof(*list));
	names = xcalloc(from->nmembers + 1, sizeof(*names));
	for (i = 0; i < from->nmembers; i++) {
		list[i] = find(held, from->members[i].id);
		names[i] = from->members[i].name;
	}
	set = listener_set_restore(list, names, from->nmembers, err);
	free(list);
	free(names);
	return set;
}

static int
restore_one(struct generations *all, const struct setup_generation *from,
    const struct held *held, struct err *err)
{
	struct listener_set	*set;
	struct conf		*conf;

	if ((conf = conf_of(from, err)) == NULL)
		return -1;
	if ((set = restore_set(from, held, err)) == NULL) {
		conf_free(conf);
		return -1;
	}
	generations_add(all, from->nr, conf, set);
	return 0;
}

struct generations *
restore_generations(const struct saved *saved, struct err *err)
{
	const struct setup_saved	*setup = saved->setup;
	struct generations		*all = generations_new();
	struct held			 held = { NULL, 0 };
	size_t				 i;
	int				 result;

	result = restore_listeners(setup, &held, err);
	/* They were written the newest first. */
	for (i = setup->ngenerations; result == 0 && i > 0; i--)
		result = restore_one(all, &setup->generations[i - 1], &held,
		    err);
	/* All stays open: the image before us may have to go on with it. */
	if (result == -1)
		return NULL;
	let_go(&held);
	generations_go_back(all, setup->master.generation);
	generations_proved(all, saved->pool.proven);
	return all;
}
