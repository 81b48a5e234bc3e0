#include "tests/unit/conf_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

struct conf_rig
conf_rig(const char *text, const struct conf_setting *settings, size_t count)
{
	struct conf_rig		 rig = { .file = "/tmp/muster-conf-XXXXXX" };
	struct conf_source	 source = { NULL, settings, count, NULL,
				    false };
	int			 fd;

	fd = mkstemp(rig.file);
	cr_assert_neq(fd, -1);
	if (text != NULL) {
		cr_assert_eq(write(fd, text, strlen(text)),
		    (ssize_t)strlen(text));
		source.file = rig.file;
	}
	close(fd);
	rig.conf = conf_load(&source, &rig.errors);
	return rig;
}

void
conf_rig_end(struct conf_rig *rig)
{
	unlink(rig->file);
	conf_free(rig->conf);
	conf_errors_free(&rig->errors);
}

char *
conf_rig_dump(const struct conf *conf)
{
	char	*text = NULL, *line, *rest, *comment, *out = xstrdup("");
	char	*longer;
	size_t	 len;
	FILE	*f = open_memstream(&text, &len);

	cr_assert_not_null(f);
	conf_dump(conf, f);
	fclose(f);
	for (rest = text; (line = strsep(&rest, "\n")) != NULL; ) {
		if (*line == '\0' || *line == ';')
			continue;
		if (strchr(line, '"') == NULL &&
		    (comment = strstr(line, " ; ")) != NULL)
			*comment = '\0';
		longer = xasprintf("%s%s\n", out, line);
		free(out);
		out = longer;
	}
	free(text);
	return out;
}

char *
rig_slurp(const char *path, size_t *len)
{
	FILE	*f = fopen(path, "re");
	char	*data = xcalloc(1, (1 << 20) + 2);
	size_t	 n;

	cr_assert_not_null(f, "%s", path);
	n = fread(data, 1, (1 << 20) + 1, f);
	fclose(f);
	if (len != NULL)
		*len = n;
	return data;
}

char *
rig_path(const char *below)
{
	const char	*tests = getenv("TESTS");

	return xasprintf("%s/%s", tests == NULL ? "tests" : tests, below);
}
