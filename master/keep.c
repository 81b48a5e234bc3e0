#include "master/keep.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/mirror.h"

/*
 * In the mirror, by descriptor. The first one's spare says how many there may
 * be in use: a look at the others would cost memory.
 */
static struct mirror	*home;
static struct keep_row	*rows;

/* From keep_check() to keep_sweep(): whom nobody has taken up. By fd; owned. */
static bool		*ownerless;

static size_t
top(void)
{
	return rows[0].spare <= KEEP_MAX ? rows[0].spare : KEEP_MAX;
}

static int
note(struct mirror *mirror, struct keep_row *to, int fd, uint32_t kind)
{
	struct stat	 st;

	if (fd >= KEEP_MAX) {
		errno = EMFILE;
		return -1;
	}
	if (fstat(fd, &st) == -1 || mirror_keep_room(mirror, fd) == -1)
		return -1;
	to[fd].dev = (uint64_t)st.st_dev;
	to[fd].ino = (uint64_t)st.st_ino;
	/* Last: the handler takes it from now on. */
	__atomic_store_n(&to[fd].kind, kind, __ATOMIC_RELEASE);
	if ((uint32_t)fd >= to[0].spare)
		__atomic_store_n(&to[0].spare, (uint32_t)fd + 1,
		    __ATOMIC_RELEASE);
	return 0;
}

int
keep_open(struct mirror *mirror, struct err *err)
{
	struct keep_row	*to;
	size_t		 fd;

	if (mirror == NULL) {
		home = NULL;
		rows = NULL;
		return 0;
	}
	to = mirror_keeps(mirror);
	if (mirror_keep_room(mirror, 0) == -1)
		return err_sys(err, "cannot keep descriptors");
	for (fd = 0; rows != NULL && fd < top(); fd++)
		if (rows[fd].kind != KEEP_NONE &&
		    note(mirror, to, (int)fd, rows[fd].kind) == -1)
			return err_sys(err, "cannot keep descriptor %zu", fd);
	home = mirror;
	rows = to;
	return 0;
}

void
keep_forget(void)
{
	home = NULL;
	rows = NULL;
}

void
keep_add(int fd, enum keep_kind kind)
{
	if (rows == NULL || fd < 0)
		return;
	if (ownerless != NULL && fd < KEEP_MAX)
		ownerless[fd] = false;
	if (note(home, rows, fd, kind) == -1)
		log_event(EV_STATE_NOTE, log_str("msg",
		    "a descriptor will not survive a new image"),
		    log_int("fd", fd), log_errno());
}

void
keep_drop(int fd)
{
	if (rows == NULL || fd < 0 || (size_t)fd >= top())
		return;
	__atomic_store_n(&rows[fd].kind, (uint32_t)KEEP_NONE,
	    __ATOMIC_RELEASE);
	while (rows[0].spare > 0 &&
	    rows[rows[0].spare - 1].kind == KEEP_NONE)
		rows[0].spare--;
}

static bool
still(int fd, uint64_t dev, uint64_t ino)
{
	struct stat	 st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_dev == dev &&
	    (uint64_t)st.st_ino == ino;
}

size_t
keep_check(const struct keep_saved *saved, size_t count)
{
	size_t	 i, missing = 0;
	int	 fd;

	free(ownerless);
	ownerless = xcalloc(KEEP_MAX, sizeof(*ownerless));
	for (i = 0; i < count; i++) {
		if (!still(saved[i].fd, saved[i].dev, saved[i].ino)) {
			missing++;
			continue;
		}
		/* In this order: a crash in between must not lose it. */
		fd = saved[i].fd;
		keep_add(fd, (enum keep_kind)saved[i].kind);
		fd_cloexec(fd, true);
		ownerless[fd] = fd > STDERR_FILENO && fd < KEEP_MAX;
	}
	return missing;
}

size_t
keep_sweep(void)
{
	size_t	 swept = 0;
	int	 fd;

	for (fd = 0; ownerless != NULL && fd < KEEP_MAX; fd++)
		if (ownerless[fd]) {
			keep_drop(fd);
			close(fd);
			swept++;
		}
	free(ownerless);
	ownerless = NULL;
	return swept;
}

bool
keep_has(int fd, enum keep_kind kind)
{
	return rows != NULL && fd >= 0 && (size_t)fd < top() &&
	    rows[fd].kind == (uint32_t)kind &&
	    still(fd, rows[fd].dev, rows[fd].ino);
}

/* ---- exposure */

void
keep_expose_rows(const struct keep_row *list)
{
	size_t	 fd, end = list[0].spare;

	if (end > KEEP_MAX)
		end = KEEP_MAX;
	for (fd = 0; fd < end; fd++)
		if (list[fd].kind != KEEP_NONE)
			fcntl((int)fd, F_SETFD, 0);
}

void
keep_expose(void)
{
	if (rows != NULL)
		keep_expose_rows(rows);
}

void
keep_expose_saved(const struct keep_saved *saved, size_t count)
{
	size_t	 i;

	for (i = 0; i < count; i++)
		if (still(saved[i].fd, saved[i].dev, saved[i].ino))
			fd_cloexec(saved[i].fd, false);
}

void
keep_hide(void)
{
	size_t	 fd;

	for (fd = 0; rows != NULL && fd < top(); fd++)
		if (rows[fd].kind != KEEP_NONE)
			fd_cloexec((int)fd, true);
}
