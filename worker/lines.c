#include "worker/lines.h"

#include <stdbool.h>
#include <string.h>

/* A line's bytes before its LF, in two pieces. */
struct text {
	const char	*a, *b;
	size_t		 na, nb;
};

/* How much of it is text: a CR at the end belongs to the ending. */
static size_t
text_len(const struct text *text)
{
	size_t	 len = text->na + text->nb;
	char	 last;

	if (len == 0)
		return 0;
	last = text->nb > 0 ? text->b[text->nb - 1] : text->a[text->na - 1];
	return last == '\r' ? len - 1 : len;
}

static bool
text_is(const struct text *text, size_t len, const char *word, size_t nword)
{
	size_t	 head = text->na < len ? text->na : len;

	if (len != nword)
		return false;
	if (head > 0 && memcmp(text->a, word, head) != 0)
		return false;
	return len == head ||
	    memcmp(text->b, word + head, len - head) == 0;
}

static enum lines_end
judge(const struct lines_rule *rule, const struct text *text)
{
	size_t	 len = text_len(text);

	if (len > rule->max)
		return LINES_LONG;
	if (rule->fault != NULL &&
	    text_is(text, len, rule->fault, rule->fault_len))
		return LINES_FAULT;
	return LINES_MORE;
}

void
lines_cut(const struct lines_rule *rule, const char *held, size_t nheld,
    const char *data, size_t len, struct lines_cut *cut)
{
	struct text	 text = { .a = held, .b = data, .na = nheld };
	const char	*lf;

	*cut = (struct lines_cut){ 0 };
	while (cut->used < len) {
		text.b = data + cut->used;
		lf = memchr(text.b, '\n', len - cut->used);
		text.nb = lf != NULL ? (size_t)(lf - text.b) : len - cut->used;
		if (lf == NULL)
			break;
		if ((cut->end = judge(rule, &text)) != LINES_MORE)
			return;
		cut->count++;
		cut->used += text.nb + 1;
		text.na = text.nb = 0;
	}
	/* Unfinished, but already too long whatever comes. */
	if (text_len(&text) > rule->max)
		cut->end = LINES_LONG;
}
