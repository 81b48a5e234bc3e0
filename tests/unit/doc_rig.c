#include "tests/unit/doc_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "master/options.h"

char *
doc_path(const char *name)
{
	const char	*tests = getenv("TESTS");

	return xasprintf("%s/../%s", tests == NULL ? "tests" : tests, name);
}

char *
doc_read(const char *name)
{
	char		*path = doc_path(name);
	FILE		*file = fopen(path, "re");
	char		*text = NULL;
	size_t		 size = 0;

	cr_assert_not_null(file, "cannot read %s", path);
	cr_assert_neq(getdelim(&text, &size, '\0', file), -1);
	fclose(file);
	free(path);
	return text;
}

char *
doc_part(const char *text, const char *from, const char *to)
{
	char	*mark = xasprintf("\n%s", from), *end;
	char	*begin = strstr(text, mark), *out;

	cr_assert_not_null(begin, "no line begins with %s", from);
	out = xstrdup(begin + strlen(mark));
	free(mark);
	mark = xasprintf("\n%s", to);
	if ((end = strstr(out, mark)) != NULL)
		end[1] = '\0';
	free(mark);
	return out;
}

void
doc_expect_line(const char *text, const char *line)
{
	char	*whole = xasprintf("\n%s\n", line);

	cr_expect_not_null(strstr(text, whole), "there is no line %s", line);
	free(whole);
}

int
doc_count_lines(const char *text, const char *begin)
{
	char	*mark = xasprintf("\n%s", begin);
	int	 n = 0;

	for (const char *p = text; (p = strstr(p, mark)) != NULL; p++)
		n++;
	free(mark);
	return n;
}

char *
doc_help(void)
{
	FILE	*old = stdout;
	char	*text = NULL;
	size_t	 size;

	stdout = open_memstream(&text, &size);
	cr_assert_not_null(stdout);
	options_help();
	fclose(stdout);
	stdout = old;
	return text;
}

bool
doc_has_code(const char *rows, const char *before, int code, const char *after)
{
	char	*row = xasprintf("\n%s%d%s", before, code, after);
	bool	 found = strstr(rows, row) != NULL;

	free(row);
	return found;
}
