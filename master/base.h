#ifndef MUSTER_BASE_H
#define MUSTER_BASE_H

#include "common/err.h"

/*
 * The master's event loop: its priorities are those of supervise.h, signals
 * are looked for after a few callbacks, and what libevent complains of is
 * logged. NULL with err.
 */
struct event_base	*base_open(struct err *err);

#endif
