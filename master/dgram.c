#include "master/dgram.h"

#include <sys/socket.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PASSED_MAX	253	/* the kernel's SCM_MAX_FD */

/*
 * The last close of a socket that lingers waits for its peer, which would let
 * a worker hold us up for as long as it likes.
 */
static void
close_passed(const struct cmsghdr *header)
{
	const struct linger	 off = { 0 };
	size_t			 i, count;
	int			 fd;

	count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
		close(fd);
	}
}

static void
take_control(struct msghdr *message, struct dgram *got)
{
	struct cmsghdr	*header;
	struct ucred	 cred;

	for (header = CMSG_FIRSTHDR(message); header != NULL;
	    header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_RIGHTS)
			close_passed(header);
		if (header->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&cred, CMSG_DATA(header), sizeof(cred));
		got->pid = cred.pid;
		got->uid = cred.uid;
	}
}

/*
 * There is room for as many descriptors as can be passed; those that we could
 * not have, the kernel closes.
 */
static bool
receive(int fd, char *text, size_t size, int flags, struct dgram *got)
{
	union {
		struct cmsghdr	 align;
		char		 bytes[CMSG_SPACE(sizeof(struct ucred)) +
				    CMSG_SPACE(PASSED_MAX * sizeof(int))];
	}		 control;
	struct iovec	 iov = { text, size };
	struct msghdr	 message = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t		 n;

	do
		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC |
		    flags);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return false;
	*got = (struct dgram){ .len = (size_t)n,
	    .cut = (message.msg_flags & MSG_TRUNC) != 0 };
	take_control(&message, got);
	return true;
}

bool
dgram_read(int fd, char *text, size_t size, struct dgram *got)
{
	return receive(fd, text, size, 0, got);
}

bool
dgram_peek(int fd, char *text, size_t size, struct dgram *got)
{
	return receive(fd, text, size, MSG_PEEK, got);
}
