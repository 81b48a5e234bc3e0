#ifndef MUSTER_LOG_HELD_H
#define MUSTER_LOG_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/events.h"

/*
 * Lines that wait for log_release(), in order, in memory of a fixed size.
 * Nothing here fails or allocates.
 */
struct held_line {
	enum log_level	 level;
	const char	*text;		/* borrowed; with its newlines */
	size_t		 len;
	int64_t		 lines;		/* in text */
};

/* False: there is no room left for it. */
bool	log_held_add(const struct held_line *line);

/* The next one, from *at on, which is 0 to begin with; false: no more. */
bool	log_held_next(size_t *at, struct held_line *line);

/* None is there any more. */
void	log_held_clear(void);

#endif
