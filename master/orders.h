#ifndef MUSTER_ORDERS_H
#define MUSTER_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"

/*
 * What the signals of one turn ask for, told from where they came: a signal
 * that a terminal raised is not an operator's.
 */
struct orders_context {
	const enum effect	*effects;	/* by enum conf_signal */
	bool			 had_terminal;	/* at the start */
	bool			(*has_terminal)(void);	/* still? Asked at a HUP */
};

struct orders {
	unsigned	 fast_stops, stops, deaths, reloads, upgrades;
	bool		 scaled;
	int64_t		 scale;		/* the sum of all, not clamped */
	unsigned	 reopens, drains;
};

/*
 * Read the records for the log, take the counters for the orders: what the
 * pipe had no room for counts all the same.
 */
void	orders_take(const struct orders_context *context,
	    struct orders *orders);

/* What a signal of this kind does, coming from a process or the kernel. */
enum effect orders_effect(const struct orders_context *context, int kind,
	    bool by_kernel);

#endif
