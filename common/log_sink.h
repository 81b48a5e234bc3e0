#ifndef MUSTER_LOG_SINK_H
#define MUSTER_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/events.h"

/*
 * Where lines go: stderr, a file, syslog, or, in a worker, to the master.
 * Nothing here waits for a reader or a disk: what does not go at once does
 * not go. There is one sink, to begin with stderr.
 */

/*
 * Turn to target: "stderr", "syslog" or a file's path; ident is syslog's tag.
 * Both are copied. On failure the old sink stays: -1 with err.
 * log_sink_reopen() opens a file anew, by the same rules.
 */
int	log_sink_open(const char *target, const char *ident, struct err *err);
int	log_sink_reopen(struct err *err);

/*
 * Turn to fd, the worker's end of the channel to the master, or to stderr
 * once nobody holds the other end. What was open stays so: its number may
 * be another's by now.
 */
void	log_sink_to_master(int fd);

/* How long a line may be here, with its newline. */
size_t	log_sink_room(void);

/* May several lines be written as one, if they have room in it? */
bool	log_sink_joins(void);

/* Write a line, which ends in a newline. False if it is lost, whole or torn. */
bool	log_sink_write(enum log_level level, const char *line, size_t len);

/* The descriptor that lines go to, or -1. */
int	log_sink_fd(void);

/* Where syslog listens, for tests; borrowed. Used from the next opening on. */
void	log_sink_syslog_path(const char *path);

#endif
