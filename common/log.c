#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log_held.h"
#include "common/log_line.h"
#include "common/log_sink.h"

static enum log_level	 log_level = LOG_LEVEL_INFO;
static enum log_format	 log_format = LOG_TEXT;
static int64_t		 lost;		/* lines since the last that went */

static bool		 holding;

/* A run of lines: what all begin with, and those that wait to be written. */
static struct {
	const struct event_row	*row;	/* NULL: there is none */
	bool		 wanted;
	struct log_line	 line;		/* the beginning, and one behind it */
	size_t		 begin;
	char		 text[LOG_LINE_MAX];
	size_t		 len;
	int64_t		 lines;
} run;

/* ---- writing */

static void	write_run(void);

/*
 * Say first how many lines are missing; that is said at any level, as they
 * may have been of any. False if it cannot be said yet.
 */
static bool
tell_lost(void)
{
	const struct event_row	*row = &event_rows[EV_LOG_LOST];
	const struct log_field	 fields[] = { log_int("lines", lost),
				    { LOG_FIELD_END, NULL, 0, NULL } };
	struct log_line		 line;
	struct timespec		 now;

	if (lost == 0)
		return true;
	clock_wall(&now);
	log_line_build(&line, log_sink_room(), log_format, &now, row, fields);
	if (!log_sink_write(row->level, line.text, line.len))
		return false;
	lost = 0;
	return true;
}

static void
write_lines(enum log_level level, const char *text, size_t len, int64_t lines)
{
	if (!tell_lost() || !log_sink_write(level, text, len))
		lost += lines;
}

static void
write_held(void)
{
	struct held_line	 line;
	size_t			 at = 0;

	while (log_held_next(&at, &line))
		write_lines(line.level, line.text, line.len, line.lines);
	log_held_clear();
}

/* Now, or with those that are held. */
static void
put_lines(enum log_level level, const char *text, size_t len, int64_t lines)
{
	const struct held_line	 line = { level, text, len, lines };

	if (holding && log_held_add(&line))
		return;
	write_held();
	if (!holding || !log_held_add(&line))
		write_lines(level, text, len, lines);
}

void
log_hold(void)
{
	holding = true;
}

void
log_release(void)
{
	int	 saved = errno;

	holding = false;
	write_held();
	errno = saved;
}

bool
log_wants(enum log_level level)
{
	return level <= log_level;
}

void
log_fields(enum event_id event, const struct log_field *fields)
{
	const struct event_row	*row = &event_rows[event];
	struct log_line		 line;
	struct timespec		 now;
	int			 saved = errno;

	/* Checked at any level, so that no mistake waits for "debug". */
	assert(log_line_fits(row, fields));
	if (log_wants(row->level)) {
		write_run();
		clock_wall(&now);
		log_line_build(&line, log_sink_room(), log_format, &now, row,
		    fields);
		put_lines(row->level, line.text, line.len, 1);
	}
	errno = saved;
}

/* ---- runs */

void
log_run_begin(enum event_id event, const struct log_field *shared)
{
	struct timespec	 now;

	assert(run.row == NULL && log_line_fits(&event_rows[event], shared));
	run.row = &event_rows[event];
	if (!(run.wanted = log_wants(run.row->level)))
		return;
	clock_wall(&now);
	log_line_begin(&run.line, log_sink_room(), log_format, &now, run.row);
	log_line_fields(&run.line, log_format, shared);
	run.begin = run.line.len;
}

static void
write_run(void)
{
	if (run.len > 0)
		put_lines(run.row->level, run.text, run.len, run.lines);
	run.len = 0;
	run.lines = 0;
}

void
log_run_line(const struct log_field *fields)
{
	int	 saved = errno;

	assert(log_line_fits(run.row, fields));
	if (!run.wanted)
		return;
	run.line.len = run.begin;
	log_line_fields(&run.line, log_format, fields);
	log_line_end(&run.line, log_format);
	if (run.len + run.line.len > sizeof(run.text))
		write_run();
	memcpy(run.text + run.len, run.line.text, run.line.len);
	run.len += run.line.len;
	run.lines++;
	if (!log_sink_joins())
		write_run();
	errno = saved;
}

void
log_run_end(void)
{
	int	 saved = errno;

	write_run();
	run.row = NULL;
	errno = saved;
}

void
log_relay(const char *line, size_t len)
{
	const char	*blank = memchr(line, ' ', len);
	struct log_line	 out;
	int		 saved = errno, level = -1;

	if (blank != NULL)
		level = log_level_find(line, (size_t)(blank - line));
	if (level == -1) {
		level = LOG_LEVEL_INFO;		/* not by us; shown as it is */
	} else {
		len -= (size_t)(blank + 1 - line);
		line = blank + 1;
	}
	if (len > 0 && log_wants((enum log_level)level)) {
		log_line_relay(&out, line, len);
		put_lines((enum log_level)level, out.text, out.len, 1);
	}
	errno = saved;
}

bool
log_lossy(void)
{
	return lost > 0;
}

void
log_retry(void)
{
	int	 saved = errno;

	tell_lost();
	errno = saved;
}

struct log_field
log_errno(void)
{
	static char	 unknown[32];
	const char	*text;

	/* Unlike strerror(3) it neither allocates nor translates. */
	if ((text = strerrordesc_np(errno)) == NULL) {
		snprintf(unknown, sizeof(unknown), "error %d", errno);
		text = unknown;
	}
	return log_str("error", text);
}

/* ---- where to */

int
log_open(const struct log_options *options, struct err *err)
{
	if (log_sink_open(options->target, options->ident, err) == -1)
		return -1;
	log_level = options->level;
	log_format = options->format;
	return 0;
}

int
log_reopen(struct err *err)
{
	return log_sink_reopen(err);
}

void
log_to_master(int fd)
{
	holding = false;
	log_held_clear();	/* these are the master's */
	log_sink_to_master(fd);
	lost = 0;	/* what the master lost, it tells itself */
}

int
log_fd(void)
{
	return log_sink_fd();
}

int
log_rescue_fd(void)
{
	return log_sink_joins() ? log_sink_fd() : -1;
}
