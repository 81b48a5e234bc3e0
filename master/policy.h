#ifndef MUSTER_POLICY_H
#define MUSTER_POLICY_H

#include "master/pool.h"

struct conf;

/* What the configuration says of the pool. Borrows fatal_exit_codes. */
struct pool_policy	 policy_of(const struct conf *conf);

#endif
