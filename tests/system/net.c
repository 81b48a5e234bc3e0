#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/net.h"

static socklen_t
parse_unix(const char *path, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	size_t len = strlen(path);

	un->sun_family = AF_UNIX;
	if (len >= sizeof(un->sun_path))
		return 0;
	memcpy(un->sun_path, path, len + 1);
	if (path[0] != '@')
		return sizeof(*un);
	un->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static socklen_t
parse_ip(const char *addr, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	const char *colon = strrchr(addr, ':');
	char host[64];

	if (colon == NULL)
		return 0;
	if (addr[0] == '[') {
		snprintf(host, sizeof(host), "%.*s",
		    (int)(colon - addr) - 2, addr + 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(colon + 1));
		if (strcmp(host, "::") == 0)
			strcpy(host, "::1");
		inet_pton(AF_INET6, host, &in6->sin6_addr);
		return sizeof(*in6);
	}
	snprintf(host, sizeof(host), "%.*s", (int)(colon - addr), addr);
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)atoi(colon + 1));
	if (host[0] == '\0' || strcmp(host, "0.0.0.0") == 0)
		strcpy(host, "127.0.0.1");
	inet_pton(AF_INET, host, &in->sin_addr);
	return sizeof(*in);
}

static void
come_from(int fd, unsigned source)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int on = 1;

	in.sin_addr.s_addr = htonl(0x7f000000U + 0x10000U +
	    source % 0xfff000U);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	bind(fd, (struct sockaddr *)&in, sizeof(in));
}

int
net_connect(const char *addr, unsigned source)
{
	struct sockaddr_storage to = { 0 };
	socklen_t len;
	int fd, saved;

	len = strncmp(addr, "unix:", 5) == 0 ? parse_unix(addr + 5, &to) :
	    parse_ip(addr, &to);
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd == -1)
		return -1;
	if (source != 0 && to.ss_family == AF_INET)
		come_from(fd, source);
	if (connect(fd, (struct sockaddr *)&to, len) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
net_bind(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		return -1;
	return fd;
}

int
net_listen(int backlog)
{
	int fd = net_bind();

	return fd == -1 || listen(fd, backlog) == -1 ? -1 : fd;
}

int
net_port(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	if (getsockname(fd, (struct sockaddr *)&in, &len) == -1)
		return -1;
	return ntohs(in.sin_port);
}
