#include "master/probe_priv.h"

#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/mem.h"
#include "master/procfs.h"

#define TCP_STATE_LISTEN	10	/* as proc(5) writes it: 0A */
#define UNIX_STATE_CONNECTED	3
#define PORTS			64
#define TABLE_MAX		(256 * 1024)	/* bytes */

struct tables {
	struct probe	*probe;
	unsigned int	 ours[PORTS];	/* where our sockets listen */
	size_t		 nours;
	unsigned int	 theirs[PROBE_OTHERS];	/* local, of connections */
	size_t		 ntheirs;
	size_t		 tcp;		/* so many of our sockets are TCP, */
	size_t		 known;		/* and of theirs, too */
	bool		 heads;		/* only who listens: they come first */
	bool		 doubt;		/* one may come from a Unix socket */
	bool		 cut;		/* a table was not read to its end */
	char		*elsewhere;
	size_t		 size;
};

/* ---- one line each */

/* The kernel prints the words of an address as they lie in memory. */
static bool
parse_host(const char *hex, struct sockaddr_storage *ss)
{
	struct sockaddr_in	*in = (void *)ss;
	struct sockaddr_in6	*in6 = (void *)ss;
	uint32_t		 words[4];
	unsigned int		 word;
	size_t			 n = strlen(hex) / 8;

	memset(ss, 0, sizeof(*ss));
	if (n != 1 && n != 4)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (sscanf(hex + 8 * i, "%8x", &word) != 1)
			return false;
		words[i] = word;
	}
	ss->ss_family = n == 1 ? AF_INET : AF_INET6;
	memcpy(n == 1 ? (void *)&in->sin_addr : (void *)&in6->sin6_addr, words,
	    n * sizeof(*words));
	return true;
}

static void
add_elsewhere(struct tables *t, const struct sockaddr_storage *ss)
{
	size_t	 len = strlen(t->elsewhere);
	char	 text[64];

	addr_format((const struct sockaddr *)ss, sizeof(*ss), text,
	    sizeof(text));
	if (len + strlen(text) + 2 <= t->size)
		snprintf(t->elsewhere + len, t->size - len, "%s%s",
		    len == 0 ? "" : " ", text);
}

/* The port lies at the same place in both kinds of an address. */
static in_port_t *
port_of(struct sockaddr_storage *ss)
{
	return &((struct sockaddr_in *)(void *)ss)->sin_port;
}

/* Enough is known once all is, and it does not take our ports to judge. */
static bool
is_done(const struct tables *t)
{
	return t->known == t->probe->nothers && (t->tcp == t->probe->count ||
	    !t->heads || (!t->doubt && t->ntheirs == 0));
}

static void
on_our_tcp(struct tables *t, unsigned int port)
{
	t->tcp++;
	if (t->nours < PORTS)
		t->ours[t->nours++] = port;
	else
		t->probe->unsure = true;
}

static void
on_their_tcp(struct tables *t, struct sockaddr_storage *ss, bool listens)
{
	if (listens)
		add_elsewhere(t, ss);
	else
		t->theirs[t->ntheirs++] = ntohs(*port_of(ss));
}

/* Once each: what one table knows need not be asked of the next. */
static bool
is_news(struct tables *t, struct probe_other *other)
{
	if (other == NULL || other->known)
		return false;
	other->known = true;
	t->known++;
	return true;
}

static bool
on_tcp(void *arg, const char *line)
{
	struct tables		*t = arg;
	struct sockaddr_storage	 ss;
	char			 host[33];
	unsigned int		 port, state;
	unsigned long long	 ino;

	if (sscanf(line, " %*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*d "
	    "%llu", host, &port, &state, &ino) != 4)
		return true;
	if (t->heads && state != TCP_STATE_LISTEN)
		return false;
	if (t->heads && probe_is_ours(t->probe, ino)) {
		on_our_tcp(t, port);
	} else if (ino != 0 && parse_host(host, &ss) &&
	    is_news(t, probe_other(t->probe, ino))) {
		*port_of(&ss) = htons((uint16_t)port);
		on_their_tcp(t, &ss, state == TCP_STATE_LISTEN);
	}
	return !is_done(t);
}

