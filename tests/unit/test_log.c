#include <criterion/criterion.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_line.h"

TestSuite(log, .timeout = 10);

/* 2026-11-21T10:15:02.123Z */
static const struct timespec	 when = { 1795256102, 123999999 };
static struct log_line		 line;

static const char *
build(size_t max, enum log_format format, enum event_id event,
    const struct log_field *fields)
{
	static char	 text[LOG_LINE_MAX + 1];

	log_line_build(&line, max, format, &when, &event_rows[event], fields);
	memcpy(text, line.text, line.len);
	text[line.len] = '\0';
	return text;
}

#define FIELDS(...)	((const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,) \
			    { LOG_FIELD_END, NULL, 0, NULL } })
#define TEXT(event, ...) \
	build(LOG_LINE_MAX, LOG_TEXT, event, FIELDS(__VA_ARGS__))
#define JSON(event, ...) \
	build(LOG_LINE_MAX, LOG_JSON, event, FIELDS(__VA_ARGS__))

/* How a value is written; what stands before it is left off. */
static const char *
text_value(const char *value)
{
	return strstr(TEXT(EV_LOOP_NOTE, log_str("msg", value)), "msg=") + 4;
}

static const char *
text_duration(int64_t us)
{
	return strstr(TEXT(EV_MASTER_AWAY, log_us("for", us)), "for=") + 4;
}

static const char *
json_duration(int64_t us)
{
	return strstr(JSON(EV_MASTER_AWAY, log_us("for", us)), "for\":") + 5;
}

/*
 * Is it one JSON object of strings and numbers, in strict UTF-8, and a
 * newline? (This is written without the code under test.)
 */
static const char *
json_string(const char *p)
{
	int	 i;

	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return NULL;
		if (*p != '\\')
			continue;
		if (*++p == 'u') {
			for (i = 0; i < 4; i++)
				if (strchr("0123456789abcdef", *++p) == NULL ||
				    *p == '\0')
					return NULL;
		} else if (*p == '\0' || strchr("\"\\bfnrt", *p) == NULL) {
			return NULL;
		}
	}
	return p + 1;
}

static bool
is_json(const char *p)
{
	char	*end;

	if (mbstowcs(NULL, p, 0) == (size_t)-1 || *p++ != '{')
		return false;
	for (;;) {
		if ((p = json_string(p)) == NULL || *p++ != ':')
			return false;
		if (*p == '"') {
			p = json_string(p);
		} else {
			strtod(p, &end);
			p = end == p ? NULL : end;
		}
		if (p == NULL)
			return false;
		if (*p++ != ',')
			return strcmp(p - 1, "}\n") == 0;
	}
}

Test(log, a_text_line_is_time_level_event_and_fields)
{
	cr_expect_str_eq(TEXT(EV_WORKER_READY, log_int("slot", 1),
	    log_int("pid", 712), log_int("gen", 1), log_us("took", 3200)),
	    "2026-11-21T10:15:02.123Z info  worker.ready "
	    "slot=1 pid=712 gen=1 took=3.2ms\n");
	cr_expect_str_eq(TEXT(EV_POOL_DRAIN),
	    "2026-11-21T10:15:02.123Z info  pool.drain\n");
}

Test(log, levels_are_padded)
{
	const size_t	 at = strlen("2026-11-21T10:15:02.123Z ");

	cr_expect_eq(strncmp(TEXT(EV_LOOP_NOTE) + at, "warn  l", 7), 0);
	cr_expect_eq(strncmp(TEXT(EV_POOL_FAILED) + at, "error p", 7), 0);
	cr_expect_eq(strncmp(TEXT(EV_CONN_CLOSED) + at, "debug c", 7), 0);
	cr_expect_eq(at + strlen("warn  "), LOG_LINE_HEAD);
}

Test(log, a_json_line_is_one_object)
{
	cr_expect_str_eq(JSON(EV_WORKER_READY, log_int("slot", -1),
	    log_us("took", 3200)),
	    "{\"time\":\"2026-11-21T10:15:02.123Z\",\"level\":\"info\","
	    "\"event\":\"worker.ready\",\"slot\":-1,\"took\":0.0032}\n");
	cr_expect_str_eq(JSON(EV_LOOP_NOTE, log_str("msg", "")),
	    "{\"time\":\"2026-11-21T10:15:02.123Z\",\"level\":\"warn\","
	    "\"event\":\"loop.note\",\"msg\":\"\"}\n");
}

