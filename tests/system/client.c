#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

#define HEAR_MS		WAIT_MS
#define LINE_MAX_	131072

int
client_try(const char *addr, int timeout_ms)
{
	struct timeval wait = { HEAR_MS / 1000, 0 };
	struct pollfd pfd;
	int fd, error = 0;
	socklen_t len = sizeof(error);

	if ((fd = net_connect(addr, 0)) == -1)
		return -1;
	pfd = (struct pollfd){ fd, POLLOUT, 0 };
	if (poll(&pfd, 1, timeout_ms) != 1)
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		close(fd);
		errno = error;
		return -1;
	}
	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

int
client_connect(const char *addr)
{
	int fd = client_try(addr, HEAR_MS);

	cr_assert_neq(fd, -1, "connect to %s: %s", addr, strerror(errno));
	return fd;
}

int
rig_connect(struct rig *r)
{
	int fd = client_try(r->addr, HEAR_MS);

	if (fd == -1)
		rig_fail(r, "connect to %s: %s", r->addr, strerror(errno));
	return fd;
}

void
client_say(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t sent;

	for (; left > 0; text += sent, left -= (size_t)sent) {
		sent = send(fd, text, left, MSG_NOSIGNAL);
		cr_assert_gt(sent, 0, "send: %s", strerror(errno));
	}
}

const char *
client_hear(int fd)
{
	static char line[LINE_MAX_];
	size_t len = 0;
	ssize_t got;

	while (len < sizeof(line) - 1) {
		if ((got = recv(fd, line + len, 1, 0)) < 0)
			return NULL;
		if (got == 0 || line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	return line;
}

bool
client_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) == 0;
}

const char *
client_ask(const char *addr, const char *line)
{
	const char *answer;
	int fd = client_connect(addr);

	client_say(fd, line);
	answer = client_hear(fd);
	close(fd);
	return answer;
}

const char *
rig_ask(struct rig *r, const char *line)
{
	const char *answer;
	int fd = rig_connect(r);

	client_say(fd, line);
	answer = client_hear(fd);
	close(fd);
	return answer;
}
