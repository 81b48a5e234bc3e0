#include "master/listener_priv.h"

#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"

/*
 * A Unix socket is made under another name in the same folder, and renamed
 * when it listens: whoever finds it under its own name is answered, and no
 * name is taken away from a live server.
 */
#define LOCK_TRIES	200	/* of 10 ms, for the folder's lock */
#define TEMP_MAX	128	/* longer than sun_path */

static int
new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* With its socket, in the plan's set. NULL with err. */
static struct listener *
new_listener(struct plan *plan, const struct addr *addr, struct err *err)
{
	struct listener	*l;
	int		 fd = new_socket();

	if (fd == -1 || (!plan->options.nonblock &&
	    fd_nonblock(fd, false) == -1)) {
		listener_error(addr->text, err);
		if (fd != -1)
			close(fd);
		return NULL;
	}
	l = listener_new(addr->kind, addr->text, addr->text, fd);
	l->options = plan->options;
	set_add(plan->set, l, addr->name);
	return l;
}

static int
open_abstract(struct plan *plan, const struct addr *addr, struct err *err)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	struct listener		*l;
	size_t			 len = strlen(addr->path);

	if (len > sizeof(sun.sun_path) - 1)
		return err_set(err, "cannot listen on %s: a name has %zu bytes "
		    "at most", addr->text, sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path + 1, addr->path, len);
	if ((l = new_listener(plan, addr, err)) == NULL)
		return -1;
	if (bind(l->fds[0], (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) ==
	    -1 || listen(l->fds[0], l->options.backlog) == -1 ||
	    listener_ask_name(l) == -1)
		return listener_error(addr->text, err);
	return 0;
}

/* The folder of path in *dir, its last part in *base. */
static int
split_path(const char *path, int *dir, char **base)
{
	const char	*slash = strrchr(path, '/');
	char		*folder;

	if (slash == NULL)
		folder = xstrdup(".");
	else
		folder = xasprintf("%.*s/", (int)(slash - path), path);
	*dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	*base = xstrdup(slash == NULL ? path : slash + 1);
	if (*dir != -1 && **base == '\0') {
		errno = EISDIR;
		return -1;
	}
	return *dir == -1 ? -1 : 0;
}

/*
 * Bind fd to a fresh name, which is written to temp. The name that others see
 * (getpeername(2), ss(8)) stays this one for ever, so it is made of path,
 * where it is not too long.
 */
static int
bind_temp(int fd, const char *path, int dir, char temp[TEMP_MAX])
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	const char		*slash = strrchr(path, '/');
	const char		*base = slash == NULL ? path : slash + 1;
	char			 shorter[16];
	uint32_t		 salt;
	int			 len;

	for (int tries = 0; tries < 16; tries++) {
		if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
			return -1;
		len = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s.%08x",
		    path, salt);
		snprintf(temp, TEMP_MAX, "%s.%08x", base, salt);
		if ((size_t)len >= sizeof(sun.sun_path)) {
			snprintf(shorter, sizeof(shorter), ".%08x", salt);
			snprintf(sun.sun_path, sizeof(sun.sun_path),
			    "/proc/self/fd/%d/%s", dir, shorter);
			snprintf(temp, TEMP_MAX, "%s", shorter);
		}
		if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
	}
	return -1;
}

enum holder { HOLDER_NONE, HOLDER_DEAD, HOLDER_LIVE, HOLDER_OTHER,
	HOLDER_UNKNOWN };

/* Who holds path? HOLDER_UNKNOWN comes with errno. */
static enum holder
probe(const char *path, int dir, const char *base)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	struct stat		 st;
	int			 fd, r, error;

	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? HOLDER_NONE : HOLDER_UNKNOWN;
	if (!S_ISSOCK(st.st_mode))
		return HOLDER_OTHER;
	memcpy(sun.sun_path, path, strlen(path));
	fd = new_socket();
	if (fd == -1)
		return HOLDER_UNKNOWN;
	r = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	error = errno;
	close(fd);
	errno = error;
	if (r == 0 || error == EAGAIN || error == EPROTOTYPE)
		return HOLDER_LIVE;
	if (error == ECONNREFUSED)
		return HOLDER_DEAD;
	return error == ENOENT ? HOLDER_NONE : HOLDER_UNKNOWN;
}

/*
 * Two who both find a dead socket must not replace it both: the second would
 * replace the first's live one. The folder's own lock leaves no file behind;
 * others may hold it, so it is not waited for without end.
 */
