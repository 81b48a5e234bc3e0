#ifndef MUSTER_START_H
#define MUSTER_START_H

#include "master/heal.h"

struct conf;
struct options;

/*
 * From a configuration to a running master and back to an exit code. Each
 * returns that code; what went wrong was said on stderr.
 */

/* The first start. Takes over conf. */
int	start_fresh(const struct options *options, struct conf *conf);

/* Go on where another image of this master was; see enum heal_how. */
int	start_again(const struct options *options,
	    const struct heal_origin *origin);

/* A trial: could we go on from there? The answer goes to its reply_fd. */
int	start_trial(const struct options *options,
	    const struct heal_origin *origin);

#endif
