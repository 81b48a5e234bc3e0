#ifndef MUSTER_SPAWN_H
#define MUSTER_SPAWN_H

#include <stdbool.h>

#include "common/err.h"

struct act;
struct board;
struct conf;
struct inbox;
struct listener_set;
struct pool;
struct report;

/*
 * From the pool's wish for a worker to the process. Wishes are collected and
 * forked back to back: between two forks as little as can be is written, for
 * after a fork the first write to each page costs a copy of it.
 */
struct spawner;

/* Borrows all. NULL with err. */
struct spawner	*spawner_new(const struct conf *conf,
		    struct listener_set *listeners, struct board *board,
		    const struct inbox *inbox, struct pool *pool,
		    struct report *report, struct err *err);
void		 spawner_free(struct spawner *spawner);

/* Take on an ACT_SPAWN. */
void		 spawner_add(struct spawner *spawner, const struct act *act);
/*
 * Fork all that were taken on; the pool is told of each. False: there were
 * none; else the pool may have more to do.
 */
bool		 spawner_flush(struct spawner *spawner);

#endif