/* A connected socket has a name if it is the side that was connected to. */
static bool
on_unix(void *arg, const char *line)
{
	struct tables		*t = arg;
	unsigned int		 state;
	unsigned long long	 ino;
	char			 path[2];
	int			 n;

	n = sscanf(line, "%*s %*s %*s %*s %*s %x %llu %1s", &state, &ino,
	    path);
	if (n >= 2 && is_news(t, probe_other(t->probe, ino)) && n == 3 &&
	    state == UNIX_STATE_CONNECTED)
		t->doubt = true;
	return true;
}

/* ---- asking the socket itself */

static void
on_copy(struct tables *t, struct probe_other *other, int fd)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss), size = sizeof(int);
	int			 listens = 0, type = 0;

	memset(&ss, 0, sizeof(ss));
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == -1 ||
	    !is_news(t, other) || type != SOCK_STREAM)
		return;
	if (ss.ss_family == AF_INET || ss.ss_family == AF_INET6)
		on_their_tcp(t, &ss, listens != 0);
	else if (ss.ss_family == AF_UNIX && listens == 0 &&
	    len > offsetof(struct sockaddr_un, sun_path))
		t->doubt = true;
}

/*
 * A copy of it (pidfd_getfd(2)), where the tables may be long. Only of our
 * own user's: the last to close a socket may have to wait (SO_LINGER), which
 * another could make us.
 */
static void
ask(struct tables *t, struct probe_other *other)
{
	struct stat	 st;
	int		 pidfd, fd;

	if (!probe_is_own(other->pid) ||
	    (pidfd = pidfd_open(other->pid, 0)) == -1)
		return;
	if ((fd = pidfd_getfd(pidfd, other->fd, 0)) != -1) {
		if (fstat(fd, &st) == 0 && st.st_ino == other->ino)
			on_copy(t, other, fd);
		close(fd);
	}
	close(pidfd);
}

/* ---- the tables, of the worker's own network */

static void
read_table(struct tables *t, const char *file, procfs_line_fn *on_line)
{
	int	 r;

	if (is_done(t))
		return;
	r = procfs_lines(t->probe->leader, file, TABLE_MAX, on_line, t);
	if (r == 1)
		t->cut = true;
	/* there may be no IPv6 here */
	if (r == -1 && (errno != ENOENT || strcmp(file, "net/tcp6") != 0))
		t->probe->unsure = true;
}

static bool
has_our_port(const struct tables *t)
{
	for (size_t i = 0; i < t->ntheirs; i++)
		for (size_t j = 0; j < t->nours; j++)
			if (t->theirs[i] == t->ours[j])
				return true;
	return false;
}

/*
 * The kernel walks through every connection there is to fill the second half
 * of a table. That is done only for one that listens elsewhere.
 */
static void
read_tables(struct tables *t)
{
	read_table(t, "net/unix", on_unix);
	t->heads = true;
	read_table(t, "net/tcp", on_tcp);
	read_table(t, "net/tcp6", on_tcp);
	t->heads = false;
	if (t->elsewhere[0] == '\0') {
		t->cut = t->cut || t->known < t->probe->nothers;
		return;
	}
	read_table(t, "net/tcp", on_tcp);
	read_table(t, "net/tcp6", on_tcp);
}

void
probe_net(struct probe *probe, char *elsewhere, size_t size)
{
	struct tables	*t = xcalloc(1, sizeof(*t));

	t->probe = probe;
	t->elsewhere = elsewhere;
	t->size = size;
	for (size_t i = 0; i < probe->nothers; i++)
		ask(t, &probe->others[i]);
	read_tables(t);
	if (has_our_port(t))
		probe->used = true;
	else if ((t->cut && t->known < probe->nothers) ||
	    ((t->cut || t->doubt) && t->tcp < probe->count))
		probe->unsure = true;
	free(t);
}
