#include "master/acks.h"

#include <bsd/sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/ack_folder.h"
#include "master/ack_line.h"
#include "master/dgram.h"
#include "master/sender.h"

#define CONNECTIONS	4	/* a socket, at a time */
#define LINE_MAX_BYTES	1024
#define TIME_MS		5000	/* for a line */
#define PAUSE_MS	1000	/* without a descriptor for a connection */

struct conn {
	LIST_ENTRY(conn) entry;
	struct ack	*ack;
	int		 fd;
	struct event	*readable;
	int64_t		 deadline_ms;
	size_t		 len;
	char		 line[LINE_MAX_BYTES];
};

struct ack {
	LIST_ENTRY(ack)	 entry;
	struct acks	*acks;
	int		 fd;
	char		*path;		/* owned */
	pid_t		 worker;	/* 0: not owned yet */
	uid_t		 uid;
	struct event	*connected;	/* someone waits to be accepted */
	struct event	*pause;
	int		 nconns;
	LIST_HEAD(, conn) conns;
};

struct acks {
	struct event_base *base;
	int		 priority;
	acks_fn		*said;
	void		*arg;
	char		*folder;	/* owned; NULL until one is needed */
	unsigned	 last;		/* the newest socket's number */
	LIST_HEAD(, ack) all;
};

/* ---- a connection */

static void
conn_close(struct conn *conn)
{
	struct ack	*ack = conn->ack;

	event_free(conn->readable);
	close(conn->fd);
	LIST_REMOVE(conn, entry);
	free(conn);
	if (ack->nconns-- == CONNECTIONS)
		event_add(ack->connected, NULL);
}

static bool
conn_wait(struct conn *conn)
{
	struct timeval	 left;

	left = clock_timeval(conn->deadline_ms - clock_now_ms());
	return event_add(conn->readable, &left) == 0;
}

/* Whatever it says, it says it once: einhorn closes, too. */
static void
on_line(evutil_socket_t fd, short what, void *arg)
{
	struct conn	*conn = arg;
	struct ack	*ack = conn->ack;
	struct dgram	 got = { 0 };
	const char	*newline = NULL;
	bool		 ready;

	if ((what & EV_READ) != 0 && conn->len < sizeof(conn->line) &&
	    dgram_read(fd, conn->line + conn->len,
	    sizeof(conn->line) - conn->len, &got) && got.len > 0) {
		conn->len += got.len;
		newline = memchr(conn->line, '\n', conn->len);
		if (newline == NULL && conn->len < sizeof(conn->line) &&
		    conn_wait(conn))
			return;
	}
	ready = newline != NULL &&
	    ack_line(conn->line, (size_t)(newline - conn->line));
	conn_close(conn);
	if (ready)
		ack->acks->said(ack->acks->arg, ack->worker);
}

static void
conn_new(struct ack *ack, int fd)
{
	struct conn	*conn = xcalloc(1, sizeof(*conn));

	conn->ack = ack;
	conn->fd = fd;
	conn->deadline_ms = clock_now_ms() + TIME_MS;
	LIST_INSERT_HEAD(&ack->conns, conn, entry);
	if (++ack->nconns == CONNECTIONS)
		event_del(ack->connected);
	conn->readable = event_new(ack->acks->base, fd, EV_READ, on_line,
	    conn);
	if (conn->readable == NULL)
		abort();	/* of no memory alone: see mem.h */
	event_priority_set(conn->readable, ack->acks->priority);
	if (!conn_wait(conn))
		conn_close(conn);
}

/* ---- a socket */

static bool
peer_may(const struct ack *ack, int fd)
{
	struct ucred	 cred;
	socklen_t	 len = sizeof(cred);
	bool		 looked;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	    sender_may(cred.pid, cred.uid, ack->worker, ack->uid, &looked);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct ack	*ack = arg;
	struct timeval	 pause = clock_timeval(PAUSE_MS);
	int		 conn;

	(void)what;
	conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (conn == -1) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* It would be tried again at once, and for nothing. */
		event_del(ack->connected);
		event_add(ack->pause, &pause);
	} else if (peer_may(ack, conn)) {
		conn_new(ack, conn);
	} else {
		close(conn);
	}
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct ack	*ack = arg;

	(void)fd;
	(void)what;
	if (ack->nconns < CONNECTIONS)
		event_add(ack->connected, NULL);
}

static int
watch(struct ack *ack, struct err *err)
{
	struct acks	*acks = ack->acks;

	ack->connected = event_new(acks->base, ack->fd, EV_READ | EV_PERSIST,
	    on_connected, ack);
	ack->pause = event_new(acks->base, -1, 0, on_pause_over, ack);
	if (ack->connected == NULL || ack->pause == NULL ||
	    event_priority_set(ack->connected, acks->priority) == -1 ||
	    event_priority_set(ack->pause, acks->priority) == -1)
		return err_set(err, "cannot watch %s", ack->path);
	return 0;
}

