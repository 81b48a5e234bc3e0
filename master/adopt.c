#include "master/adopt.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/listener.h"
#include "master/resolve.h"
#include "master/survivors.h"

/* What was found: listeners, and the inodes of their sockets. */
struct found {
	struct listener	**list;		/* owned, with one hold each */
	const char	**names;	/* owned; borrowed texts */
	ino_t		 *inodes;	/* owned */
	size_t		  count;
};

/*
 * The folder and the file of a Unix socket, so that it is unlinked at the end
 * as if we had made it. One that cannot be found is just not unlinked.
 */
static void
find_file(const char *path, struct listener_saved *saved)
{
	const char	*slash = strrchr(path, '/');
	char		 folder[LISTENER_TEXT_MAX];
	struct stat	 st;

	if (slash == NULL || (size_t)(slash - path) + 2 > sizeof(folder) ||
	    lstat(path, &st) == -1)
		return;
	snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path);
	saved->dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	saved->dev = st.st_dev;
	saved->ino = st.st_ino;
	snprintf(saved->base, sizeof(saved->base), "%s", slash + 1);
}

/* As an image of ours would have written it down. */
static struct listener *
listener_of(const struct addr *addr, int fd, const struct conf_listen *conf,
    struct err *err)
{
	struct listener_saved	 saved = { .kind = addr->kind, .nfds = 1,
				    .dir = -1, .backlog = conf->backlog };
	struct sockaddr_storage	 sa = { 0 };
	socklen_t		 len = sizeof(sa), flag_len = sizeof(int);
	int			 v6only = 0;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == -1) {
		err_sys(err, "%s", addr->text);
		return NULL;
	}
	if (sa.ss_family == AF_INET6)
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &flag_len);
	saved.id = (uint32_t)fd;
	saved.v6only = v6only != 0;
	saved.salen = len;
	memcpy(saved.sa, &sa, len);
	snprintf(saved.key, sizeof(saved.key), "%s", addr->text);
	addr_format((struct sockaddr *)&sa, len, saved.text,
	    sizeof(saved.text));
	if (addr->kind == ADDR_UNIX)
		find_file(addr->path, &saved);
	return listener_restore(&saved, &fd, 1, err);
}

static void
take(struct found *found, const struct survivors *survivors,
    const struct addr *addr, const struct conf_listen *conf)
{
	struct listener	*listener = NULL;
	struct stat	 st;
	struct err	 err;
	int		 fd;

	if (addr->kind == ADDR_FD || addr->kind == ADDR_NONE)
		return;
	fd = survivors_socket(survivors, addr, &err);
	if (fd != -1 && fstat(fd, &st) == 0)
		listener = listener_of(addr, fd, conf, &err);
	if (listener == NULL) {
		log_event(EV_LISTEN_NOTE, log_str("addr", addr->text),
		    log_str("name", addr->name), log_str("msg", err.text));
		if (fd != -1)
			close(fd);
		return;
	}
	log_event(EV_SURVIVOR_SOCKET, log_str("addr", addr->text),
	    log_int("fd", fd));
	found->list[found->count] = listener;
	found->names[found->count] = addr->name;
	found->inodes[found->count++] = st.st_ino;
}

/* The set of conf, in which what was found is kept. */
static struct listener_set *
complete(const struct found *found, const struct conf *conf, struct err *err)
{
	struct resolved		*resolved = resolve_now(conf, err);
	struct listener_set	*part, *whole = NULL;

	if (resolved == NULL)
		return NULL;
	part = listener_set_restore(found->list, found->names, found->count,
	    err);
	if (part != NULL)
		whole = listeners_plan(part, conf, resolved, err);
	listener_set_drop(part);
	resolved_free(resolved);
	return whole;
}

struct listener_set *
adopt_sockets(struct survivors *survivors, const struct conf *conf,
    struct err *err)
{
	const struct conf_listen	*listen = &conf->listen;
	struct found			 found = { 0 };
	struct listener_set		*set;
	size_t				 i;

	if (survivors->count == 0 || listen->accept == ACCEPT_REUSEPORT)
		return listeners_open(conf, err);
	found.list = xcalloc(listen->nbind + 1, sizeof(*found.list));
	found.names = xcalloc(listen->nbind + 1, sizeof(*found.names));
	found.inodes = xcalloc(listen->nbind + 1, sizeof(*found.inodes));
	for (i = 0; i < listen->nbind; i++)
		take(&found, survivors, &listen->bind[i], listen);
	survivors_keep(survivors, found.inodes, found.count);
	set = complete(&found, conf, err);
	if (set != NULL)
		listeners_apply(set, conf);
	for (i = 0; i < found.count; i++)
		listener_drop(found.list[i]);
	free(found.list);
	free(found.names);
	free(found.inodes);
	return set;
}
