#ifndef MUSTER_CAPTURE_H
#define MUSTER_CAPTURE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct event_base;

/*
 * What programs print: one pipe a worker takes its stdout and stderr to the
 * log, a line an event, "worker.output". The worker is never kept waiting for
 * the log: what that cannot take is lost there, and counted. The last lines
 * stay in memory for whoever asks why the worker died, at whatever level the
 * log is. Any bytes are survived; a worker that prints nothing costs next to
 * nothing, one that prints without end no more than the limits below.
 */
#define CAPTURE_LINE		4096	/* bytes of a line; the rest is counted */
#define CAPTURE_KEEP		16384	/* bytes kept a worker, line ends too */
#define CAPTURE_KEEP_LINES	50

struct captures;	/* all of them */
struct capture;		/* one worker's */
/* len bytes, any, without the line's end; not NUL-terminated. */
typedef void	 capture_line_fn(void *arg, const char *line, size_t len);

/* NULL with err. */
struct captures	*captures_new(struct event_base *base, int priority,
		    struct err *err);
void		 captures_free(struct captures *captures);

/* Before the spawn; the caller closes write_end after it. NULL with err. */
struct capture	*capture_open(struct captures *captures, int *write_end,
		    struct err *err);
/* Whose it is; read from now on. */
void		 capture_own(struct capture *c, int slot, pid_t pid,
		    int generation);
/*
 * The worker is gone: read what is left in the pipe and end an unfinished
 * line. Nothing is read after it, even if others hold the pipe open.
 */
void		 capture_finish(struct capture *c);
/* The last lines, oldest first; how many there were. */
size_t		 capture_last(const struct capture *c, capture_line_fn *each,
		    void *arg);
void		 capture_close(struct capture *c);

/*
 * To outlive an exec of the master: ours, the end that is read. What was kept
 * is lost. fd has to be that of a pipe; with NULL it stays the caller's.
 */
int		 capture_fd(const struct capture *c);
struct capture	*capture_restore(struct captures *captures, int fd, int slot,
		    pid_t pid, int generation, struct err *err);

#endif
