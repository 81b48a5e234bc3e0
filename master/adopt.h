#ifndef MUSTER_ADOPT_H
#define MUSTER_ADOPT_H

#include "common/err.h"

struct conf;
struct listener_set;
struct survivors;

/*
 * The sockets of conf, those that survivors of a killed master hold taken
 * over from them, so that nobody who waits in their queues is lost; the rest
 * is bound anew. Survivors of another user, and those that hold none of them,
 * are dropped from the list. Where each slot had a socket (accept =
 * reuseport), all of them are taken, and are shared from then on. The set is
 * applied. NULL with err, also if we may not take what survivors hold.
 */
struct listener_set	*adopt_sockets(struct survivors *survivors,
			    const struct conf *conf, struct err *err);

#endif
