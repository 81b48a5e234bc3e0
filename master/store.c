#include "master/store.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/listener.h"
#include "master/systemd.h"

struct store {
	struct systemd	*systemd;
	size_t		 room;
	char		**names;	/* owned: what it keeps */
	size_t		 count;
	bool		 full;		/* said once */
};

/* The name of the nth; false: it is not one to be kept. */
static bool
name_of(const struct listener_set *set, size_t nr,
    char out[LISTENER_STORE_NAME])
{
	const char	*name;
	struct listener	*listener = listener_set_nth(set, nr, &name);

	return listener_store_name(listener, name, out);
}

static bool
is_in(const struct listener_set *set, const char *name)
{
	char	 other[LISTENER_STORE_NAME];

	for (size_t i = 0; i < listeners_count(set); i++)
		if (name_of(set, i, other) && strcmp(name, other) == 0)
			return true;
	return false;
}

static bool
is_kept(const struct store *store, const char *name)
{
	for (size_t i = 0; i < store->count; i++)
		if (strcmp(store->names[i], name) == 0)
			return true;
	return false;
}

static void
forget(struct store *store, size_t nr)
{
	systemd_unstore(store->systemd, store->names[nr]);
	free(store->names[nr]);
	store->names[nr] = store->names[--store->count];
}

static void
keep(struct store *store, const struct listener *listener, const char *name)
{
	int	 fd = listener_fd(listener, 0);

	if (store->count == store->room) {
		if (!store->full)
			log_event(EV_SYSTEMD_NOTE, log_str("msg",
			    "the service manager keeps fewer sockets than "
			    "there are: see FileDescriptorStoreMax"));
		store->full = true;
		return;
	}
	systemd_store(store->systemd, &fd, &name, 1);
	store->names = xreallocarray(store->names, store->count + 1,
	    sizeof(*store->names));
	store->names[store->count++] = xstrdup(name);
}

/* First out, then in: a socket under another name is the same to it. */
void
store_set(struct store *store, const struct listener_set *now)
{
	char		 name[LISTENER_STORE_NAME];
	const char	*plain;

	if (store == NULL)
		return;
	for (size_t i = store->count; i-- > 0;)
		if (!is_in(now, store->names[i]))
			forget(store, i);
	for (size_t i = 0; i < listeners_count(now); i++)
		if (name_of(now, i, name) && !is_kept(store, name))
			keep(store, listener_set_nth(now, i, &plain), name);
}

/*
 * An image before us may have had some kept that are being closed; and the
 * start has found some that nobody asks for.
 */
static void
forget_others(struct systemd *systemd, const struct listener_set *now)
{
	char		 name[LISTENER_STORE_NAME];
	struct listener	*l = NULL;
	const char	*other;

	for (size_t i = 0; (other = listeners_unwanted(i)) != NULL; i++)
		systemd_unstore(systemd, other);
	while ((l = listener_next(l)) != NULL)
		if (!listener_set_has(now, l) &&
		    listener_store_name(l, listener_name(l), name))
			systemd_unstore(systemd, name);
}

struct store *
store_new(struct systemd *systemd, const struct listener_set *now)
{
	struct store	*store;
	int		 room = systemd_room(systemd);

	if (room <= 0)
		return NULL;
	store = xcalloc(1, sizeof(*store));
	store->systemd = systemd;
	store->room = (size_t)room;
	forget_others(systemd, now);
	store_set(store, now);
	return store;
}

void
store_free(struct store *store)
{
	if (store == NULL)
		return;
	for (size_t i = 0; i < store->count; i++)
		free(store->names[i]);
	free(store->names);
	free(store);
}
