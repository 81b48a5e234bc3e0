#include "master/generation.h"

#include <stdlib.h>

#include "common/conf.h"
#include "common/mem.h"
#include "master/listener.h"

struct generations {
	struct generation	*first;		/* the newest */
	struct generation	*now;		/* in force */
	struct generation	*proven;	/* the newest that is; or NULL */
	struct generation	*pruned;	/* to be buried */
};

struct generations *
generations_new(void)
{
	return xcalloc(1, sizeof(struct generations));
}

static void
generation_free(struct generation *generation)
{
	conf_free(generation->conf);
	listener_set_drop(generation->sockets);
	free(generation);
}

static bool
free_list(struct generation **list)
{
	struct generation	*generation;
	bool			 any = *list != NULL;

	while ((generation = *list) != NULL) {
		*list = generation->next;
		generation_free(generation);
	}
	return any;
}

void
generations_free(struct generations *all)
{
	if (all == NULL)
		return;
	free_list(&all->first);
	free_list(&all->pruned);
	free(all);
}

struct generation *
generations_add(struct generations *all, int nr, struct conf *conf,
    struct listener_set *sockets)
{
	struct generation	*generation = xcalloc(1, sizeof(*generation));

	*generation = (struct generation){ .nr = nr, .conf = conf,
	    .sockets = sockets, .next = all->first };
	all->first = all->now = generation;
	return generation;
}

struct generation *
generations_now(const struct generations *all)
{
	return all->now;
}

static struct generation *
find(const struct generations *all, int nr)
{
	struct generation	*generation = all->first;

	while (generation != NULL && generation->nr != nr)
		generation = generation->next;
	return generation;
}

struct generation *
generations_of(const struct generations *all, int nr)
{
	struct generation	*generation = find(all, nr);

	return generation == NULL ? all->now : generation;
}

void
generations_go_back(struct generations *all, int nr)
{
	all->now = generations_of(all, nr);
}

void
generations_born(struct generations *all, int nr)
{
	generations_of(all, nr)->workers++;
}

void
generations_died(struct generations *all, int nr)
{
	struct generation	*generation = find(all, nr);

	if (generation != NULL && generation->workers > 0)
		generation->workers--;
}

bool
generations_proved(struct generations *all, int nr)
{
	struct generation	*generation = find(all, nr);

	if (generation == NULL || generation->proven)
		return false;
	generation->proven = true;
	if (all->proven == NULL || all->proven->nr < nr)
		all->proven = generation;
	return true;
}

/* A reload that fails goes back to the newest one that is proven. */
static bool
needed(const struct generations *all, const struct generation *generation)
{
	return generation->workers > 0 || generation == all->now ||
	    generation == all->proven;
}

bool
generations_prune(struct generations *all)
{
	struct generation	**at = &all->first, *generation;
	bool			 any = false;

	while ((generation = *at) != NULL) {
		if (needed(all, generation)) {
			at = &generation->next;
			continue;
		}
		*at = generation->next;
		generation->next = all->pruned;
		all->pruned = generation;
		any = true;
	}
	return any;
}

bool
generations_bury(struct generations *all)
{
	return free_list(&all->pruned);
}

struct generation *
generations_first(const struct generations *all)
{
	return all->first;
}
