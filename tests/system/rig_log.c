#include <sys/stat.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/rig.h"

#define TAIL_LEN	6000	/* of the log, when a test fails */

const char *
rig_read(struct rig *r, const char *path)
{
	struct stat st;
	ssize_t got = 0, len = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return "";
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		st.st_size = 65536;
	r->text = realloc(r->text, (size_t)st.st_size + 1);
	while (len < st.st_size && (got = read(fd, r->text + len,
	    (size_t)(st.st_size - len))) > 0)
		len += got;
	close(fd);
	r->text[len] = '\0';
	return r->text;
}

static const char *
read_log(struct rig *r)
{
	return rig_read(r, r->log != NULL ? r->log : r->err);
}

/* Is word in the line, not as a part of a longer one? */
static bool
has_word(const char *line, const char *word, size_t len)
{
	const char *at = line;

	for (; (at = strstr(at, word)) != NULL; at++)
		if ((at == line || strchr(" \"", at[-1]) != NULL) &&
		    strchr(" \"\n", at[len]) != NULL)
			return true;
	return false;
}

static bool
has_words(const char *line, const char *words)
{
	char word[128];
	size_t len;

	for (; *words != '\0'; words += len) {
		words += strspn(words, " ");
		len = strcspn(words, " ");
		if (len == 0 || len >= sizeof(word))
			break;
		memcpy(word, words, len);
		word[len] = '\0';
		if (!has_word(line, word, len))
			return false;
	}
	return true;
}

/* Count the lines with these words; the last of them is copied to last. */
static int
search(struct rig *r, const char *words, char *last, size_t size)
{
	char *line = (char *)(uintptr_t)read_log(r), *end;
	int count = 0;

	for (; *line != '\0'; line = end) {
		if ((end = strchr(line, '\n')) == NULL)
			break;		/* not yet whole */
		*end++ = '\0';
		if (!has_words(line, words))
			continue;
		count++;
		if (last != NULL)
			snprintf(last, size, "%s", line);
	}
	return count;
}

int
rig_log_count(struct rig *r, const char *words)
{
	return search(r, words, NULL, 0);
}

bool
rig_log_says(struct rig *r, const char *words)
{
	return rig_log_count(r, words) > 0;
}

const char *
rig_log_line(struct rig *r, const char *words)
{
	static char last[4096];

	return search(r, words, last, sizeof(last)) > 0 ? last : NULL;
}

bool
rig_log_has(struct rig *r, const char *text)
{
	return strstr(read_log(r), text) != NULL;
}

void
rig_await_log(struct rig *r, const char *words)
{
	if (!eventually(rig_log_says(r, words) || rig_ended(r)) ||
	    !rig_log_says(r, words))
		rig_fail(r, "no line in the log with: %s", words);
}

void
rig_await_text(struct rig *r, const char *text)
{
	if (!eventually(rig_log_has(r, text) || rig_ended(r)) ||
	    !rig_log_has(r, text))
		rig_fail(r, "the log does not have: %s", text);
}

static const char *
find_field(struct rig *r, const char *words, const char *field)
{
	const char *line = rig_log_line(r, words), *at;
	char key[64];

	snprintf(key, sizeof(key), " %s=", field);
	if (line == NULL || (at = strstr(line, key)) == NULL)
		rig_fail(r, "no %s= in: %s", field, words);
	return at + strlen(key);
}

int64_t
rig_log_int(struct rig *r, const char *words, const char *field)
{
	return strtoll(find_field(r, words, field), NULL, 10);
}

int64_t
rig_log_ms(struct rig *r, const char *words, const char *field)
{
	char *unit;
	double number = strtod(find_field(r, words, field), &unit);

	if (strncmp(unit, "us", 2) == 0)
		return (int64_t)(number / 1000);
	if (strncmp(unit, "ms", 2) == 0)
		return (int64_t)number;
	if (*unit == 's')
		return (int64_t)(number * 1000);
	if (*unit == 'm')
		return (int64_t)(number * 60000);
	return (int64_t)(number * 3600000);
}

void
rig_fail(struct rig *r, const char *fmt, ...)
{
	const char *text;
	char what[256];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	text = read_log(r);
	len = strlen(text);
	cr_assert_fail("%s; the log ends with:\n%s", what,
	    len > TAIL_LEN ? text + len - TAIL_LEN : text);
	abort();	/* not reached: the assertion leaves the test */
}
