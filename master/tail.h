#ifndef MUSTER_TAIL_H
#define MUSTER_TAIL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The end of a stream, and its last lines: takes memory as it grows, up to
 * TAIL_MAX. All zero is an empty one.
 */
#define TAIL_MAX	16384	/* bytes, line ends too */

struct tail {
	char	*bytes;		/* owned */
	size_t	 size;		/* of bytes */
	size_t	 at;		/* where the next byte goes */
	bool	 full;		/* what lies from there on is the oldest */
};

typedef void	 tail_fn(void *arg, const char *line, size_t len);

void	tail_add(struct tail *tail, const char *data, size_t len);

/*
 * The last lines, count at most, oldest first, each without its "\n" or
 * "\r\n" and cut to max bytes; an unfinished one is a line, and so is the end
 * of one that is longer than all the memory. How many there were.
 */
size_t	tail_lines(const struct tail *tail, size_t count, size_t max,
	    tail_fn *each, void *arg);
void	tail_free(struct tail *tail);

#endif
