#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tests/exact/exact.h"

/* The id names the process, too: several clients never ask the same. */
static int
path_of(const struct exact_plan *plan, uint64_t id, char *buf, size_t size)
{
	return snprintf(buf, size, "%s/%d-%llu", plan->path, (int)getpid(),
	    (unsigned long long)id);
}

/* ---- the body, as asked for */

static enum exact_verdict
judge_body(const struct exact_plan *plan, uint64_t id, const char *body,
    size_t len, const char **why)
{
	const char *expect = plan->expect;
	char path[128];

	if (expect[0] == '\0') {
		path_of(plan, id, path, sizeof(path));
		expect = path;
	}
	if (len == strlen(expect) && memcmp(body, expect, len) == 0)
		return EXACT_DONE;
	*why = "another body";
	return EXACT_WRONG;
}

/* ---- a line */

static enum exact_verdict
judge_echo(const struct exact_plan *plan, uint64_t id, const char *buf,
    size_t len, const char **why)
{
	char line[256];
	size_t want = exact_request(plan, id, line, sizeof(line));

	if (len > want || memcmp(buf, line, len) != 0) {
		*why = "another line";
		return EXACT_WRONG;
	}
	return len == want ? EXACT_DONE : EXACT_MORE;
}

/* ---- HTTP */

/* A header's value, up to its line's end, or NULL. */
static const char *
header(const char *head, size_t len, const char *name)
{
	const char *end = head + len, *eol;
	size_t n = strlen(name);

	for (; head < end; head = eol + 2) {
		if ((eol = memmem(head, (size_t)(end - head), "\r\n", 2)) ==
		    NULL)
			return NULL;
		if ((size_t)(eol - head) > n && head[n] == ':' &&
		    strncasecmp(head, name, n) == 0) {
			head += n + 1;
			return head + strspn(head, " \t");
		}
	}
	return NULL;
}

/*
 * Take the chunks off, into plain. MORE as long as the last one is not there.
 */
static enum exact_verdict
unchunk(const char *at, size_t len, char *plain, size_t *got)
{
	const char *end = at + len, *eol;
	size_t size;

	for (*got = 0;; at = eol + 2 + size + 2) {
		if (at >= end || (eol = memmem(at, (size_t)(end - at), "\r\n",
		    2)) == NULL)
			return EXACT_MORE;
		size = strtoul(at, NULL, 16);
		if (size > EXACT_ROOM)
			return EXACT_WRONG;
		if ((size_t)(end - eol) < 2 + size + 2)
			return EXACT_MORE;
		if (size == 0)
			return EXACT_DONE;
		memcpy(plain + *got, eol + 2, size);
		*got += size;
	}
}

/* How the body ends: by its length, its last chunk, the connection's end. */
static enum exact_verdict
find_body(const char *head, size_t head_len, const char **body, size_t *len,
    bool ended, bool *last)
{
	static char plain[EXACT_ROOM];
	const char *value, *at = *body;
	enum exact_verdict verdict;
	size_t want;

	if ((value = header(head, head_len, "Content-Length")) != NULL) {
		want = strtoul(value, NULL, 10);
		if (*len > want)
			return EXACT_WRONG;
		return *len == want ? EXACT_DONE : EXACT_MORE;
	}
	if ((value = header(head, head_len, "Transfer-Encoding")) != NULL) {
		verdict = unchunk(at, *len, plain, len);
		*body = plain;
		return verdict;
	}
	*last = true;
	return ended ? EXACT_DONE : EXACT_MORE;
}

static bool
goes_on(const char *head, size_t len)
{
	const char *value = header(head, len, "Connection");

	if (strncmp(head, "HTTP/1.1 ", 9) == 0)
		return value == NULL || strncasecmp(value, "close", 5) != 0;
	return value != NULL && strncasecmp(value, "keep-alive", 10) == 0;
}

static enum exact_verdict
judge_http(const struct exact_plan *plan, uint64_t id, const char *buf,
    size_t len, bool ended, const char **why)
{
	const char *body = memmem(buf, len, "\r\n\r\n", 4);
	enum exact_verdict verdict;
	size_t head, left;
	bool last;

	if (len >= 12 && (memcmp(buf, "HTTP/1.", 7) != 0 ||
	    memcmp(buf + 8, " 200", 4) != 0)) {
		*why = "another status";
		return EXACT_WRONG;
	}
	if (body == NULL)
		return EXACT_MORE;
	head = (size_t)(body - buf) + 2;
	body += 4;
	left = len - (size_t)(body - buf);
	last = !goes_on(buf, head);
	verdict = find_body(buf, head, &body, &left, ended, &last);
	*why = "a longer body";
	if (verdict != EXACT_DONE)
		return verdict;
	verdict = judge_body(plan, id, body, left, why);
	return verdict == EXACT_DONE && last ? EXACT_LAST : verdict;
}

