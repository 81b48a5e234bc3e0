#include "common/fd.h"

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_FD	3	/* after stdin, stdout and stderr */

int
fd_cloexec(int fd, bool on)
{
	int	 flags;

	if ((flags = fcntl(fd, F_GETFD)) == -1)
		return -1;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags);
}

int
fd_nonblock(int fd, bool on)
{
	int	 flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1)
		return -1;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

static int
by_number(const void *a, const void *b)
{
	int	 left = *(const int *)a, right = *(const int *)b;

	return (left > right) - (left < right);
}

int
fd_close_except(int *keep, size_t count)
{
	int	 from = FIRST_FD;
	size_t	 i;

	if (count > 0)
		qsort(keep, count, sizeof(*keep), by_number);
	for (i = 0; i < count; i++) {
		if (keep[i] < from)
			continue;
		if (keep[i] > from && close_range((unsigned int)from,
		    (unsigned int)keep[i] - 1, 0) == -1)
			return -1;
		from = keep[i] + 1;
	}
	return close_range((unsigned int)from, ~0U, 0);
}

int
fd_null(int fd)
{
	int	 null, saved;

	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return -1;
	if (null == fd)		/* fd was closed, and is the lowest free */
		return fd_cloexec(fd, false);
	if (dup2(null, fd) == -1) {
		saved = errno;
		close(null);
		errno = saved;
		return -1;
	}
	close(null);
	return 0;
}

bool
fd_socket_is(int fd, int option, int value)
{
	int		 is;
	socklen_t	 len = sizeof(is);

	return getsockopt(fd, SOL_SOCKET, option, &is, &len) == 0 &&
	    is == value;
}
