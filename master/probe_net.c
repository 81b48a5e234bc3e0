#include "master/probe_priv.h"

#include <sys/socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr.h"
#include "common/mem.h"
#include "master/procfs.h"

#define TCP_STATE_LISTEN	10	/* as proc(5) writes it: 0A */
#define UNIX_STATE_CONNECTED	3
#define PORTS			64
#define TABLE_MAX		(1024 * 1024)	/* bytes */

struct tables {
	struct probe	*probe;
	unsigned int	 ours[PORTS];	/* where our sockets listen */
	size_t		 nours;
	unsigned int	 theirs[PROBE_OTHERS];	/* local, of connections */
	size_t		 ntheirs;
	size_t		 tcp;		/* so many of our sockets are TCP, */
	size_t		 known;		/* and of theirs, too */
	bool		 doubt;		/* one may come from a Unix socket */
	bool		 cut;		/* a table was too long */
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
add_elsewhere(struct tables *t, const char *hex, unsigned int port)
{
	struct sockaddr_storage	 ss;
	size_t			 len = strlen(t->elsewhere);
	char			 text[64];

	memset(&ss, 0, sizeof(ss));
	if (!parse_host(hex, &ss))
		return;
	/* The port lies at the same place in both. */
	((struct sockaddr_in *)(void *)&ss)->sin_port = htons((uint16_t)port);
	addr_format((struct sockaddr *)&ss, sizeof(ss), text, sizeof(text));
	if (len + strlen(text) + 2 <= t->size)
		snprintf(t->elsewhere + len, t->size - len, "%s%s",
		    len == 0 ? "" : " ", text);
}

/* Enough is known once each of their sockets was found in a table. */
static bool
is_done(const struct tables *t)
{
	return t->known == t->probe->nothers &&
	    (!t->doubt || t->tcp == t->probe->count);
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
on_their_tcp(struct tables *t, const char *host, unsigned int port,
    unsigned int state)
{
	t->known++;
	if (state == TCP_STATE_LISTEN)
		add_elsewhere(t, host, port);
	else if (t->ntheirs < PROBE_OTHERS)
		t->theirs[t->ntheirs++] = port;
}

static bool
on_tcp(void *arg, const char *line)
{
	struct tables		*t = arg;
	char			 host[33];
	unsigned int		 port, state;
	unsigned long long	 ino;

	if (sscanf(line, " %*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*d "
	    "%llu", host, &port, &state, &ino) != 4 || ino == 0)
		return true;
	if (probe_is_ours(t->probe, ino))
		on_our_tcp(t, port);
	else if (probe_is_other(t->probe, ino))
		on_their_tcp(t, host, port, state);
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
	if (n >= 2 && probe_is_other(t->probe, ino)) {
		t->known++;
		if (n == 3 && state == UNIX_STATE_CONNECTED)
			t->doubt = true;
	}
	return true;
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
 * The kernel lists sockets that listen before all others, so that seldom
 * more than the beginning of a table is read.
 */
void
probe_net(struct probe *probe, char *elsewhere, size_t size)
{
	struct tables	*t = xcalloc(1, sizeof(*t));

	t->probe = probe;
	t->elsewhere = elsewhere;
	t->size = size;
	read_table(t, "net/unix", on_unix);
	read_table(t, "net/tcp", on_tcp);
	read_table(t, "net/tcp6", on_tcp);
	if (has_our_port(t))
		probe->used = true;
	else if ((t->cut && !is_done(t)) ||
	    (t->doubt && t->tcp < probe->count))
		probe->unsure = true;
	free(t);
}