/* Nobody can connect before it listens, so that its mode comes in time. */
static int
bind_path(struct ack *ack, struct err *err)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };

	strcpy(sun.sun_path, ack->path);	/* see ack_folder.h */
	if (bind(ack->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return err_sys(err, "cannot bind %s", ack->path);
	if (chmod(ack->path, 0600) == -1 ||
	    (ack->uid != geteuid() &&
	    chown(ack->path, ack->uid, (gid_t)-1) == -1) ||
	    listen(ack->fd, CONNECTIONS) == -1) {
		err_sys(err, "cannot listen on %s", ack->path);
		unlink(ack->path);
		return -1;
	}
	return 0;
}

static struct ack *
ack_new(struct acks *acks, int fd, uid_t uid)
{
	struct ack	*ack = xcalloc(1, sizeof(*ack));

	*ack = (struct ack){ .acks = acks, .fd = fd, .uid = uid };
	LIST_INIT(&ack->conns);
	LIST_INSERT_HEAD(&acks->all, ack, entry);
	return ack;
}

/* All but the descriptor and the socket's name. */
static void
ack_free(struct ack *ack)
{
	struct conn	*conn, *next;

	LIST_FOREACH_SAFE(conn, &ack->conns, entry, next)
		conn_close(conn);
	if (ack->connected != NULL)
		event_free(ack->connected);
	if (ack->pause != NULL)
		event_free(ack->pause);
	LIST_REMOVE(ack, entry);
	free(ack->path);
	free(ack);
}

struct ack *
ack_open(struct acks *acks, uid_t uid, struct err *err)
{
	struct ack	*ack;
	int		 fd;

	if (acks->folder == NULL &&
	    (acks->folder = ack_folder_make(err)) == NULL)
		return NULL;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		err_sys(err, "cannot make a socket");
		return NULL;
	}
	ack = ack_new(acks, fd, uid);
	ack->path = xasprintf("%s/%u", acks->folder, ++acks->last);
	if (bind_path(ack, err) == 0) {
		if (watch(ack, err) == 0)
			return ack;
		unlink(ack->path);
	}
	ack_free(ack);
	close(fd);
	return NULL;
}

const char *
ack_path(const struct ack *ack)
{
	return ack->path;
}

/* Only memory or a limit on watches can be lacking: see epoll_ctl(2). */
void
ack_own(struct ack *ack, pid_t worker)
{
	ack->worker = worker;
	if (event_add(ack->connected, NULL) == -1)
		log_event(EV_LOOP_NOTE, log_str("msg",
		    "a program's socket for being ready cannot be watched"),
		    log_errno());
}

void
ack_close(struct ack *ack)
{
	int	 fd;

	if (ack == NULL)
		return;
	fd = ack->fd;
	unlink(ack->path);
	ack_free(ack);
	close(fd);
}

/* ---- all of them */

struct acks *
acks_new(struct event_base *base, int priority, acks_fn *said, void *arg)
{
	struct acks	*acks = xcalloc(1, sizeof(*acks));

	*acks = (struct acks){ .base = base, .priority = priority,
	    .said = said, .arg = arg };
	LIST_INIT(&acks->all);
	return acks;
}

void
acks_free(struct acks *acks)
{
	struct ack	*ack, *next;

	if (acks == NULL)
		return;
	LIST_FOREACH_SAFE(ack, &acks->all, entry, next)
		ack_close(ack);
	if (acks->folder != NULL)
		rmdir(acks->folder);
	free(acks->folder);
	free(acks);
}

/* ---- across an exec */

int
ack_fd(const struct ack *ack)
{
	return ack->fd;
}

/* The path of a socket in a folder of ours, and where its name begins. */
static bool
read_path(int fd, struct sockaddr_un *sun, size_t *folder, unsigned *nr)
{
	socklen_t	 len = sizeof(*sun) - 1;
	const char	*slash;
	int		 end = 0;

	memset(sun, 0, sizeof(*sun));
	if (!fd_socket_is(fd, SO_DOMAIN, AF_UNIX) ||
	    !fd_socket_is(fd, SO_TYPE, SOCK_STREAM) ||
	    !fd_socket_is(fd, SO_ACCEPTCONN, 1) ||
	    getsockname(fd, (struct sockaddr *)sun, &len) == -1 ||
	    (slash = strrchr(sun->sun_path, '/')) == NULL)
		return false;
	*folder = (size_t)(slash - sun->sun_path);
	return sscanf(slash + 1, "%9u%n", nr, &end) == 1 &&
	    slash[1 + end] == '\0' &&
	    ack_folder_ours(sun->sun_path, *folder);
}

static bool
is_taken(const struct acks *acks, const char *path)
{
	const struct ack	*ack;

	LIST_FOREACH(ack, &acks->all, entry)
		if (strcmp(ack->path, path) == 0)
			return true;
	return false;
}

struct ack *
ack_restore(struct acks *acks, int fd, pid_t worker, uid_t uid,
    struct err *err)
{
	struct sockaddr_un	 sun;
	struct ack		*ack;
	size_t			 folder;
	unsigned		 nr;

	if (worker <= 0 || !read_path(fd, &sun, &folder, &nr) ||
	    is_taken(acks, sun.sun_path) || (acks->folder != NULL &&
	    (strlen(acks->folder) != folder ||
	    memcmp(acks->folder, sun.sun_path, folder) != 0))) {
		err_set(err, "descriptor %d is not the socket of pid %d", fd,
		    (int)worker);
		return NULL;
	}
	if (fd_cloexec(fd, true) == -1 || fd_nonblock(fd, true) == -1) {
		err_sys(err, "cannot take the socket of pid %d over",
		    (int)worker);
		return NULL;
	}
	if (acks->folder == NULL)
		acks->folder = xasprintf("%.*s", (int)folder, sun.sun_path);
	ack = ack_new(acks, fd, uid);
	ack->path = xstrdup(sun.sun_path);
	if (watch(ack, err) == -1) {
		ack_free(ack);
		return NULL;
	}
	if (nr > acks->last)
		acks->last = nr;
	ack_own(ack, worker);
	return ack;
}
