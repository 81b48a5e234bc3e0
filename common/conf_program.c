#include "common/conf_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

/* Is the command's program there? */

/* As execvp(3) has it where there is no PATH. */
#define PATH_FALLBACK	"/bin:/usr/bin"

/* The PATH of the workers; borrowed. */
static const char *
worker_path(const struct conf *conf)
{
	const char	*ours = getenv("PATH"), *path;

	path = conf->env_clear ? NULL : ours;
	for (size_t i = 0; i < conf->nenv; i++)
		if (strcmp(conf->env[i].name, "PATH") == 0)
			path = conf->env[i].value != NULL ?
			    conf->env[i].value : ours;
	return path != NULL ? path : PATH_FALLBACK;
}

/* 0, or errno: why file, in dir if relative, could not be executed. */
static int
try_file(const struct conf *conf, const char *file)
{
	struct stat	 st;
	char		*path;
	int		 failure = 0;

	if (*file == '/' || conf->master.chdir == NULL)
		path = xstrdup(file);
	else
		path = xasprintf("%s/%s", conf->master.chdir, file);
	if (stat(path, &st) == -1)
		failure = errno;
	else if (!S_ISREG(st.st_mode) || access(path, X_OK) == -1)
		failure = EACCES;
	free(path);
	return failure;
}

/* The first that can be executed; else a refusal outweighs an absence. */
static int
try_path(const struct conf *conf, const char *name)
{
	char	*copy = xstrdup(worker_path(conf)), *rest = copy, *dir, *file;
	int	 failure = ENOENT, one = ENOENT;

	while (one != 0 && (dir = strsep(&rest, ":")) != NULL) {
		file = xasprintf("%s/%s", *dir == '\0' ? "." : dir, name);
		one = try_file(conf, file);
		free(file);
		if (one == 0 || one == EACCES)
			failure = one;
	}
	free(copy);
	return failure;
}

int
conf_command_check(const struct conf *conf, struct err *err)
{
	const char	*name;
	char		 quoted[QUOTE_SIZE];
	bool		 searched;
	int		 failure;

	if (!conf_is_program(conf))
		return 0;
	name = conf->worker.command[0];
	searched = strchr(name, '/') == NULL;
	failure = searched ? try_path(conf, name) : try_file(conf, name);
	if (failure == 0)
		return 0;
	return err_set(err, "[worker] command: %s: %s",
	    conf_quote(name, quoted), searched && failure == ENOENT ?
	    "not found in PATH" : strerror(failure));
}
