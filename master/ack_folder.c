#include "master/ack_folder.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define PATH_ROOM	sizeof(((struct sockaddr_un *)0)->sun_path)
#define NAME_ROOM	12	/* "/", the socket's name and the NUL */
#define FORM		"ack-%d-"	/* our pid */

/* ---- where */

static const char *
variable(const char *name)
{
	const char	*value = getenv(name);

	return value != NULL && *value == '/' ? value : NULL;
}

static char *
runtime_directory(void)
{
	const char	*value = variable("RUNTIME_DIRECTORY");

	if (value == NULL)
		return NULL;
	return xasprintf("%.*s", (int)strcspn(value, ":"), value);
}

/* It has to be ours, or somebody could put another in place of what we make. */
static char *
own_folder(char *path, mode_t mode)
{
	struct stat	 st;

	mkdir(path, mode);
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return path;
	free(path);
	return NULL;
}

static char *
xdg_runtime(void)
{
	const char	*value = variable("XDG_RUNTIME_DIR");

	return value == NULL ? NULL :
	    own_folder(xasprintf("%s/muster", value), 0700);
}

static char *
run_muster(void)
{
	return geteuid() != 0 ? NULL : own_folder(xstrdup("/run/muster"),
	    0755);
}

static char *
temporary(void)
{
	const char	*value = variable("TMPDIR");

	return xstrdup(value != NULL ? value : "/tmp");
}

static char *(*const places[])(void) = {
	runtime_directory, xdg_runtime, run_muster, temporary
};

/* ---- what */

static char *
make_in(const char *place, struct err *err)
{
	char	*path = xasprintf("%s/" FORM "XXXXXX", place, (int)getpid());

	if (strlen(path) + NAME_ROOM > PATH_ROOM)
		err_set(err, "cannot make a folder in %s: the path is too long",
		    place);
	else if (mkdtemp(path) == NULL)
		err_sys(err, "cannot make a folder in %s", place);
	else if (chmod(path, 0711) == 0)
		return path;
	else {
		err_sys(err, "cannot open %s for workers", path);
		rmdir(path);
	}
	free(path);
	return NULL;
}

char *
ack_folder_make(struct err *err)
{
	char	*place, *path = NULL;
	size_t	 i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]) && path == NULL;
	    i++) {
		if ((place = places[i]()) == NULL)
			continue;
		path = make_in(place, err);
		free(place);
	}
	return path;
}

bool
ack_folder_ours(const char *path, size_t len)
{
	char		 copy[PATH_ROOM], form[32];
	const char	*name;
	struct stat	 st;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, path, len);
	copy[len] = '\0';
	snprintf(form, sizeof(form), FORM, (int)getpid());
	return (name = strrchr(copy, '/')) != NULL &&
	    strncmp(name + 1, form, strlen(form)) == 0 &&
	    lstat(copy, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid();
}