Test(log, plain_values_stand_as_they_are)
{
	cr_expect_str_eq(text_value("TERM"), "TERM\n");
	cr_expect_str_eq(text_value("/x/y:80,[::1]\\"), "/x/y:80,[::1]\\\n");
	cr_expect_str_eq(text_value("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\xba"),
	    "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\xba\"\n");
	cr_expect_str_eq(text_value("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf\n");
}

Test(log, special_values_are_quoted_and_escaped)
{
	cr_expect_str_eq(text_value(""), "\"\"\n");
	cr_expect_str_eq(text_value("a b"), "\"a b\"\n");
	cr_expect_str_eq(text_value("a=b"), "\"a=b\"\n");
	cr_expect_str_eq(text_value("a\"b\\"), "\"a\\\"b\\\\\"\n");
	cr_expect_str_eq(text_value("a\nb\t\r\b\f"),
	    "\"a\\nb\\t\\r\\b\\f\"\n");
	cr_expect_str_eq(text_value("\033[2J\x01\x7f"),
	    "\"\\u001b[2J\\u0001\\u007f\"\n");
}

Test(log, unseen_characters_that_steer_a_reader_are_escaped)
{
	cr_expect_str_eq(text_value("\xc2\x9b"), "\"\\u009b\"\n");
	cr_expect_str_eq(text_value("\xe2\x80\xa8"), "\"\\u2028\"\n");
	cr_expect_str_eq(text_value("\xe2\x80\xae"), "\"\\u202e\"\n");
}

Test(log, what_is_not_utf_8_is_escaped_byte_by_byte)
{
	cr_expect_str_eq(text_value("\xff"), "\"\\u00ff\"\n");
	cr_expect_str_eq(text_value("\xc3"), "\"\\u00c3\"\n");
	cr_expect_str_eq(text_value("\xc3x"), "\"\\u00c3x\"\n");
	cr_expect_str_eq(text_value("\xc0\xaf"), "\"\\u00c0\\u00af\"\n");
	cr_expect_str_eq(text_value("\xe0\x9f\x80"),
	    "\"\\u00e0\\u009f\\u0080\"\n");
	cr_expect_str_eq(text_value("\xed\xa0\x80"),
	    "\"\\u00ed\\u00a0\\u0080\"\n");
	cr_expect_str_eq(text_value("\xf4\x90\x80\x80"),
	    "\"\\u00f4\\u0090\\u0080\\u0080\"\n");
}

Test(log, a_null_text_is_no_field)
{
	cr_expect_str_eq(TEXT(EV_LOOP_NOTE, log_str("msg", NULL),
	    log_str("error", "x")) + LOG_LINE_HEAD, "loop.note error=x\n");
}

Test(log, durations_read_well)
{
	cr_expect_str_eq(text_duration(0), "0s\n");
	cr_expect_str_eq(text_duration(45), "45us\n");
	cr_expect_str_eq(text_duration(20000), "20ms\n");
	cr_expect_str_eq(text_duration(999999), "999.9ms\n");
	cr_expect_str_eq(text_duration(1500000), "1.5s\n");
	cr_expect_str_eq(text_duration(30000000), "30s\n");
	cr_expect_str_eq(text_duration(-3200), "-3.2ms\n");
	cr_expect_str_eq(text_duration(INT64_MIN), "-9223372036854.7s\n");
}

Test(log, durations_are_seconds_in_json)
{
	cr_expect_str_eq(json_duration(0), "0}\n");
	cr_expect_str_eq(json_duration(1), "0.000001}\n");
	cr_expect_str_eq(json_duration(1500000), "1.5}\n");
	cr_expect_str_eq(json_duration(-30000000), "-30}\n");
	cr_expect_str_eq(json_duration(INT64_MAX), "9223372036854.775807}\n");
}

Test(log, dates_are_right_around_leap_days)
{
	static const struct {
		time_t		 at;
		const char	*text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00" }, { -1, "1969-12-31T23:59:59" },
		{ 951782400, "2000-02-29T00:00:00" },
		{ 951868800, "2000-03-01T00:00:00" },
		{ 1709251199, "2024-02-29T23:59:59" },
		{ 1735689599, "2024-12-31T23:59:59" },
		{ 4107542400, "2100-03-01T00:00:00" },
	};
	struct timespec	 at = { 0, 0 };
	size_t		 i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		at.tv_sec = rows[i].at;
		log_line_build(&line, LOG_LINE_MAX, LOG_TEXT, &at,
		    &event_rows[EV_LOOP_NOTE], FIELDS());
		cr_expect_eq(memcmp(line.text, rows[i].text, 19), 0, "%.19s",
		    line.text);
	}
}

