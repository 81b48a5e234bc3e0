#include <string.h>

#include "master/sigq.h"

/* Of counters that somebody else wrote: they may say anything. */

/* More of one kind than any time between two turns brings. */
#define ABSURD	1000000

bool
sigq_left(const struct sigq_counters *from, const struct sigq_noted *noted,
    struct sigq_pending *pending)
{
	uint32_t	 taken, left;
	bool		 ok = true;
	int		 i;

	memset(pending, 0, sizeof(*pending));
	for (i = 0; i < 2 * SIGQ_ROOM; i++) {
		/* Noted at once, or with the pool: the later of both. */
		taken = from->kinds[i / 2].taken[i % 2];
		if ((int32_t)(noted->taken[i / 2][i % 2] - taken) > 0)
			taken = noted->taken[i / 2][i % 2];
		left = from->kinds[i / 2].came[i % 2] - taken;
		if (left <= ABSURD)
			pending->came[i / 2][i % 2] = left;
		else
			ok = false;
	}
	left = from->valid;
	if (left <= ABSURD && from->scale_sum >= -(int64_t)left *
	    SIGQ_VALUE_MAX && from->scale_sum <= (int64_t)left *
	    SIGQ_VALUE_MAX) {
		pending->scales = left;
		pending->scale_sum = from->scale_sum;
	} else
		ok = false;
	return ok;
}
