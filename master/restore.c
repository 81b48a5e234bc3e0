#include "master/restore.h"

#include <stdlib.h>

#include "common/conf.h"
#include "common/mem.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/saved.h"

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
	struct conf_errors	 errors = { 0 };
	struct listener_set	*set;
	struct conf		*conf;

	conf = conf_load_text(from->conf, from->conf_len, true, &errors);
	if (conf == NULL) {
		err_set(err, "the configuration of generation %d: %s",
		    from->nr, errors.lines[0]);
		conf_errors_free(&errors);
		return -1;
	}
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
	let_go(&held);
	if (result == 0 && setup->ngenerations == 0)
		result = err_set(err, "there is no configuration");
	if (result == -1) {
		generations_free(all);
		return NULL;
	}
	generations_go_back(all, setup->master.generation);
	if (saved->has_pool)
		generations_proved(all, saved->pool.proven);
	return all;
}
