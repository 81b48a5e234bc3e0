#include "master/listener_priv.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/mem.h"

#define FIRST_FD	3
#define ID_MAX		(1U << 30)	/* far from where numbers end */

/* ---- out */

/* listener_set.c takes no longer texts than fit. */
static void
put(char out[LISTENER_TEXT_MAX], const char *text)
{
	if (text != NULL)
		strncpy(out, text, LISTENER_TEXT_MAX - 1);
}

void
listener_save(const struct listener *l, struct listener_saved *out)
{
	*out = (struct listener_saved){ .id = l->id, .kind = l->kind,
	    .steered = l->steered, .v6only = l->v6only,
	    .refused = l->refused_ms != -1, .stuck = l->stuck,
	    .announced = l->announced, .given = l->given,
	    .backlog = l->options.backlog, .defer_s = l->options.defer_s,
	    .nodelay = l->options.nodelay,
	    .keepalive = l->options.keepalive,
	    .nonblock = l->options.nonblock, .nfds = l->nfds, .dir = l->dir,
	    .dev = l->dev, .ino = l->ino, .salen = l->salen };
	memcpy(out->sa, &l->sa, l->salen);
	put(out->key, l->key);
	put(out->text, l->text);
	put(out->base, l->base);
	put(out->name, l->name);
}

void
listener_fds(const struct listener *l, listener_fd_fn *each, void *arg)
{
	for (int i = 0; i < l->nfds; i++)
		each(arg, l->fds[i], LISTENER_SOCKET);
	if (l->dir != -1)
		each(arg, l->dir, LISTENER_FOLDER);
}

/* ---- in: it may be anything */

static bool
is_text(const char text[LISTENER_TEXT_MAX])
{
	return memchr(text, '\0', LISTENER_TEXT_MAX) != NULL;
}

static bool
is_flag(int32_t value)
{
	return value == 0 || value == 1;
}

static bool
is_file_name(const char *base)
{
	return *base != '\0' && strchr(base, '/') == NULL &&
	    strcmp(base, ".") != 0 && strcmp(base, "..") != 0;
}

/* What is wrong with the numbers and texts: NULL if nothing is. */
static const char *
nonsense(const struct listener_saved *s, size_t nfds)
{
	if (s->id == 0 || s->id > ID_MAX)
		return "it has no sensible number";
	if (s->kind < ADDR_TCP || s->kind > ADDR_FD)
		return "it is of no known kind";
	if (!is_text(s->key) || !is_text(s->text) || !is_text(s->base) ||
	    !is_text(s->name) || *s->name == '\0' || *s->text == '\0')
		return "a text is cut off";
	if (!is_flag(s->steered) || !is_flag(s->v6only) ||
	    !is_flag(s->refused) || !is_flag(s->stuck) ||
	    !is_flag(s->announced) || !is_flag(s->given) ||
	    !is_flag(s->nodelay) || !is_flag(s->keepalive) ||
	    !is_flag(s->nonblock) || s->backlog < 0 || s->defer_s < 0)
		return "a number is out of range";
	if (s->nfds < 1 || (size_t)s->nfds != nfds ||
	    s->nfds > (s->steered ? CONF_REUSEPORT_SLOTS : 1))
		return "it has not as many sockets as it should";
	if ((s->steered || s->v6only) && s->kind != ADDR_TCP)
		return "it has what only TCP has";
	if ((s->given && s->kind != ADDR_FD) ||
	    (s->dir != -1 && s->kind != ADDR_UNIX))
		return "it has what its kind has not";
	if (s->salen < sizeof(sa_family_t) ||
	    s->salen > sizeof(struct sockaddr_storage))
		return "its address has no sensible length";
	if (s->dir != -1 && (s->dir < FIRST_FD || !is_file_name(s->base)))
		return "its file has no sensible name";
	return NULL;
}

static bool
family_fits(int32_t kind, int family)
{
	if (kind == ADDR_TCP)
		return family == AF_INET || family == AF_INET6;
	return kind == ADDR_FD || family == AF_UNIX;
}

static bool
is_taken(int fd)
{
	struct listener	*l = NULL;

	while ((l = listener_next(l)) != NULL) {
		if (l->dir == fd)
			return true;
		for (int i = 0; i < l->nfds; i++)
			if (l->fds[i] == fd)
				return true;
	}
	return false;
}

/*
 * One that listened until a worker shut it down keeps its address; the port
 * only if it was asked for by number. It can be made to listen again.
 */
static bool
was_shut_down(const struct listener_saved *s, int fd)
{
	const struct sockaddr		*was = (const void *)s->sa;
	struct sockaddr_storage		 sa;
	const struct sockaddr_in	*in = (const void *)&sa;
	const struct sockaddr_in	*in_was = (const void *)s->sa;
	struct tcp_info			 info;
	socklen_t			 len = sizeof(sa), size = sizeof(info);

	memset(&sa, 0, sizeof(sa));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1 ||
	    info.tcpi_state != TCP_CLOSE ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		return false;
	/* sin_port and sin6_port are one. */
	return len == s->salen && same_host((struct sockaddr *)&sa, was) &&
	    (in->sin_port == 0 || in->sin_port == in_was->sin_port);
}