static int
lock_folder(int dir)
{
	struct timespec	 pause = { .tv_nsec = 10 * 1000 * 1000 };
	int		 fd, saved;

	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) == -1; tries++) {
		if (errno != EINTR &&
		    (errno != EWOULDBLOCK || tries >= LOCK_TRIES)) {
			saved = errno;
			close(fd);
			errno = saved;
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

static int
refused(const struct addr *addr, enum holder holder, struct err *err)
{
	if (holder == HOLDER_LIVE)
		return err_set(err, "cannot listen on %s: a live server holds "
		    "it", addr->text);
	if (holder == HOLDER_OTHER)
		return err_set(err, "cannot listen on %s: a file that is no "
		    "socket is there", addr->text);
	return listener_error(addr->text, err);
}

/* Rename temp to the socket's own name, over a dead one if need be. */
static int
place(struct listener *l, const struct addr *addr, const char *temp,
    struct err *err)
{
	enum holder	 holder;
	int		 lock, r = -1;

	if (renameat2(l->dir, temp, l->dir, l->base, RENAME_NOREPLACE) == 0)
		return 0;
	/* EINVAL: a file system without RENAME_NOREPLACE */
	if (errno != EEXIST && errno != EINVAL)
		return listener_error(addr->text, err);
	lock = lock_folder(l->dir);
	if (lock == -1)
		return err_sys(err, "cannot listen on %s: cannot lock its "
		    "folder", addr->text);
	holder = probe(addr->path, l->dir, l->base);
	if (holder != HOLDER_NONE && holder != HOLDER_DEAD)
		r = refused(addr, holder, err);
	else if (renameat(l->dir, temp, l->dir, l->base) == -1)
		r = listener_error(addr->text, err);
	else
		r = 0;
	close(lock);
	return r;
}

/* Mode and owner are set before anybody can connect. */
static int
prepare(struct listener *l, const struct conf_listen *conf, const char *temp)
{
	struct stat	 st;

	if (fchmodat(l->dir, temp, (mode_t)conf->unix_mode, 0) == -1)
		return -1;
	if ((conf->unix_uid != (uid_t)-1 || conf->unix_gid != (gid_t)-1) &&
	    fchownat(l->dir, temp, conf->unix_uid, conf->unix_gid,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	if (fstatat(l->dir, temp, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return listen(l->fds[0], conf->backlog);
}

static int
open_path(struct plan *plan, const struct addr *addr, struct err *err)
{
	struct listener	*l = new_listener(plan, addr, err);
	char		 temp[TEMP_MAX];
	int		 r;

	if (l == NULL)
		return -1;
	r = split_path(addr->path, &l->dir, &l->base);
	if (l->dir != -1)
		listener_note_fd(l->dir, LISTENER_FOLDER, true);
	if (r == -1 || bind_temp(l->fds[0], addr->path, l->dir, temp) == -1)
		return listener_error(addr->text, err);
	if (prepare(l, plan->conf, temp) == -1 || listener_ask_name(l) == -1)
		listener_error(addr->text, err);
	else if (place(l, addr, temp, err) == 0)
		return 0;
	unlinkat(l->dir, temp, 0);
	return -1;
}

int
unix_open(struct plan *plan, const struct addr *addr, struct err *err)
{
	size_t	 max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (addr->kind == ADDR_ABSTRACT)
		return open_abstract(plan, addr, err);
	if (strlen(addr->path) > max)
		return err_set(err, "cannot listen on %s: a path has %zu bytes "
		    "at most", addr->text, max);
	return open_path(plan, addr, err);
}

/* Its file tells how it has to look. False: the name is somebody else's. */
static bool
is_ours(const struct listener *l, struct conf_listen *look)
{
	struct stat	 st;

	if (l->dir == -1 || fstatat(l->dir, l->base, &st,
	    AT_SYMLINK_NOFOLLOW) == -1 || st.st_dev != l->dev ||
	    st.st_ino != l->ino) {
		errno = ESTALE;
		return false;
	}
	*look = (struct conf_listen){ .backlog = l->options.backlog,
		.unix_mode = st.st_mode & 07777, .unix_uid = (uid_t)-1,
		.unix_gid = (gid_t)-1 };
	if (st.st_uid != geteuid())
		look->unix_uid = st.st_uid;
	if (st.st_gid != getegid())
		look->unix_gid = st.st_gid;
	return true;
}

static int
bind_again(struct listener *l, const struct addr *addr,
    const struct conf_listen *look)
{
	char		 temp[TEMP_MAX];
	struct err	 err;
	int		 saved;

	if (!l->options.nonblock && fd_nonblock(l->fds[0], false) == -1)
		return -1;
	if (bind_temp(l->fds[0], addr->path, l->dir, temp) == -1)
		return -1;
	if (prepare(l, look, temp) == 0 && listener_ask_name(l) == 0 &&
	    place(l, addr, temp, &err) == 0)
		return 0;
	saved = errno;
	unlinkat(l->dir, temp, 0);
	errno = saved;
	return -1;
}

/*
 * It takes the dead one's number in the end: whoever keeps that one need not
 * know. Whoever finds the name before that finds the dead one.
 */
static int
replace(struct listener *l, const struct addr *addr,
    const struct conf_listen *look)
{
	struct listener	 was = *l;
	int		 fd = new_socket(), number = l->fds[0], r, saved;

	if (fd == -1)
		return -1;
	l->fds[0] = fd;
	r = bind_again(l, addr, look);
	l->fds[0] = number;
	if (r == 0)
		r = dup3(fd, number, O_CLOEXEC) == -1 ? -1 : 0;
	if (r == -1) {
		l->dev = was.dev;
		l->ino = was.ino;
		l->sa = was.sa;
		l->salen = was.salen;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

int
unix_open_again(struct listener *l)
{
	struct conf_listen	 look;
	struct addr		 addr;
	struct err		 err;
	int			 r, saved;

	if (!is_ours(l, &look))
		return -1;
	if (addr_parse(l->key, &addr, &err) == -1) {
		errno = EINVAL;
		return -1;
	}
	r = replace(l, &addr, &look);
	saved = errno;
	addr_free(&addr);
	errno = saved;
	return r;
}

void
unix_unlink(struct listener *l)
{
	struct stat	 st;

	if (l->dir == -1)
		return;
	if (fstatat(l->dir, l->base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == l->dev && st.st_ino == l->ino)
		unlinkat(l->dir, l->base, 0);
	listener_note_fd(l->dir, LISTENER_FOLDER, false);
	close(l->dir);
	l->dir = -1;
}
