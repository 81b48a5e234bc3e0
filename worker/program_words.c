#include "worker/program_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* Which socket is it, by number or name? -1: none. */
static int
find_socket(const char *text, size_t len, const struct program_boot *boot)
{
	const char	*name;
	size_t		 i, number = 0;

	if (len == 0)
		return -1;
	if (strspn(text, "0123456789") >= len) {
		for (i = 0; i < len && number < boot->nsockets; i++)
			number = number * 10 + (size_t)(text[i] - '0');
		return number < boot->nsockets ? (int)number : -1;
	}
	for (i = 0; i < boot->nsockets; i++) {
		name = boot->sockets[i].name;
		if (strncmp(name, text, len) == 0 && name[len] == '\0')
			return (int)i;
	}
	return -1;
}

static void
append(char **text, const char *more, size_t len)
{
	char	*longer = xasprintf("%s%.*s", *text, (int)len, more);

	free(*text);
	*text = longer;
}

/*
 * Is one at the start of text? Its length with the braces, and the part
 * between colon and brace; 0: no, and the brace is just a brace.
 */
static size_t
placeholder(const char *text, bool *wants_fd, const char **what, size_t *len)
{
	const char	*end;

	*wants_fd = strncmp(text, "{fd:", 4) == 0;
	if (!*wants_fd && strncmp(text, "{addr:", 6) != 0)
		return 0;
	*what = strchr(text, ':') + 1;
	if ((end = strchr(*what, '}')) == NULL)
		return 0;
	*len = (size_t)(end - *what);
	return (size_t)(end - text) + 1;
}

static void
no_such(const char *word, const char *at, size_t len,
    const struct program_boot *boot, struct err *err)
{
	if (boot->nsockets == 0)
		err_set(err, "command: \"%.*s\" in \"%s\": there is no "
		    "socket", (int)len, at, word);
	else
		err_set(err, "command: \"%.*s\" in \"%s\" is none of the "
		    "sockets, which are 0 to %zu", (int)len, at, word,
		    boot->nsockets - 1);
}

char *
program_word(const char *word, const struct program_boot *boot,
    struct err *err)
{
	char		*out = xstrdup(""), number[16];
	const char	*at = word, *what;
	size_t		 len, whole;
	bool		 wants_fd;
	int		 nr;

	while (*at != '\0') {
		whole = placeholder(at, &wants_fd, &what, &len);
		if (whole == 0) {
			append(&out, at, 1 + strcspn(at + 1, "{"));
			at += 1 + strcspn(at + 1, "{");
			continue;
		}
		if ((nr = find_socket(what, len, boot)) == -1) {
			no_such(word, at, whole, boot, err);
			free(out);
			return NULL;
		}
		snprintf(number, sizeof(number), "%d", PROGRAM_STDIO + nr);
		what = wants_fd ? number : boot->sockets[nr].text;
		append(&out, what, strlen(what));
		at += whole;
	}
	return out;
}