/* Every length around the cut; a byte is as many as width when escaped. */
static int
bad_cuts(enum log_format format, size_t max, char byte, size_t width)
{
	static char	 text[5000];
	const char	*got;
	size_t		 len;
	int		 bad = 0;

	for (len = (max - 300) / width; len < max / width; len++) {
		memset(text, byte, len);
		text[len] = '\0';
		got = build(max, format, EV_SPAWN_FAILED, FIELDS(
		    log_str("msg", text), log_int("slot", INT64_MIN),
		    log_str("error", text)));
		bad += line.len > max || line.len + 70 < max;
		bad += line.text[line.len - 1] != '\n';
		bad += strstr(got, "slot") == NULL;
		bad += strstr(got, "error") == NULL;
		bad += strstr(got, "...") == NULL;
		bad += format == LOG_JSON && !is_json(got);
	}
	return bad;
}

Test(log, a_long_line_is_cut_and_keeps_all_its_fields)
{
	cr_expect_eq(bad_cuts(LOG_TEXT, LOG_LINE_MAX, 'a', 1), 0);
	cr_expect_eq(bad_cuts(LOG_TEXT, LOG_LINE_MAX, ' ', 1), 0);
	cr_expect_eq(bad_cuts(LOG_JSON, LOG_LINE_MAX, 'a', 1), 0);
	cr_expect_eq(bad_cuts(LOG_JSON, LOG_LINE_MAX, '\xff', 6), 0);
	cr_expect_eq(bad_cuts(LOG_JSON, 4000, '"', 2), 0);
}

Test(log, a_value_that_just_fits_is_not_cut)
{
	static char	 text[LOG_LINE_MAX];
	size_t		 head = strlen(JSON(EV_LOOP_NOTE, log_str("msg", "")));

	memset(text, 'a', LOG_LINE_MAX - head);
	JSON(EV_LOOP_NOTE, log_str("msg", text));
	cr_expect_eq(line.len, LOG_LINE_MAX);
	cr_expect_eq(memcmp(line.text + line.len - 6, "aaa\"}\n", 6), 0);
	text[LOG_LINE_MAX - head] = 'a';
	JSON(EV_LOOP_NOTE, log_str("msg", text));
	cr_expect_leq(line.len, LOG_LINE_MAX);
	cr_expect_eq(memcmp(line.text + line.len - 6, "...\"}\n", 6), 0);
}

Test(log, json_is_valid_whatever_the_values_are)
{
	char		 text[64];
	uint32_t	 state = 7;
	size_t		 i;
	int		 round, bad = 0;

	/* For mbstowcs(3), which knows what UTF-8 is. */
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (round = 0; round < 5000; round++) {
		for (i = 0; i < sizeof(text) - 1; i++) {
			state = state * 1664525 + 1013904223;
			text[i] = (char)(state >> 24);
		}
		text[i] = '\0';
		bad += !is_json(JSON(EV_LOOP_NOTE, log_str("msg", text)));
	}
	cr_expect_eq(bad, 0);
}

/* The exit code of a child that logs a field of this name; 42 is abort(3). */
static _Noreturn void
on_abort(int signo)
{
	(void)signo;
	_exit(42);
}

static int
log_in_child(enum event_id event, const char *name)
{
	int	 status;
	pid_t	 pid;

	if ((pid = fork()) == 0) {
		signal(SIGABRT, on_abort);
		close(STDERR_FILENO);
		log_event(event, log_int(name, 1));
		_exit(0);
	}
	if (waitpid(pid, &status, 0) == -1 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

Test(log, an_unlisted_field_is_a_mistake_at_any_level)
{
	cr_expect_eq(log_in_child(EV_POOL_DRAIN, "workers"), 0);
	cr_expect_eq(log_in_child(EV_POOL_DRAIN, "slot"), 42);
	cr_expect_eq(log_in_child(EV_CONN_CLOSED, "slot"), 0);
	cr_expect_eq(log_in_child(EV_CONN_CLOSED, "clos"), 42);
}

Test(log, parts_of_a_listed_name_are_not_listed)
{
	const struct event_row	*row = &event_rows[EV_LISTEN_BACKLOG];

	cr_expect(log_line_fits(row, FIELDS(log_int("addr", 1),
	    log_int("backlog", 1), log_int("msg", 1))));
	cr_expect(!log_line_fits(row, FIELDS(log_int("log", 1))));
	cr_expect(!log_line_fits(row, FIELDS(log_int("ms", 1))));
}

Test(log, errno_becomes_the_field_error)
{
	errno = ENOSPC;
	cr_expect_str_eq(log_errno().text, "No space left on device");
	cr_expect_str_eq(log_errno().name, "error");
	errno = 4095;
	cr_expect_str_eq(log_errno().text, "error 4095");
}

Test(log, level_names_are_found_again)
{
	cr_expect_eq(log_level_find("error", 5), LOG_LEVEL_ERROR);
	cr_expect_eq(log_level_find("debugger", 5), LOG_LEVEL_DEBUG);
	cr_expect_eq(log_level_find("warn", 3), -1);
	cr_expect_eq(log_level_find("", 0), -1);
}