static const char *
bad_socket(const struct listener_saved *s, int fd)
{
	struct sockaddr_storage	 sa = { 0 };
	socklen_t		 len = sizeof(sa), size = sizeof(int);
	int			 shared = 0;
	bool			 shut = fd >= FIRST_FD &&
				    was_shut_down(s, fd);
	const char		*why = fd < FIRST_FD ? "it is a standard "
				    "stream" : inherit_unfit(fd);

	if (why != NULL && !shut)
		return why;
	if (is_taken(fd))
		return "it is given twice";
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		return strerror(errno);
	if (!family_fits(s->kind, sa.ss_family))
		return "it is of another family";
	if (!shut && (len != s->salen || memcmp(&sa, s->sa, len) != 0))
		return "it is bound to another address";
	if (s->steered && (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared,
	    &size) == -1 || !shared))
		return "it shares no port";
	return NULL;
}

static const char *
bad_folder(const struct listener_saved *s)
{
	struct stat	 st;

	if (s->dir == -1)
		return NULL;
	if (fstat(s->dir, &st) == -1 || !S_ISDIR(st.st_mode))
		return "it is no folder";
	return is_taken(s->dir) ? "it is given twice" : NULL;
}

static struct listener *
bare(const struct listener_saved *s)
{
	struct listener	*l = listener_new((enum addr_kind)s->kind, s->key,
			    s->text, -1);

	listener_renumber(l, s->id);
	free(l->name);
	l->name = xstrdup(s->name);
	l->given = s->given;
	l->steered = s->steered;
	l->v6only = s->v6only;
	l->stuck = s->stuck;
	l->announced = s->announced;
	/* Since now, for the clock may be another one: no harm in waiting. */
	l->refused_ms = s->refused ? clock_now_ms() : -1;
	l->options = (struct listener_options){ .backlog = s->backlog,
	    .defer_s = s->defer_s, .nodelay = s->nodelay,
	    .keepalive = s->keepalive, .nonblock = s->nonblock };
	l->salen = s->salen;
	memcpy(&l->sa, s->sa, s->salen);
	return l;
}

/* It gives back what was not its own before. */
static void
undo(struct listener *l)
{
	for (int i = 0; i < l->nfds; i++)
		listener_note_fd(l->fds[i], LISTENER_SOCKET, false);
	l->nfds = 0;
	listener_drop(l);
}

static int
take_sockets(struct listener *l, const struct listener_saved *s,
    const int *fds, struct err *err)
{
	const char	*why;

	for (int i = 0; i < s->nfds; i++) {
		why = bad_socket(s, fds[i]);
		if (why == NULL && fd_cloexec(fds[i], true) == -1)
			why = strerror(errno);
		if (why != NULL)
			return err_set(err, "cannot take %s over on "
			    "descriptor %d: %s", s->text, fds[i], why);
		listener_own(l, fds[i]);
	}
	why = bad_folder(s);
	if (why == NULL && s->dir != -1 && fd_cloexec(s->dir, true) == -1)
		why = strerror(errno);
	if (why != NULL)
		return err_set(err, "cannot take the folder of %s over on "
		    "descriptor %d: %s", s->text, s->dir, why);
	if (s->dir == -1)
		return 0;
	l->dir = s->dir;
	l->base = xstrdup(s->base);
	l->dev = (dev_t)s->dev;
	l->ino = (ino_t)s->ino;
	listener_note_fd(l->dir, LISTENER_FOLDER, true);
	return 0;
}

struct listener *
listener_restore(const struct listener_saved *s, const int *fds, size_t nfds,
    struct err *err)
{
	const char	*why = nonsense(s, nfds);
	struct listener	*l = NULL;

	if (why != NULL) {
		err_set(err, "cannot take a socket over: %s", why);
		return NULL;
	}
	while ((l = listener_next(l)) != NULL)
		if (l->id == s->id) {
			err_set(err, "cannot take %s over: its number is "
			    "taken", s->text);
			return NULL;
		}
	l = bare(s);
	if (take_sockets(l, s, fds, err) == 0)
		return l;
	undo(l);
	return NULL;
}

struct listener_set *
listener_set_restore(struct listener *const *list, const char *const *names,
    size_t count, struct err *err)
{
	struct listener_set	*set = xcalloc(1, sizeof(*set));

	set->refs = 1;
	inherit_forget();
	for (size_t i = 0; i < count; i++) {
		if (listener_set_has(set, list[i]) || *names[i] == '\0') {
			err_set(err, "cannot take %s over: %s",
			    list[i]->text, *names[i] == '\0' ?
			    "it has no name" : "it is there twice");
			listener_set_drop(set);
			return NULL;
		}
		set_add(set, listener_hold(list[i]), names[i]);
	}
	return set;
}
