#ifndef MUSTER_DOC_RIG_H
#define MUSTER_DOC_RIG_H

#include <stdbool.h>

/*
 * Manuals and README as text, for tests that hold them to the tables. What is
 * returned is owned; what is not found fails the test.
 */

/* A path in the tree; its file's text. */
char	*doc_path(const char *name);
char	*doc_read(const char *name);

/* From behind a line's beginning "from" to a line that begins with "to". */
char	*doc_part(const char *text, const char *from, const char *to);

void	 doc_expect_line(const char *text, const char *line);
int	 doc_count_lines(const char *text, const char *begin);

/* What --help prints. */
char	*doc_help(void);

/* Is there a line of before, the exit code and after? */
bool	 doc_has_code(const char *rows, const char *before, int code,
	    const char *after);

#endif
