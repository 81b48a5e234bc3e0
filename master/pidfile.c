#include "master/pidfile.h"

#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"

/*
 * The lock tells who is alive, so every file is locked before it has its name.
 * Who finds a file must lock it, and see that it still has the name, before it
 * may be replaced; who finds none renames without replacing. Any other outcome
 * starts over: somebody else was quicker, and is seen the next time.
 */
#define TRIES		200	/* of a millisecond and more */
#define TEMP_MAX	32

struct pidfile {
	int	 dir;		/* the folder; survives a chdir(2) */
	char	*base;		/* owned */
	int	 fd;		/* locked, as long as we live; -1 */
	dev_t	 dev;
	ino_t	 ino;
	pid_t	 owner;		/* a forked child has no say */
};

enum step { STEP_DONE, STEP_AGAIN, STEP_HELD, STEP_REFUSED };

static enum step
refuse(const char *path, const char *why, struct err *err)
{
	err_set(err, "cannot write pidfile %s: %s", path, why);
	return STEP_REFUSED;
}

static enum step
refuse_sys(const char *path, struct err *err)
{
	return refuse(path, strerror(errno), err);
}

static int
open_folder(struct pidfile *pf, const char *path)
{
	const char	*slash = strrchr(path, '/');
	char		*folder;

	if (slash == NULL)
		folder = xstrdup(".");
	else
		folder = xasprintf("%.*s/", (int)(slash - path), path);
	pf->dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	pf->base = xstrdup(slash == NULL ? path : slash + 1);
	if (pf->dir != -1 && *pf->base == '\0') {
		errno = EISDIR;
		return -1;
	}
	return pf->dir == -1 ? -1 : 0;
}

/* Digits and a newline, nothing else; 0 for all that is no pid. */
static pid_t
read_pid(int fd)
{
	char	 text[16];
	ssize_t	 len = pread(fd, text, sizeof(text) - 1, 0);
	long	 pid = 0;

	if (len < 2 || len > 11 || text[len - 1] != '\n')
		return 0;
	for (ssize_t i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		pid = pid * 10 + (text[i] - '0');
	}
	return pid > INT32_MAX ? 0 : (pid_t)pid;
}

/*
 * Somebody holds the lock. A pid that is not alive is that of a master gone by
 * whose file is being replaced right now: its successor's will be there soon.
 */
static enum step
held(const char *path, int fd, struct err *err)
{
	pid_t	 pid = read_pid(fd);

	if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)) {
		err_set(err, "pidfile %s is held by the live process %d",
		    path, (int)pid);
		return STEP_HELD;
	}
	err_set(err, "pidfile %s is locked by a live process", path);
	return STEP_AGAIN;
}

