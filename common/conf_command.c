#include "common/conf_value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/*
 * A command between its one line of text and its words. The third form of
 * quotes, $'...', is that of the newer shells: it can say what a line of a
 * file cannot hold.
 */
struct splitter {
	const char	*at;
	char		*word;		/* of room for all of the text */
	size_t		 len;
	bool		 begun;		/* '' is a word, too */
	bool		 open;		/* the text ended too early */
};

struct escape {
	char	 letter, byte;
};

static const struct escape escapes[] = {
	{ 'n', '\n' }, { 't', '\t' }, { 'r', '\r' }, { '\\', '\\' },
	{ '\'', '\'' }, { '"', '"' }, { 'e', 0x1b }, { 'a', '\a' },
	{ 'b', '\b' }, { 'f', '\f' }, { 'v', '\v' }, { 0, 0 }
};

static void
put(struct splitter *s, char byte)
{
	s->word[s->len++] = byte;
}

static int
hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' :
	    tolower((unsigned char)c) - 'a' + 10;
}

/* What follows a backslash in $'...'; what is no escape stands for itself. */
static void
take_escape(struct splitter *s)
{
	const struct escape	*e = escapes;
	int			 byte = 0;

	if (*s->at == 'x' && isxdigit((unsigned char)s->at[1])) {
		s->at++;
		for (int i = 0; i < 2 && isxdigit((unsigned char)*s->at); i++)
			byte = byte * 16 + hex_digit(*s->at++);
		/* A word ends at a NUL: it cannot hold one. */
		if (byte != 0)
			put(s, (char)byte);
		return;
	}
	while (e->letter != 0 && e->letter != *s->at)
		e++;
	if (e->letter == 0)
		put(s, '\\');
	put(s, e->letter == 0 ? *s->at : e->byte);
	s->at++;
}

/* Behind an opening quote: up to the closing one. */
static void
take_quoted(struct splitter *s, char quote, bool dollar)
{
	for (; *s->at != '\0' && *s->at != quote; ) {
		if (*s->at != '\\' || (quote == '\'' && !dollar)) {
			put(s, *s->at++);
			continue;
		}
		if (*++s->at == '\0')
			break;
		if (dollar)
			take_escape(s);
		else {
			if (strchr("\"\\$`", *s->at) == NULL)
				put(s, '\\');
			put(s, *s->at++);
		}
	}
	if (*s->at == '\0')
		s->open = true;
	else
		s->at++;
}

/* The next word; false at the end, or where something is open. */
static bool
take_word(struct splitter *s)
{
	s->len = 0;
	s->begun = false;
	s->at += strspn(s->at, " \t");
	while (!s->open && *s->at != '\0' && *s->at != ' ' && *s->at != '\t') {
		s->begun = true;
		if (*s->at == '$' && s->at[1] == '\'') {
			s->at += 2;
			take_quoted(s, '\'', true);
		} else if (*s->at == '\'' || *s->at == '"') {
			s->at++;
			take_quoted(s, s->at[-1], false);
		} else if (*s->at == '\\') {
			s->at++;
			if (*s->at == '\0')
				s->open = true;
			else
				put(s, *s->at++);
		} else
			put(s, *s->at++);
	}
	return s->begun && !s->open;
}

enum value_result
value_parse_command(const char *text, char ***words, size_t *count)
{
	struct splitter	 s = { .at = text };
	char		**list = xcalloc(1, sizeof(*list));
	size_t		 n = 0;

	s.word = xcalloc(1, strlen(text) + 1);
	while (take_word(&s)) {
		list = xreallocarray(list, n + 2, sizeof(*list));
		s.word[s.len] = '\0';
		list[n++] = xstrdup(s.word);
		list[n] = NULL;
	}
	free(s.word);
	/* A program without a name is none. */
	if (s.open || n == 0 || *list[0] == '\0') {
		value_free_command(list);
		return s.open ? VALUE_RANGE : VALUE_BAD;
	}
	*words = list;
	*count = n;
	return VALUE_OK;
}

void
value_free_command(char **words)
{
	for (char **word = words; word != NULL && *word != NULL; word++)
		free(*word);
	free(words);
}

/* Does a line of a file hold it as it is, between quotes? */
static bool
fits_a_line(const char *word)
{
	for (const char *p = word; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p) ||
		    (*p == ';' && p > word && p[-1] == ' '))
			return false;
	return true;
}

static bool
needs_quotes(const char *word)
{
	for (const char *p = word; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) &&
		    strchr("_@%+=:,./{}-", *p) == NULL)
			return true;
	return *word == '\0';
}

/* "..." where a single quote is in it, else '...'. */
static char *
quote_simply(const char *word, char *out)
{
	char	 quote = strchr(word, '\'') != NULL ? '"' : '\'';

	*out++ = quote;
	for (; *word != '\0'; word++) {
		if (quote == '"' && strchr("\"\\$`", *word) != NULL)
			*out++ = '\\';
		*out++ = *word;
	}
	*out++ = quote;
	return out;
}

static char *
quote_fully(const char *word, char *out)
{
	out = stpcpy(out, "$'");
	for (; *word != '\0'; word++) {
		if (*word == '\n')
			out = stpcpy(out, "\\n");
		else if (*word == '\t')
			out = stpcpy(out, "\\t");
		else if (iscntrl((unsigned char)*word) || *word == ';')
			out += snprintf(out, sizeof("\\x3b"), "\\x%02x",
			    (unsigned char)*word);
		else {
			if (*word == '\'' || *word == '\\')
				*out++ = '\\';
			*out++ = *word;
		}
	}
	*out++ = '\'';
	return out;
}

char *
value_print_command(char *const *words, size_t count)
{
	size_t	 room = 1;
	char	*text, *out;

	for (size_t i = 0; i < count; i++)
		room += 4 * strlen(words[i]) + 4;
	text = out = xcalloc(1, room);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*out++ = ' ';
		if (!needs_quotes(words[i]))
			out = stpcpy(out, words[i]);
		else if (fits_a_line(words[i]))
			out = quote_simply(words[i], out);
		else
			out = quote_fully(words[i], out);
	}
	*out = '\0';
	return text;
}
