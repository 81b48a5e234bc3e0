#include "master/survivors.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

static int
cannot(int fd, const char *name, struct err *err)
{
	int	 error = errno;

	close(fd);
	errno = error;
	if (error != EADDRINUSE)
		return err_sys(err, "cannot lock the name %s", name);
	return err_set(err, "another master is being started with --adopt "
	    "under the name %s", name);
}

/*
 * Two that look at the same time would not see each other. An address that one
 * alone can have is given up by the kernel, however its holder ends.
 */
int
survivors_lock(const char *name, struct err *err)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	size_t			 len;
	int			 fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_sys(err, "no socket to lock the name %s with", name);
	/* An abstract one; a name has 48 characters at most. */
	len = (size_t)snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "muster/adopt/%lu/%s", (unsigned long)geteuid(), name);
	len += offsetof(struct sockaddr_un, sun_path) + 1;
	if (len > sizeof(sun))
		len = sizeof(sun);
	if (bind(fd, (struct sockaddr *)&sun, (socklen_t)len) == -1)
		return cannot(fd, name, err);
	return fd;
}
