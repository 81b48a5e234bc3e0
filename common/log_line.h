#ifndef MUSTER_LOG_LINE_H
#define MUSTER_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/log.h"

/*
 * One line of the log, from an event and its fields. Pure: it allocates
 * nothing, knows no locale and no time zone, and any bytes are survived.
 */
#define LOG_LINE_MAX	4096	/* with the newline; what a pipe takes whole */
#define LOG_LINE_HEAD	31	/* "2026-11-21T10:15:02.123Z info  ", in text */

struct log_line {
	char	text[LOG_LINE_MAX];
	size_t	len;		/* with the newline; not NUL-terminated */
	size_t	max;		/* of len, for this line */
};

/*
 * Build a line of max bytes at most, which is LOG_LINE_MAX or somewhat less.
 * Long values are cut and end with "...", so that every field is there and
 * JSON stays valid.
 */
void	log_line_build(struct log_line *line, size_t max,
	    enum log_format format, const struct timespec *when,
	    const struct event_row *row, const struct log_field *fields);

/* The same in steps: fields may be added as often as one likes. */
void	log_line_begin(struct log_line *line, size_t max,
	    enum log_format format, const struct timespec *when,
	    const struct event_row *row);
void	log_line_fields(struct log_line *line, enum log_format format,
	    const struct log_field *fields);
void	log_line_end(struct log_line *line, enum log_format format);

/* Does the event's row list every one of the fields? */
bool	log_line_fits(const struct event_row *row,
	    const struct log_field *fields);

/*
 * Take over a line that another process has built. What could forge a second
 * line or steer a terminal is escaped; the rest is left as it is.
 */
void	log_line_relay(struct log_line *line, const char *text, size_t len);

/* The level's name, "info"; and the level of a name of len bytes, or -1. */
const char	*log_level_name(enum log_level level);
int		 log_level_find(const char *name, size_t len);

#endif
