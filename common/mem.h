#ifndef MUSTER_MEM_H
#define MUSTER_MEM_H

#include <stddef.h>

/*
 * Memory that is there: when it ends, these say so on the log and abort(3).
 * What they return is freed with free(3).
 */
void	*xcalloc(size_t count, size_t size);
void	*xreallocarray(void *old, size_t count, size_t size);
char	*xstrdup(const char *text);
char	*xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
