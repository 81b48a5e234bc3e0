#include <sys/stat.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/heal_priv.h"

static char	*program_path;	/* owned */

const char *
heal_path(void)
{
	return program_path == NULL ? "" : program_path;
}

void
heal_set_path(const char *path)
{
	char	*copy = xstrdup(path);

	free(program_path);
	program_path = copy;
}

/* Does this name lead to what we are? Then it is taken, made absolute. */
static bool
take(const char *path)
{
	char		*folder, *whole;
	struct stat	 that, ours;

	if (stat("/proc/self/exe", &ours) == -1 || stat(path, &that) == -1 ||
	    that.st_dev != ours.st_dev || that.st_ino != ours.st_ino)
		return false;
	if (path[0] == '/') {
		heal_set_path(path);
		return true;
	}
	if ((folder = getcwd(NULL, 0)) == NULL)
		return false;
	whole = xasprintf("%s/%s", folder, path);
	heal_set_path(whole);
	free(whole);
	free(folder);
	return true;
}

/* As execvp(3) looks for a name without a slash. */
static bool
take_from(const char *search, const char *name)
{
	char		 path[PATH_MAX];
	const char	*at, *end;
	int		 len;

	for (at = search; at != NULL; at = *end == '\0' ? NULL : end + 1) {
		end = strchrnul(at, ':');
		len = (int)(end - at);
		snprintf(path, sizeof(path), "%.*s%s%s", len, at,
		    len == 0 ? "" : "/", name);
		if (take(path))
			return true;
	}
	return false;
}

void
heal_find_path(const char *name)
{
	static const char	 gone[] = " (deleted)";
	char			 path[PATH_MAX];
	ssize_t			 n;

	if (name != NULL && (strchr(name, '/') != NULL ? take(name) :
	    take_from(getenv("PATH"), name)))
		return;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	n -= (ssize_t)sizeof(gone) - 1;
	if (n > 0 && strcmp(path + n, gone) == 0)
		path[n] = '\0';
	heal_set_path(path);
}
