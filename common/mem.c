#include "common/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* The log allocates nothing, so it can still say this. */
static _Noreturn void
memory_ended(size_t count, size_t size)
{
	int64_t	 bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		bytes = INT64_MAX;
	log_release();
	log_event(EV_MEMORY_ENDED, log_int("bytes", bytes));
	abort();
}

void *
xcalloc(size_t count, size_t size)
{
	void	*p;

	/* Nothing asked for is no failure: calloc may answer that with NULL. */
	if (count == 0 || size == 0)
		count = size = 1;
	if ((p = calloc(count, size)) == NULL)
		memory_ended(count, size);
	return p;
}

void *
xreallocarray(void *old, size_t count, size_t size)
{
	void	*p;

	/* A size of 0 would free old and return NULL. */
	if (count == 0 || size == 0)
		count = size = 1;
	if ((p = reallocarray(old, count, size)) == NULL)
		memory_ended(count, size);
	return p;
}

char *
xstrdup(const char *text)
{
	char	*copy;

	if ((copy = strdup(text)) == NULL)
		memory_ended(strlen(text) + 1, 1);
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list	 ap;
	char	*text;
	int	 len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len == -1)
		memory_ended(strlen(fmt) + 1, 1);
	return text;
}
