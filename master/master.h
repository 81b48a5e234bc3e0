#ifndef MUSTER_MASTER_H
#define MUSTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct conf;
struct daemon_parent;
struct listener_set;
struct master;

/*
 * All that lives as long as the master: loop, signals, pool. For those who
 * express wishes or move the whole.
 */
enum wish { WISH_FAST_STOP, WISH_STOP, WISH_RELOAD, WISH_UPGRADE, WISH_SCALE,
	WISH_REOPEN, WISH_DRAIN };

/*
 * Build the loop around the signals (sigq.h). Borrows conf and listeners; parent,
 * of daemon_start() or NULL, is told when the pool is ready. NULL with err.
 */
struct master	*master_new(const struct conf *conf,
		    struct listener_set *listeners, struct daemon_parent *parent,
		    struct err *err);
void		 master_free(struct master *master);

/*
 * Change what is wanted: the one road for signals, and for whoever else may
 * ask. arg is WISH_SCALE's number of workers, more or fewer.
 */
void		 master_request(struct master *master, enum wish wish,
		    int64_t arg);

/* Until the pool has ended. Returns the exit code (interface: 0, 1, 71, 75). */
int		 master_run(struct master *master);

#endif
