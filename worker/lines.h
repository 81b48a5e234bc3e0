#ifndef MUSTER_LINES_H
#define MUSTER_LINES_H

#include <stddef.h>

/*
 * Cutting a stream of bytes into lines. Pure: it looks at bytes, copies none
 * and keeps nothing. A line ends with LF or CR LF; any other byte, NUL
 * included, is text.
 */
struct lines_rule {
	size_t		 max;		/* of text, without the ending */
	const char	*fault;		/* a line that must fail; NULL: none */
	size_t		 fault_len;
};

enum lines_end {
	LINES_MORE,	/* the rest is an unfinished line, or nothing */
	LINES_LONG,	/* then comes a line with more text than max */
	LINES_FAULT,	/* then comes the fault line */
};

struct lines_cut {
	size_t		 count;		/* whole lines */
	size_t		 used;		/* bytes of data that they take */
	enum lines_end	 end;
};

/*
 * Cut data, which goes on where held ended; held is the beginning of a line
 * and has no LF. The first of the counted lines begins with held; when none
 * is counted, held still waits for its end.
 */
void	lines_cut(const struct lines_rule *rule, const char *held,
	    size_t nheld, const char *data, size_t len, struct lines_cut *cut);

#endif
