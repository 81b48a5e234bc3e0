#ifndef MUSTER_CONFINE_H
#define MUSTER_CONFINE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * What a worker may still do: limits, priority, user, group. The steps are
 * rows in the one order that works: what needs privileges comes before they
 * go, and that they are gone is checked.
 */
struct confine_step {
	const char	*name;
	bool		 fatal;		/* else a warning, and we go on */
	/* 0, also when nothing is to be done; -1 with err. */
	int		(*apply)(const struct conf *conf, int slot,
			    struct err *err);
};

extern const struct confine_step	confine_steps[];
extern const size_t			confine_count;

/*
 * Take all steps. Steps that may fail are logged (confine.note). -1 with err
 * if one failed without which the worker must not start.
 */
int	confine(const struct conf *conf, int slot, struct err *err);

/* cpu_affinity = auto: the slot's CPU of those allowed, or -1 if none is. */
int	confine_pick_cpu(const cpu_set_t *allowed, int slot);

#endif
