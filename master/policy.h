#ifndef MUSTER_POLICY_H
#define MUSTER_POLICY_H

#include "master/pool.h"

struct conf;
struct listener_set;

/*
 * What the configuration says of the pool, and what the sockets allow. Borrows
 * fatal_exit_codes.
 */
struct pool_policy	 policy_of(const struct conf *conf,
			    const struct listener_set *sockets);

#endif
