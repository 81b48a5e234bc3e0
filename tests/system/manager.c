#include "tests/system/manager.h"

#include <sys/socket.h>
#include <sys/stat.h>
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
	int	 fd;		/* until it was kept, or -1 */
};

#define KEPT_MAX	16

struct kept {
	char	 name[300];
	int	 fd;
};

static struct kept kept[KEPT_MAX];
static int nkept;
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
	it->fd = -1;
	header = CMSG_FIRSTHDR(&msg);
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(&it->fd, CMSG_DATA(header), sizeof(it->fd));
	return true;
}

static bool
is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

/* As service_add_fd_store() and service_remove_fd_store() do. */
static void
keep(struct said *it)
{
	const char *name = strstr(it->text, "FDNAME=");
	bool removes = strncmp(it->text, "FDSTOREREMOVE=1\n", 16) == 0;

	if (name == NULL || (!removes && it->fd == -1))
		return;
	name += strlen("FDNAME=");
	for (int i = nkept - 1; i >= 0; i--) {
		if (!removes && is_same(kept[i].fd, it->fd))
			return;
		if (!removes || strcmp(kept[i].name, name) != 0)
			continue;
		close(kept[i].fd);
		kept[i] = kept[--nkept];
	}
	if (removes)
		return;
	cr_assert_lt(nkept, KEPT_MAX);
	snprintf(kept[nkept].name, sizeof(kept[nkept].name), "%s", name);
	kept[nkept++].fd = it->fd;
	it->fd = -1;
}

static void
hear_all(void)
{
	for (; manager != -1 && nsaid < SAID_MAX && hear(&said[nsaid]);
	    nsaid++) {
		keep(&said[nsaid]);
		if (said[nsaid].fd != -1)
			close(said[nsaid].fd);
	}
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

const char *
manager_text(int at)
{
	return at == -1 ? "" : said[at].text;
}

int
manager_await(struct rig *r, const char *begin)
{
	if (!eventually_ms(manager_at(begin, 0) != -1, 30000))
		rig_fail(r, "the manager was not told %s, but %s", begin,
		    nsaid == 0 ? "nothing" : said[nsaid - 1].text);
	return manager_at(begin, 0);
}

/* ---- keeping */

int
manager_kept(void)
{
	hear_all();
	return nkept;
}

int
manager_kept_at(const char *end)
{
	size_t len = strlen(end);

	hear_all();
	for (int i = 0; i < nkept; i++)
		if (strlen(kept[i].name) > len && strcmp(kept[i].name +
		    strlen(kept[i].name) - len, end) == 0)
			return i;
	return -1;
}

void
manager_pass_kept(struct rig *r)
{
	char names[KEPT_MAX * 300] = "", count[16];

	hear_all();
	cr_assert_leq(nkept, (int)(sizeof(r->pass) / sizeof(r->pass[0])));
	for (r->npass = 0; r->npass < nkept; r->npass++) {
		r->pass[r->npass] = kept[nkept - 1 - r->npass].fd;
		strcat(names, r->npass == 0 ? "" : ":");
		strcat(names, kept[nkept - 1 - r->npass].name);
	}
	snprintf(count, sizeof(count), "%d", nkept);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	if (npid_of == 0)
		manager_name_pid(r, "LISTEN_PID");
}

void
manager_forget(void)
{
	hear_all();
	nsaid = 0;
}
