#include "common/conf_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

/*
 * The command: do its places for sockets name any, and is its program there?
 */

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

void
conf_check_command(struct conf_load *load)
{
	const struct conf_key		*key;
	const struct conf_origin	*from;
	const char	*name = load->conf->worker.command[0], *why;
	char		 quoted[QUOTE_SIZE];
	bool		 searched = strchr(name, '/') == NULL;
	int		 failure;

	failure = searched ? try_path(load->conf, name) :
	    try_file(load->conf, name);
	if (failure == 0)
		return;
	key = conf_key_by_name("worker", "command");
	from = &load->conf->origins->keys[conf_key_nr(key)];
	conf_quote(name, quoted);
	why = searched && failure == ENOENT ? "not found in PATH" :
	    strerror(failure);
	/* What is not there is no mistake in how we were called. */
	if (from->kind == ORIGIN_OPTION)
		conf_report_line(load->errors, "muster: [worker] command: "
		    "%s: %s", quoted, why);
	else
		conf_report(load, from, key, "%s: %s", quoted, why);
}

/*
 * How many sockets a worker has, or -1 where only the start shows it: a host
 * name may have several addresses, and without bind there may be LISTEN_FDS.
 */
static int
count_sockets(const struct conf_listen *listen)
{
	unsigned char	 bytes[sizeof(struct in6_addr)];
	int		 count = 0;

	if (!listen->bind_given)
		return -1;
	for (size_t i = 0; i < listen->nbind; i++) {
		const struct addr	*addr = &listen->bind[i];

		if (addr->kind == ADDR_TCP && addr->host != NULL &&
		    inet_pton(AF_INET, addr->host, bytes) != 1 &&
		    inet_pton(AF_INET6, addr->host, bytes) != 1)
			return -1;
		count += addr->kind != ADDR_NONE;
	}
	return count;
}

static bool
has_socket(const struct conf_listen *listen, const char *name)
{
	for (size_t i = 0; i < listen->nbind; i++)
		if (listen->bind[i].kind != ADDR_NONE &&
		    strcmp(listen->bind[i].name, name) == 0)
			return true;
	return !listen->bind_given;
}

/*
 * What is wrong with a place, what stands behind its colon; NULL: nothing.
 * A name is that of {fd:NAME} alone.
 */
static const char *
place_fault(const struct conf_listen *listen, const char *what, bool named)
{
	int	 count = count_sockets(listen);
	int64_t	 number;

	switch (value_parse_number(what, 0, 1000000, &number)) {
	case VALUE_OK:
		return count == -1 || number < count ? NULL :
		    "there are not so many sockets";
	case VALUE_RANGE:
		return "there are not so many sockets";
	case VALUE_BAD:
		break;
	}
	if (!named || !addr_name_ok(what))
		return named ? "takes a number from 0 or a socket's name" :
		    "takes a number from 0";
	return has_socket(listen, what) ? NULL :
	    "there is no socket of that name";
}

/* One at text, behind its "{fd:" or "{addr:"; returns what is behind it. */
static const char *
check_place(struct conf_load *load, const char *text, size_t prefix)
{
	const struct conf_key	*key = conf_key_by_name("worker", "command");
	const char		*what = text + prefix, *end, *why;
	char			*place, quoted[QUOTE_SIZE];

	end = what + strcspn(what, "{}");
	place = xstrdup(what);
	place[end - what] = '\0';
	why = place_fault(&load->conf->listen, place, text[1] == 'f');
	free(place);
	if (*end != '}')
		why = "has no }";
	if (why == NULL)
		return end;
	place = xstrdup(text);
	place[end - text + (*end == '}')] = '\0';
	conf_report(load, &load->conf->origins->keys[conf_key_nr(key)], key,
	    "%s: %s", conf_quote(place, quoted), why);
	free(place);
	return end;
}

/* Other braces are the program's own. */
void
conf_check_places(struct conf_load *load)
{
	const struct conf_worker	*worker = &load->conf->worker;

	for (size_t i = 0; i < worker->ncommand; i++)
		for (const char *p = worker->command[i]; *p != '\0'; p++) {
			if (strncmp(p, "{fd:", 4) == 0)
				p = check_place(load, p, 4) - 1;
			else if (strncmp(p, "{addr:", 6) == 0)
				p = check_place(load, p, 6) - 1;
		}
}
