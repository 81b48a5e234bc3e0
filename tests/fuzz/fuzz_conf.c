#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Load data as a file; what is refused must say why, a line an error. */
static struct conf *
load(const void *data, size_t size)
{
	struct conf_errors	 errors;
	struct conf_source	 source = { 0 };
	struct conf		*conf;
	char			*path;
	int			 fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	path = xasprintf("/proc/self/fd/%d", fd);
	source.file = path;
	conf = conf_load(&source, &errors);
	if ((conf == NULL) != (errors.count > 0) || errors.usage)
		abort();
	for (size_t i = 0; i < errors.count; i++)
		if (strchr(errors.lines[i], '\n') != NULL)
			abort();
	conf_errors_free(&errors);
	free(path);
	close(fd);
	return conf;
}

static char *
dump(const struct conf *conf, size_t *size)
{
	char	*text = NULL;
	FILE	*f = open_memstream(&text, size);

	if (f == NULL)
		abort();
	conf_dump(conf, f);
	fclose(f);
	return text;
}

/* The comments go: they tell of places, which differ between two dumps. */
static void
strip(char *text)
{
	char	*to = text, *line, *end, *comment;
	size_t	 len;

	for (line = text; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		if (*end != '\0')
			*end++ = '\0';
		comment = strstr(line, " ; ");
		if (comment != NULL && strchr(line, '"') == NULL)
			*comment = '\0';
		if (*line == ';')
			continue;
		len = strlen(line);
		memmove(to, line, len);
		to += len;
		*to++ = '\n';
	}
	*to = '\0';
}

/* What a new master would be handed is the same to it. */
static void
hand_over(const struct conf *conf)
{
	struct conf_errors	 errors;
	struct conf		*again;
	size_t			 len;
	char			*text = conf_print(conf, &len);

	if ((again = conf_load_text(text, len, false, &errors)) == NULL ||
	    conf_diff(conf, again, NULL, NULL) != 0)
		abort();
	conf_free(again);
	free(text);
}

/* A configuration that loads is dumped as one that loads to the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf	*conf = load(data, size), *again;
	char		*first, *second;
	size_t		 len;

	if (conf == NULL)
		return 0;
	hand_over(conf);
	first = dump(conf, &len);
	if ((again = load(first, len)) == NULL)
		abort();
	second = dump(again, &len);
	strip(first);
	strip(second);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	conf_free(again);
	conf_free(conf);
	return 0;
}
