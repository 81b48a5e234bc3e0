#include "tests/system/manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/rig.h"

#define SAID_MAX	2048

struct said {
	char	 text[400];
	int64_t	 ms;
	int	 fd;
};

static struct sockaddr_un address;
static socklen_t address_len;
static int manager = -1;
static struct said said[SAID_MAX];
static int nsaid;
static const char *pid_of[2];
static int npid_of;

void
manager_back(void)
{
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	cr_assert_eq(bind(manager, (struct sockaddr *)&address, address_len),
	    0, "bind: %s", strerror(errno));
}

void
manager_open(bool abstract)
{
	const char *path = rig_path("notify");
	char text[sizeof(address.sun_path)];

	if (abstract)
		snprintf(text, sizeof(text), "@muster-manager-%d",
		    (int)getpid());
	else
		snprintf(text, sizeof(text), "%s", path);
	address.sun_family = AF_UNIX;
	memset(address.sun_path, 0, sizeof(address.sun_path));
	memcpy(address.sun_path, text, strlen(text));
	if (abstract)
		address.sun_path[0] = '\0';
	address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(text) + !abstract);
	manager_back();
	setenv("NOTIFY_SOCKET", text, 1);
}

void
manager_gone(void)
{
	close(manager);
	manager = -1;
	unlink(address.sun_path);
}

void
manager_fill(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&address,
	    address_len) == 1)
		continue;
	cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
	close(fd);
}

/* In the child, which has one thread and ends with exec. */
static void
name_pid(void *arg)
{
	char pid[16];

	(void)arg;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (int i = 0; i < npid_of; i++)
		setenv(pid_of[i], pid, 1);
}

void
manager_name_pid(struct rig *r, const char *variable)
{
	cr_assert_lt(npid_of, 2);
	pid_of[npid_of++] = variable;
	r->child = name_pid;
}

/* ---- hearing */

static bool
hear(struct said *it)
{
	union {
		struct cmsghdr	 align;
		char		 bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { it->text, sizeof(it->text) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	ssize_t n = recvmsg(manager, &msg, MSG_CMSG_CLOEXEC);

	if (n == -1)
		return false;
	it->text[n] = '\0';
	it->ms = rig_now_ms();
	it->fd = -1;
	header = CMSG_FIRSTHDR(&msg);
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(&it->fd, CMSG_DATA(header), sizeof(it->fd));
	return true;
}

static void
hear_all(void)
{
	while (manager != -1 && nsaid < SAID_MAX && hear(&said[nsaid]))
		nsaid++;
	cr_assert_lt(nsaid, SAID_MAX, "too much is said");
}

int
manager_at(const char *begin, int nth)
{
	hear_all();
	for (int i = 0; i < nsaid; i++)
		if (strncmp(said[i].text, begin, strlen(begin)) == 0 &&
		    nth-- == 0)
			return i;
	return -1;
}

int
manager_count(const char *begin)
{
	int n = 0;

	while (manager_at(begin, n) != -1)
		n++;
	return n;
}

int64_t
manager_ms(int at)
{
	return said[at].ms;
}

const char *
manager_text(int at)
{
	return at == -1 ? "" : said[at].text;
}

int
manager_fd(int at)
{
	return said[at].fd;
}

int
manager_await(struct rig *r, const char *begin)
{
	if (!eventually_ms(manager_at(begin, 0) != -1, 30000))
		rig_fail(r, "the manager was not told %s, but %s", begin,
		    nsaid == 0 ? "nothing" : said[nsaid - 1].text);
	return manager_at(begin, 0);
}

void
manager_forget(void)
{
	hear_all();
	for (int i = 0; i < nsaid; i++)
		if (said[i].fd != -1)
			close(said[i].fd);
	nsaid = 0;
}
