#include "master/ack_line.h"

#include <string.h>

#define DIGITS_MAX	10	/* of a pid */

struct scan {
	const char	*at;
	const char	*end;
};

struct token {
	const char	*text;
	size_t		 len;
};

/* What was found so far. */
struct found {
	bool	 command;
	bool	 pid;
};

static bool
is(struct token token, const char *word)
{
	return token.len == strlen(word) &&
	    memcmp(token.text, word, token.len) == 0;
}

static bool
is_pid(struct token token)
{
	size_t	 i;

	for (i = 0; i < token.len; i++)
		if (token.text[i] < '0' || token.text[i] > '9')
			return false;
	return token.len > 0 && token.len <= DIGITS_MAX;
}

/* ---- JSON */

static void
skip_blanks(struct scan *scan)
{
	while (scan->at < scan->end && strchr(" \t\r", *scan->at) != NULL &&
	    *scan->at != '\0')
		scan->at++;
}

static bool
take(struct scan *scan, char c)
{
	skip_blanks(scan);
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

/* One without escapes: what we look for has none. */
static bool
take_string(struct scan *scan, struct token *out)
{
	const char	*begin;

	if (!take(scan, '"'))
		return false;
	for (begin = scan->at; scan->at < scan->end; scan->at++) {
		if (*scan->at == '"') {
			*out = (struct token){ begin,
			    (size_t)(scan->at++ - begin) };
			return true;
		}
		if (*scan->at == '\\' || (unsigned char)*scan->at < ' ')
			return false;
	}
	return false;
}

/* A number, true, false or null; which, nobody asks of other keys. */
static bool
take_word(struct scan *scan, struct token *out)
{
	static const char	 allowed[] = "+-.0123456789"
				    "abcdefghijklmnopqrstuvwxyzE";

	skip_blanks(scan);
	out->text = scan->at;
	while (scan->at < scan->end && *scan->at != '\0' &&
	    strchr(allowed, *scan->at) != NULL)
		scan->at++;
	out->len = (size_t)(scan->at - out->text);
	return out->len > 0;
}

static bool
take_member(struct scan *scan, struct found *found)
{
	struct token	 key, value;

	if (!take_string(scan, &key) || !take(scan, ':'))
		return false;
	if (take_string(scan, &value)) {
		if (is(key, "command"))
			found->command = is(value, "worker:ack");
		return !is(key, "pid");
	}
	if (!take_word(scan, &value))
		return false;
	if (is(key, "pid"))
		found->pid = is_pid(value);
	return !is(key, "command");
}

static bool
is_json(struct scan scan)
{
	struct found	 found = { false, false };

	if (!take(&scan, '{'))
		return false;
	do
		if (!take_member(&scan, &found))
			return false;
	while (take(&scan, ','));
	if (!take(&scan, '}'))
		return false;
	skip_blanks(&scan);
	return scan.at == scan.end && found.command && found.pid;
}

/* ---- YAML, as einhorn's library writes it */

/* Up to the next %0A, without blanks at its end. */
static bool
take_yaml_line(struct scan *scan, struct token *out)
{
	static const char	 newline[] = "%0A";
	const char		*end;

	if (scan->at == scan->end)
		return false;
	out->text = scan->at;
	end = memmem(scan->at, (size_t)(scan->end - scan->at), newline, 3);
	scan->at = end != NULL ? end + 3 : scan->end;
	out->len = (size_t)((end != NULL ? end : scan->end) - out->text);
	while (out->len > 0 && out->text[out->len - 1] == ' ')
		out->len--;
	return true;
}

/* What stands behind the key, or nothing. */
static struct token
value_of(struct token line, const char *key)
{
	size_t	 len = strlen(key);

	if (line.len < len || memcmp(line.text, key, len) != 0)
		return (struct token){ NULL, 0 };
	return (struct token){ line.text + len, line.len - len };
}

static bool
is_yaml(struct scan scan)
{
	struct found	 found = { false, false };
	struct token	 line;

	if (!take_yaml_line(&scan, &line) || !is(line, "---"))
		return false;
	while (take_yaml_line(&scan, &line)) {
		if (is(value_of(line, "command: "), "worker:ack"))
			found.command = true;
		else if (is_pid(value_of(line, "pid: ")))
			found.pid = true;
	}
	return found.command && found.pid;
}

bool
ack_line(const char *line, size_t len)
{
	struct scan	 scan = { line, line + len };

	return is_json(scan) || is_yaml(scan);
}