/* ---- FastCGI: records of a type, for request 1 */

enum { BEGIN = 1, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7 };

static size_t
put_record(char *at, int type, const char *data, size_t len)
{
	char head[8] = { 1, (char)type, 0, 1, (char)(len >> 8), (char)len };

	memcpy(at, head, sizeof(head));
	if (len > 0)
		memcpy(at + sizeof(head), data, len);
	return sizeof(head) + len;
}

static size_t
put_param(char *at, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);
	size_t len = 2;

	at[0] = (char)n;
	at[1] = (char)v;
	if (v > 127) {		/* four bytes, the top bit set */
		memcpy(at + 1, (char[]){ (char)0x80, 0, (char)(v >> 8),
		    (char)v }, 4);
		len = 5;
	}
	memcpy(at + len, name, n);
	memcpy(at + len + n, value, v);
	return len + n + v;
}

static size_t
put_fastcgi(const struct exact_plan *plan, const char *path, char *buf)
{
	char role[8] = { 0, 1, (char)plan->keep_alive };
	char params[1024];
	size_t len = 0, n;

	n = put_record(buf, BEGIN, role, sizeof(role));
	len += put_param(params + len, "SCRIPT_FILENAME", plan->script);
	len += put_param(params + len, "REQUEST_METHOD", "GET");
	len += put_param(params + len, "REQUEST_URI", path);
	len += put_param(params + len, "SERVER_PROTOCOL", "HTTP/1.1");
	n += put_record(buf + n, PARAMS, params, len);
	n += put_record(buf + n, PARAMS, NULL, 0);
	return n + put_record(buf + n, STDIN, NULL, 0);
}

static enum exact_verdict
judge_cgi(const struct exact_plan *plan, uint64_t id, const char *text,
    size_t len, const char **why)
{
	const char *body = memmem(text, len, "\r\n\r\n", 4);
	const char *status = header(text, len, "Status");
	enum exact_verdict verdict;

	if (body == NULL || (status != NULL && atoi(status) != 200)) {
		*why = "another status";
		return EXACT_WRONG;
	}
	body += 4;
	verdict = judge_body(plan, id, body, len - (size_t)(body - text), why);
	return verdict == EXACT_DONE && !plan->keep_alive ? EXACT_LAST :
	    verdict;
}

static enum exact_verdict
judge_fastcgi(const struct exact_plan *plan, uint64_t id, const char *buf,
    size_t len, const char **why)
{
	static char text[EXACT_ROOM];
	const unsigned char *at = (const unsigned char *)buf;
	size_t got = 0, size;

	for (; len >= 8; at += 8 + size + at[6]) {
		size = (size_t)at[4] << 8 | at[5];
		if (len < 8 + size + at[6])
			break;
		if (at[1] == END)
			return judge_cgi(plan, id, text, got, why);
		if (at[1] == STDOUT) {
			memcpy(text + got, at + 8, size);
			got += size;
		}
		len -= 8 + size + at[6];
	}
	return EXACT_MORE;
}

/* ---- for all */

size_t
exact_request(const struct exact_plan *plan, uint64_t id, char *buf,
    size_t size)
{
	char path[128];

	path_of(plan, id, path, sizeof(path));
	if (plan->protocol == EXACT_FASTCGI)
		return put_fastcgi(plan, path, buf);
	if (plan->protocol == EXACT_ECHO)
		return (size_t)snprintf(buf, size, "%s\n", path);
	return (size_t)snprintf(buf, size, "GET %s HTTP/1.1\r\nHost: exact\r\n"
	    "%s\r\n", path, plan->keep_alive ? "" : "Connection: close\r\n");
}

enum exact_verdict
exact_judge(const struct exact_plan *plan, uint64_t id, const char *buf,
    size_t len, bool ended, const char **why)
{
	switch (plan->protocol) {
	case EXACT_ECHO:
		return judge_echo(plan, id, buf, len, why);
	case EXACT_HTTP:
		return judge_http(plan, id, buf, len, ended, why);
	default:
		return judge_fastcgi(plan, id, buf, len, why);
	}
}
