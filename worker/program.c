#include "worker/program_priv.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define DEFAULT_PATH	"/usr/local/bin:/bin:/usr/bin"

/* ---- what is run */

static int
plan_words(struct program *program, const struct program_boot *boot,
    struct err *err)
{
	const struct conf_worker	*worker = &boot->conf->worker;
	size_t				 i;

	program->argv = xcalloc(worker->ncommand + 1, sizeof(char *));
	for (i = 0; i < worker->ncommand; i++) {
		program->argv[i] = program_word(worker->command[i], boot, err);
		if (program->argv[i] == NULL)
			return -1;
	}
	return 0;
}

/*
 * Where execvp(3) would look, with the PATH that the program will have. Found
 * out anew at each start by trying: what was there last time may be gone.
 */
static void
plan_paths(struct program *program)
{
	const char	*name = program->argv[0], *path, *end;
	size_t		 count = 2, len;

	path = env_get(&program->env, "PATH");
	if (path == NULL)
		path = DEFAULT_PATH;
	for (end = path; *end != '\0'; end++)
		count += *end == ':';
	program->paths = xcalloc(count, sizeof(char *));
	if (strchr(name, '/') != NULL || name[0] == '\0') {
		program->paths[0] = xstrdup(name);
		return;
	}
	for (count = 0; ; path += len + 1) {
		len = strcspn(path, ":");
		/* An empty folder's name is the current one's. */
		program->paths[count++] = xasprintf("%.*s%s%s", (int)len, path,
		    len > 0 ? "/" : "", name);
		if (path[len] == '\0')
			return;
	}
}

/* ---- what it is given */

/* Ours, or /dev/null where we have none or let go of our starter's. */
static int
own_output(int fd, const struct program_boot *boot)
{
	if (boot->conf->master.daemon || fcntl(fd, F_GETFD) == -1)
		return boot->null_fd;
	return fd;
}

static void
plan_fds(struct program *program, const struct program_boot *boot)
{
	bool	 on_stdin = boot->conf->worker.sockets & DIALECT_STDIN;
	int	*source, fd;
	size_t	 i;

	program->nfds = PROGRAM_STDIO + (int)boot->nsockets;
	source = xcalloc((size_t)program->nfds, sizeof(*source));
	source[STDIN_FILENO] = on_stdin && boot->nsockets > 0 ?
	    boot->sockets[0].fd : boot->null_fd;
	for (fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		source[fd] = boot->out_fd != -1 ? boot->out_fd :
		    own_output(fd, boot);
		program->terminal |= isatty(source[fd]) == 1;
	}
	for (i = 0; i < boot->nsockets; i++)
		source[PROGRAM_STDIO + i] = boot->sockets[i].fd;
	program->source = source;
	program->copies = xcalloc((size_t)program->nfds, sizeof(int));
}

static int
death_signal(const struct conf_worker *worker)
{
	switch (worker->on_master_death) {
	case MASTER_DEATH_SERVE:
		return 0;
	case MASTER_DEATH_KILL:
		return SIGKILL;
	default:
		return worker->stop_signal;
	}
}

struct program *
program_new(const struct program_boot *boot, struct err *err)
{
	struct program	*program = xcalloc(1, sizeof(*program));

	program->conf = boot->conf;
	program->slot = boot->slot;
	program->master_pid = boot->master_pid;
	program->death_signal = death_signal(&boot->conf->worker);
	env_init(&program->env, boot->conf, boot->original);
	if (plan_words(program, boot, err) == -1 ||
	    env_contract(&program->env, boot, program->pids, err) == -1) {
		program_free(program);
		return NULL;
	}
	plan_paths(program);
	plan_fds(program, boot);
	return program;
}

static void
free_all(char **texts)
{
	char	**text;

	for (text = texts; text != NULL && *text != NULL; text++)
		free(*text);
	free(texts);
}

void
program_free(struct program *program)
{
	if (program == NULL)
		return;
	free_all(program->argv);
	free_all(program->paths);
	env_free(&program->env);
	free(program->source);
	free(program->copies);
	free(program);
}
