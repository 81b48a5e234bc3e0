#include "master/tail.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define TAIL_FIRST	512

static void
grow(struct tail *tail, size_t len)
{
	size_t	 size = tail->size > 0 ? tail->size : TAIL_FIRST;

	while (size < TAIL_MAX && size < tail->at + len)
		size *= 2;
	if (size == tail->size)
		return;
	tail->bytes = xreallocarray(tail->bytes, size, 1);
	tail->size = size;
}

void
tail_add(struct tail *tail, const char *data, size_t len)
{
	size_t	 part;

	if (len > TAIL_MAX) {
		data += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	if (len > 0 && !tail->full)
		grow(tail, len);
	while (len > 0) {
		part = tail->size - tail->at;
		if (part > len)
			part = len;
		memcpy(tail->bytes + tail->at, data, part);
		data += part;
		len -= part;
		/* At its end only when it can grow no more. */
		if ((tail->at += part) == tail->size &&
		    tail->size == TAIL_MAX) {
			tail->at = 0;
			tail->full = true;
		}
	}
}

/* All that is kept, in order; the length. */
static size_t
straighten(const struct tail *tail, char out[TAIL_MAX])
{
	size_t	 older = tail->full ? tail->size - tail->at : 0;

	if (older > 0)
		memcpy(out, tail->bytes + tail->at, older);
	if (tail->at > 0)
		memcpy(out + older, tail->bytes, tail->at);
	return older + tail->at;
}

/* Where the last lines begin, count of them. */
static size_t
begin_of(const char *text, size_t len, size_t count)
{
	const char	*newline;
	size_t		 at = len;

	if (at > 0 && text[at - 1] == '\n')
		at--;			/* ends the last one */
	while ((newline = memrchr(text, '\n', at)) != NULL) {
		if (--count == 0)
			return (size_t)(newline + 1 - text);
		at = (size_t)(newline - text);
	}
	return 0;
}

size_t
tail_lines(const struct tail *tail, size_t count, size_t max, tail_fn *each,
    void *arg)
{
	char		 text[TAIL_MAX];
	size_t		 end = straighten(tail, text), at, len, n = 0;
	const char	*newline;

	at = begin_of(text, end, count);
	/* The first may have lost its beginning; better that than nothing. */
	if (at == 0 && tail->full &&
	    (newline = memchr(text, '\n', end)) != NULL &&
	    newline + 1 < text + end)
		at = (size_t)(newline + 1 - text);
	for (; at < end; at += len + 1, n++) {
		newline = memchr(text + at, '\n', end - at);
		len = newline != NULL ? (size_t)(newline - text) - at :
		    end - at;
		if (len > 0 && newline != NULL && newline[-1] == '\r')
			each(arg, text + at, len - 1 < max ? len - 1 : max);
		else
			each(arg, text + at, len < max ? len : max);
	}
	return n;
}

void
tail_free(struct tail *tail)
{
	free(tail->bytes);
	*tail = (struct tail){ 0 };
}
