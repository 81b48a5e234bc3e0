#ifndef MUSTER_MASTER_H
#define MUSTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "master/heal.h"

struct conf_source;
struct daemon_parent;
struct generations;
struct master;
struct mirror;
struct saved;
struct setup_master;
struct survivors;

/*
 * All that lives as long as the master: loop, signals, pool. For those who
 * express wishes or move the whole.
 */
enum wish { WISH_FAST_STOP, WISH_STOP, WISH_RELOAD, WISH_UPGRADE, WISH_SCALE,
	WISH_REOPEN, WISH_DRAIN };

struct master_parts {		/* all borrowed */
	struct generations		*generations;
	const struct conf_source	*source;
	struct daemon_parent		*parent;	/* of daemon_start(), or NULL */
	struct mirror			*mirror;
	struct setup_master		*figures;	/* what goes into it */
	const struct saved		*saved;		/* till master_new() is over */
	struct survivors		*survivors;	/* likewise; or NULL */
	enum heal_how			 how;
};

/* Build the loop around the signals (sigq.h). NULL with err. */
struct master	*master_new(const struct master_parts *parts,
		    struct err *err);
void		 master_free(struct master *master);

/*
 * Change what is wanted: the one road for signals, and for whoever else may
 * ask. arg is WISH_SCALE's number of workers, more or fewer.
 */
void		 master_request(struct master *master, enum wish wish,
		    int64_t arg);

/* Until the pool has ended. Returns the exit code (interface: 0, 1, 70, 71, 75). */
int		 master_run(struct master *master);

/* Why no worker ever became ready: what 75 stands for. Any bytes. */
const char	*master_verdict(const struct master *master);

#endif
