#ifndef MUSTER_SPAWN_H
#define MUSTER_SPAWN_H

#include <stdbool.h>

#include "common/err.h"

struct acks;
struct act;
struct board;
struct captures;
struct generations;
struct inbox;
struct mailroom;
struct mirror;
struct pool;
struct report;
struct roster;
struct saved;

/*
 * From the pool's wish for a worker to the process, a built-in app's or a
 * program's. Wishes are collected and forked back to back: between two forks
 * as little as can be is written, for after a fork the first write to each
 * page costs a copy of it.
 */
struct spawner;

struct spawn_parts {		/* all borrowed */
	struct generations	*generations;
	char *const		*environment;	/* at our start */
	struct board		*board;
	const struct inbox	*inbox;
	struct mailroom		*mailroom;
	struct acks		*acks;
	struct captures		*captures;
	struct roster		*roster;
	struct mirror		*mirror;
	struct pool		*pool;
	struct report		*report;
	const int		*life;	/* a pipe, ours to keep; NULL: make one */
};

/* NULL with err. */
struct spawner	*spawner_new(const struct spawn_parts *parts,
		    struct err *err);
void		 spawner_free(struct spawner *spawner);

/* Take on an ACT_SPAWN. */
void		 spawner_add(struct spawner *spawner, const struct act *act);
/*
 * Fork all that were taken on; the pool is told of each. False: there were
 * none; else the pool may have more to do.
 */
bool		 spawner_flush(struct spawner *spawner);

/* The life pipe: workers hold the first, its end of file is our death. */
const int	*spawner_life(const struct spawner *spawner);

#endif