/* May the file that fd is be replaced? It is locked from here on. */
static enum step
check(const struct pidfile *pf, const char *path, int fd, struct err *err)
{
	struct stat	 st, now;

	if (fstat(fd, &st) == -1)
		return refuse_sys(path, err);
	if (!S_ISREG(st.st_mode))
		return refuse(path, "it is no regular file", err);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK ? held(path, fd, err) :
		    refuse_sys(path, err);
	if (fstat(fd, &st) == -1)
		return refuse_sys(path, err);
	if (fstatat(pf->dir, pf->base, &now, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? STEP_AGAIN : refuse_sys(path, err);
	if (now.st_dev != st.st_dev || now.st_ino != st.st_ino)
		return STEP_AGAIN;
	if (st.st_nlink != 1)
		return refuse(path, "it has another name, too", err);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(path, "it belongs to another user", err);
	return STEP_DONE;
}

static int
fill(int fd)
{
	char	 text[16];
	int	 len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t	 n;

	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fchmod(fd, 0644) == -1)
		return -1;
	n = write(fd, text, (size_t)len);
	if (n >= 0 && n < len)
		errno = ENOSPC;
	return n == len ? 0 : -1;
}

/* Our file, locked and written, under a name of its own; -1 with errno. */
static int
write_aside(struct pidfile *pf, char temp[TEMP_MAX])
{
	struct stat	 st;
	uint32_t	 salt;
	int		 fd, saved;

	if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
		return -1;
	snprintf(temp, TEMP_MAX, ".muster-pid.%08x", salt);
	fd = openat(pf->dir, temp,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (fill(fd) == 0 && fstat(fd, &st) == 0) {
		pf->dev = st.st_dev;
		pf->ino = st.st_ino;
		return fd;
	}
	saved = errno;
	unlinkat(pf->dir, temp, 0);
	close(fd);
	errno = saved;
	return -1;
}

/* Give temp its name; replace says whether the name may be taken already. */
static int
move(const struct pidfile *pf, const char *temp, bool replace)
{
	if (replace)
		return renameat(pf->dir, temp, pf->dir, pf->base);
	if (renameat2(pf->dir, temp, pf->dir, pf->base, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	/* a file system that cannot: a second name will do */
	if (linkat(pf->dir, temp, pf->dir, pf->base, 0) == -1)
		return -1;
	unlinkat(pf->dir, temp, 0);
	return 0;
}

static enum step
publish(struct pidfile *pf, const char *path, bool replace, struct err *err)
{
	char	 temp[TEMP_MAX];
	int	 error;

	pf->fd = write_aside(pf, temp);
	if (pf->fd == -1)
		return refuse_sys(path, err);
	if (move(pf, temp, replace) == 0)
		return STEP_DONE;
	error = errno;
	unlinkat(pf->dir, temp, 0);
	close(pf->fd);
	pf->fd = -1;
	errno = error;
	return error == EEXIST ? STEP_AGAIN : refuse_sys(path, err);
}

static enum step
try_once(struct pidfile *pf, const char *path, struct err *err)
{
	enum step	 step;
	int		 old;

	/* O_NONBLOCK: a FIFO must not make us wait for its other end */
	old = openat(pf->dir, pf->base,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (old == -1 && errno == ENOENT)
		return publish(pf, path, false, err);
	if (old == -1)
		return errno == ELOOP ? refuse(path, "it is a symbolic link",
		    err) : refuse_sys(path, err);
	step = check(pf, path, old, err);
	if (step == STEP_DONE)
		step = publish(pf, path, true, err);
	close(old);
	return step;
}

static void
let_go(struct pidfile *pf)
{
	if (pf->fd != -1)
		close(pf->fd);
	if (pf->dir != -1)
		close(pf->dir);
	free(pf->base);
	free(pf);
}

struct pidfile *
pidfile_take(const char *path, int *code, struct err *err)
{
	struct timespec	 pause = { .tv_nsec = 1000 * 1000 };
	struct pidfile	*pf = xcalloc(1, sizeof(*pf));
	enum step	 step = STEP_AGAIN;

	*pf = (struct pidfile){ .dir = -1, .fd = -1, .owner = getpid() };
	err_set(err, "pidfile %s changes all the time", path);
	if (open_folder(pf, path) == -1)
		step = refuse_sys(path, err);
	for (int i = 0; i < TRIES && step == STEP_AGAIN; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		step = try_once(pf, path, err);
	}
	if (step == STEP_DONE)
		return pf;
	*code = step == STEP_REFUSED ? PIDFILE_REFUSED : PIDFILE_HELD;
	let_go(pf);
	return NULL;
}

int
pidfile_fd(const struct pidfile *pf)
{
	return pf->fd;
}

struct pidfile *
pidfile_restore(const char *path, int fd, struct err *err)
{
	struct pidfile	*pf = xcalloc(1, sizeof(*pf));
	struct stat	 st;

	*pf = (struct pidfile){ .dir = -1, .fd = -1, .owner = getpid() };
	if (open_folder(pf, path) == -1 || fstat(fd, &st) == -1) {
		err_sys(err, "cannot look at pidfile %s", path);
		let_go(pf);
		return NULL;
	}
	pf->dev = st.st_dev;
	pf->ino = st.st_ino;
	pf->fd = fd;
	return pf;
}

void
pidfile_drop(struct pidfile *pf)
{
	struct stat	 st;

	if (pf == NULL)
		return;
	/* the lock goes last: whoever waits for it must not find the file */
	if (pf->owner == getpid() &&
	    fstatat(pf->dir, pf->base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == pf->dev && st.st_ino == pf->ino)
		unlinkat(pf->dir, pf->base, 0);
	let_go(pf);
}
