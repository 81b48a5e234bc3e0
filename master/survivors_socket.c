#include "master/survivors.h"

#include <sys/pidfd.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "master/listener.h"
#include "master/procfs.h"

/* Sockets to be looked at in one process. */
#define SOCKETS_MAX	65536

struct look {
	const struct survivor	*survivor;
	const struct survivors_ask *ask;
	int			 fd;	/* found, or -1 */
	int			 error;	/* we may not, or 0 */
	int			 most;
};

static bool
is_had(const struct survivors_ask *ask, ino_t ino)
{
	for (size_t i = 0; i < ask->nhave; i++)
		if (ask->have[i] == ino)
			return true;
	return false;
}

static bool
on_descriptor(void *arg, int number)
{
	struct look	*look = arg;
	ino_t		 ino;
	int		 fd;

	if (!procfs_socket(look->survivor->pid, number, &ino) ||
	    is_had(look->ask, ino))
		return true;
	fd = pidfd_getfd(look->survivor->pidfd, number, 0);
	if (fd == -1) {
		/* It was closed just now, or the process has ended. */
		if (errno != EBADF && errno != ESRCH)
			look->error = errno;
		return look->error == 0 && --look->most > 0;
	}
	if (listens_at(fd, look->ask->addr, look->ask->sa)) {
		look->fd = fd;
		return false;
	}
	close(fd);
	return --look->most > 0;
}

static int
cannot_take(const struct survivor *survivor, int error, struct err *err)
{
	errno = error;
	if (error == EPERM || error == EACCES)
		return err_sys(err, "cannot take a socket from worker pid %d "
		    "(that needs root, or the same user where ptrace(2) is "
		    "allowed: see kernel.yama.ptrace_scope)",
		    (int)survivor->pid);
	return err_sys(err, "cannot take a socket from worker pid %d",
	    (int)survivor->pid);
}

/* A descriptor, or -1 with why in error; 0 there: it has no such socket. */
static int
take(const struct survivor *survivor, const struct survivors_ask *ask,
    int *error)
{
	struct look	 look = { .survivor = survivor, .ask = ask,
			    .fd = -1, .most = SOCKETS_MAX };
	char		 folder[32];

	snprintf(folder, sizeof(folder), "%d/fd", (int)survivor->pid);
	if (procfs_each(folder, on_descriptor, &look) == -1 &&
	    errno != ENOENT && errno != ESRCH)
		look.error = errno;
	*error = look.error;
	return look.fd;
}

/* That we may not look at one is a better reason than that none has it. */
int
survivors_socket(const struct survivors *survivors,
    const struct survivors_ask *ask, struct err *err)
{
	int	 error, fd, why = ENOENT;

	err_set(err, "no worker that is left listens at %s", ask->addr->text);
	for (size_t i = 0; i < survivors->count; i++) {
		fd = take(&survivors->list[i], ask, &error);
		if (fd != -1)
			return fd;
		if (error == 0)
			continue;
		cannot_take(&survivors->list[i], error, err);
		why = error;
	}
	errno = why;
	return -1;
}
