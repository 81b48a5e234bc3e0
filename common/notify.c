#include "common/notify.h"

#include <limits.h>
#include <string.h>

static bool
is(const char *line, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(line, word, len) == 0;
}

/*
 * Digits alone, and not 0, which says nothing; more than most counts as most.
 * False, and out as it was, for everything else.
 */
static bool
number(const char *text, size_t len, int64_t most, int64_t *out)
{
	int64_t	 n = 0;

	for (; len > 0; text++, len--) {
		if (*text < '0' || *text > '9')
			return false;
		/* So that the next digit still fits. */
		if ((n = n * 10 + (*text - '0')) > most)
			n = most;
	}
	if (n == 0)
		return false;
	*out = n;
	return true;
}

static void
take_watchdog(struct notify *out, const char *value, size_t len)
{
	if (is(value, len, "1"))
		out->watchdog = NOTIFY_WATCHDOG_ALIVE;
	else if (is(value, len, "trigger"))
		out->watchdog = NOTIFY_WATCHDOG_TRIGGER;
}

static void
take_watchdog_us(struct notify *out, const char *value, size_t len)
{
	number(value, len, NOTIFY_US_MAX, &out->watchdog_us);
}

static void
take_extend(struct notify *out, const char *value, size_t len)
{
	number(value, len, NOTIFY_US_MAX, &out->extend_us);
}

static void
take_error(struct notify *out, const char *value, size_t len)
{
	int64_t	 n;

	if (number(value, len, INT_MAX, &n))
		out->error = (int)n;
}

static void
take_main_pid(struct notify *out, const char *value, size_t len)
{
	int64_t	 n;

	if (number(value, len, INT_MAX, &n))
		out->main_pid = (pid_t)n;
}

static void
take_status(struct notify *out, const char *value, size_t len)
{
	out->status = value;
	out->status_len = len;
}

static void
take_retire(struct notify *out, const char *value, size_t len)
{
	(void)value;
	if (len > 0)
		out->retire = true;
}

static void
take_log(struct notify *out, const char *value, size_t len)
{
	if (len == 0)
		return;
	out->log = value;
	out->log_len = len;
}

/* Lines that are one word, and those that have a value. */
static const struct {
	const char	*word;
	size_t		 flag;
} words[] = {
	{ "READY=1", offsetof(struct notify, ready) },
	{ "STOPPING=1", offsetof(struct notify, stopping) },
	{ "RELOADING=1", offsetof(struct notify, reloading) },
	{ "BARRIER=1", offsetof(struct notify, barrier) },
};

static const struct {
	const char	*key;
	void		(*take)(struct notify *, const char *, size_t);
} keys[] = {
	{ "STATUS=", take_status },
	{ "WATCHDOG=", take_watchdog },
	{ "WATCHDOG_USEC=", take_watchdog_us },
	{ "EXTEND_TIMEOUT_USEC=", take_extend },
	{ "ERRNO=", take_error },
	{ "MAINPID=", take_main_pid },
	{ "MUSTER_RETIRE=", take_retire },
	{ "MUSTER_LOG=", take_log },
};

static void
parse_line(const char *line, size_t len, struct notify *out)
{
	size_t	 i, key;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!is(line, len, words[i].word))
			continue;
		*(bool *)((char *)out + words[i].flag) = true;
		return;
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		key = strlen(keys[i].key);
		if (len < key || memcmp(line, keys[i].key, key) != 0)
			continue;
		keys[i].take(out, line + key, len - key);
		return;
	}
}

void
notify_parse(const char *text, size_t len, struct notify *out)
{
	const char	*newline;
	size_t		 line;

	memset(out, 0, sizeof(*out));
	while (len > 0) {
		newline = memchr(text, '\n', len);
		line = newline != NULL ? (size_t)(newline - text) : len;
		parse_line(text, line, out);
		if (newline == NULL)
			return;
		text += line + 1;
		len -= line + 1;
	}
}
