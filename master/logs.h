#ifndef MUSTER_LOGS_H
#define MUSTER_LOGS_H

#include <stdbool.h>

#include "common/err.h"

struct conf;

/*
 * Log where the configuration says. detached: a daemon that has let go of its
 * starter, for whom stderr means syslog. On failure the old log stays: -1
 * with err. A syslog that is not there is said on stderr, and no failure.
 */
int	logs_open(const struct conf *conf, bool detached, struct err *err);

/* Does b log elsewhere, or otherwise, than a? */
bool	logs_differ(const struct conf *a, const struct conf *b);

#endif
