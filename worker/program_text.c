#include "worker/program_priv.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Why a file cannot be executed, where execve(2)'s error is not plain. */
static const struct {
	int		 error;
	const char	*text;
} reasons[] = {
	{ ETXTBSY,	"somebody is writing to it" },
	{ E2BIG,	"the arguments and the environment are too large" },
	{ ELOOP,	"symbolic links, or #! lines, lead in a circle" },
	{ EAGAIN,	"its user has too many processes already" },
	{ EPERM,	"the file system does not allow it" },
};

/* The first of its bytes, as text. False: it cannot be read. */
static bool
read_head(const char *path, char *out, size_t size)
{
	ssize_t	 n;
	int	 fd;

	out[0] = '\0';
	/* A file that somebody else made may be a FIFO. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return false;
	n = read(fd, out, size - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

/* It is there, and yet "no such file": what it needs to run is not. */
static void
say_missing(const char *path, char *out, size_t size)
{
	char	 head[256], *name;
	bool	 dos;

	if (!read_head(path, head, sizeof(head)) ||
	    strncmp(head, "#!", 2) != 0) {
		snprintf(out, size, "cannot run \"%s\": the loader it asks "
		    "for does not exist (built for another system?)", path);
		return;
	}
	name = head + 2 + strspn(head + 2, " \t");
	name[strcspn(name, " \t\n")] = '\0';
	dos = name[0] != '\0' && name[strlen(name) - 1] == '\r';
	name[strcspn(name, "\r")] = '\0';
	snprintf(out, size, "cannot run \"%s\": the interpreter in its first "
	    "line, \"%s\", does not exist%s", path, name,
	    dos ? " (the line ends in a carriage return)" : "");
}

static void
say_not_found(const struct program *program, int error, char *out,
    size_t size)
{
	const char	*name = program->argv[0], *path;
	struct stat	 st;
	char		**at;

	for (at = program->paths; *at != NULL; at++) {
		if (stat(*at, &st) == 0) {
			say_missing(*at, out, size);
			return;
		}
	}
	path = env_get(&program->env, "PATH");
	if (strchr(name, '/') != NULL || name[0] == '\0')
		snprintf(out, size, "cannot run \"%s\": %s", name,
		    strerror(error));
	else
		snprintf(out, size, "cannot run \"%s\": it is not in PATH, "
		    "which is %s", name, path != NULL ? path : "not set");
}

static void
say_denied(const struct program *program, const char *path, char *out,
    size_t size)
{
	const char	*user = program->conf->master.user, *why;
	struct stat	 st;

	if (stat(path, &st) == -1)
		why = "a folder on the way may not be entered";
	else if (S_ISDIR(st.st_mode))
		why = "it is a folder";
	else if (!S_ISREG(st.st_mode))
		why = "it is no file";
	else if ((st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
		why = "it is not executable (chmod +x)";
	else
		why = "it, its interpreter or a folder on the way does not "
		    "allow it";
	snprintf(out, size, "cannot run \"%s\": %s%s%s: %s", path,
	    strerror(EACCES), user != NULL ? " for user " : "",
	    user != NULL ? user : "", why);
}

static void
say_no_program(const char *path, char *out, size_t size)
{
	char		 head[256];
	const char	*why = "it is not a program: no #! line?";

	if (!read_head(path, head, sizeof(head)))
		why = "it is not a program";
	else if (head[0] == '\0')
		why = "it is empty, or not a program";
	else if (strncmp(head, "\177ELF", 4) == 0)
		why = "it is a program for another machine, or damaged";
	snprintf(out, size, "cannot run \"%s\": %s", path, why);
}

static void
say_exec(const struct program_failure *failure,
    const struct program *program, char *out, size_t size)
{
	const char	*why = strerror(failure->error);
	size_t		 i;

	if (failure->path == NULL) {
		say_not_found(program, failure->error, out, size);
		return;
	}
	if (failure->error == EACCES) {
		say_denied(program, failure->path, out, size);
		return;
	}
	if (failure->error == ENOEXEC) {
		say_no_program(failure->path, out, size);
		return;
	}
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].error == failure->error)
			why = reasons[i].text;
	snprintf(out, size, "cannot run \"%s\": %s", failure->path, why);
}

static bool
is_exec(const struct program_failure *failure)
{
	return strcmp(failure->step, "exec") == 0;
}

const char *
program_failure_text(const struct program_failure *failure,
    const struct program *program, char *out, size_t size)
{
	struct err	 err;

	if (is_exec(failure)) {
		say_exec(failure, program, out, size);
		return out;
	}
	if (failure->confine.failed != NULL)
		confine_failure(program->conf, &failure->confine, &err);
	else {
		errno = failure->error;
		err_sys(&err, "cannot prepare \"%s\" (%s)", program->argv[0],
		    failure->step);
	}
	snprintf(out, size, "%s", err.text);
	return out;
}

bool
program_hopeless(const struct program_failure *failure)
{
	static const int	 passing[] = { EAGAIN, ENOMEM, EMFILE, ENFILE,
				    EINTR, EIO };
	size_t			 i;

	if (!is_exec(failure))
		return false;
	for (i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (failure->error == passing[i])
			return false;
	return true;
}
