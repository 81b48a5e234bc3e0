#include "common/notify.h"

#include <string.h>

static bool
is(const char *line, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(line, word, len) == 0;
}

/* The length of key if line begins with it and has more, else 0. */
static size_t
starts(const char *line, size_t len, const char *key)
{
	size_t	 key_len = strlen(key);

	if (len <= key_len || memcmp(line, key, key_len) != 0)
		return 0;
	return key_len;
}

static void
parse_line(const char *line, size_t len, struct notify *out)
{
	size_t	 key;

	if (is(line, len, "READY=1"))
		out->ready = true;
	else if (is(line, len, "STOPPING=1"))
		out->stopping = true;
	else if (starts(line, len, "MUSTER_RETIRE=") != 0)
		out->retire = true;
	else if ((key = starts(line, len, "MUSTER_LOG=")) != 0) {
		out->log = line + key;
		out->log_len = len - key;
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
