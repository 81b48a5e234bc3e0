#ifndef MUSTER_LOG_H
#define MUSTER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/events.h"

/*
 * One event a line: a name from events.h and typed fields, to stderr, a file
 * or syslog, as text or JSON:
 *
 *	log_event(EV_WORKER_READY, log_int("slot", 1), log_int("pid", pid));
 *
 * Nothing here allocates, blocks or fails: a line that cannot be written at
 * once is counted, and the count is logged when writing works again. errno
 * is kept.
 */
enum log_format { LOG_TEXT, LOG_JSON };

enum log_field_kind { LOG_FIELD_END, LOG_FIELD_INT, LOG_FIELD_STR,
	LOG_FIELD_BYTES, LOG_FIELD_US };

struct log_field {
	enum log_field_kind	 kind;
	const char		*name;
	int64_t			 number;
	const char		*text;	/* NULL skips the field */
};

static inline struct log_field
log_int(const char *name, int64_t number)
{
	return (struct log_field){ LOG_FIELD_INT, name, number, NULL };
}

static inline struct log_field
log_str(const char *name, const char *text)
{
	return (struct log_field){ LOG_FIELD_STR, name, 0, text };
}

/* len bytes of text, any of them; what JSON escapes is escaped. */
static inline struct log_field
log_bytes(const char *name, const char *text, size_t len)
{
	return (struct log_field){ LOG_FIELD_BYTES, name, (int64_t)len, text };
}

/* A duration: "3.2ms", "1.5s" in text, seconds as a number in JSON. */
static inline struct log_field
log_us(const char *name, int64_t us)
{
	return (struct log_field){ LOG_FIELD_US, name, us, NULL };
}

static inline struct log_field
log_ms(const char *name, int64_t ms)
{
	return log_us(name, ms * 1000);
}

/* errno's text now, as the field "error". */
struct log_field log_errno(void);

#define log_event(event, ...)						\
	log_fields((event), (const struct log_field[]){			\
	    __VA_ARGS__ __VA_OPT__(,) { LOG_FIELD_END, NULL, 0, NULL } })

/*
 * Fields end with LOG_FIELD_END; assert(3) refuses one that the event's row
 * does not list. An event below the level is skipped.
 */
void	log_fields(enum event_id event, const struct log_field *fields);
bool	log_wants(enum log_level level);

/*
 * Many lines of one event in a row, such as a program prints: the time and
 * the fields that all of them have are put down once, and where lines may be
 * written together, they are.
 */
void	log_run_begin(enum event_id event, const struct log_field *shared);
void	log_run_line(const struct log_field *fields);
void	log_run_end(void);

/*
 * Lines wait in memory, in order, until log_release(), so that what is urgent
 * is done before it is told of. Not for long.
 */
void	log_hold(void);
void	log_release(void);

/*
 * For a crash handler: write those that wait to fd, which is what
 * log_rescue_fd() said before the crash; -1: nowhere, for syslog. Async-signal-
 * safe; what cannot be written at once is lost.
 */
void	log_rescue(int fd);
int	log_rescue_fd(void);

struct log_options {
	const char	*target;	/* "stderr", "syslog" or a file's path */
	const char	*ident;		/* syslog's tag: "muster" */
	enum log_level	 level;
	enum log_format	 format;
};

/*
 * Open the target; until then lines go to stderr as text at level info.
 * Strings are copied. On failure the old target stays: -1 with err. The
 * process has to ignore SIGPIPE and SIGXFSZ.
 */
int	log_open(const struct log_options *options, struct err *err);

/* Open the target's file anew, for log rotation; on failure the old stays. */
int	log_reopen(struct err *err);

/*
 * In a worker: lines go to the master as MUSTER_LOG datagrams over fd
 * (notify.h), or to stderr once the master is gone. The descriptor used
 * before is not closed: that is left to fd_close_except().
 */
void	log_to_master(int fd);

/*
 * Write a worker's finished line, "LEVEL REST" of len bytes, as REST; control
 * bytes and what is not UTF-8 are escaped, and its length is bounded.
 */
void	log_relay(const char *line, size_t len);

/* Are there lost lines to be told of? Then log_retry() tries to. */
bool	log_lossy(void);
void	log_retry(void);

/* The descriptor that lines go to, or -1: for those who close all others. */
int	log_fd(void);

#endif
