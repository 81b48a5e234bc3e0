#include "master/listener_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"

#define FIRST_FD	3	/* SD_LISTEN_FDS_START */

static int
get_int(int fd, int option)
{
	socklen_t	 len;
	int		 value;

	len = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, option, &value, &len) == -1)
		return -1;
	return value;
}

const char *
inherit_unfit(int fd)
{
	int	 type, family;

	type = get_int(fd, SO_TYPE);
	if (type == -1)
		return errno == EBADF ? "it is not open" :
		    errno == ENOTSOCK ? "it is no socket" : strerror(errno);
	family = get_int(fd, SO_DOMAIN);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return "it is no socket of TCP or of a Unix address";
	if (type != SOCK_STREAM)
		return "it is no stream socket";
	if (get_int(fd, SO_ACCEPTCONN) != 1)
		return "it does not listen";
	return NULL;
}

int
inherit_check(const struct conf_listen *conf, struct err *err)
{
	const char	*why;

	for (size_t i = 0; i < conf->nbind; i++) {
		const struct addr	*addr = &conf->bind[i];

		if (addr->kind != ADDR_FD)
			continue;
		why = inherit_unfit(addr->fd);
		for (size_t j = 0; j < i && why == NULL; j++)
			if (conf->bind[j].kind == ADDR_FD &&
			    conf->bind[j].fd == addr->fd)
				why = "it is given twice";
		if (why != NULL)
			return err_set(err, "cannot listen on %s: %s",
			    addr->text, why);
	}
	return 0;
}

/* Its name, if none was given, is its address: as addr_parse() makes them. */
static char *
name_of(const char *text)
{
	char	*name = xstrdup(text);

	for (char *p = name; *p != '\0'; p++)
		if (*p == ':')
			*p = '_';
	return name;
}

/*
 * Add fd, which fits, under name, or if NULL one made from its address. With
 * key, the configuration asks for it.
 */
static int
adopt(struct plan *plan, int fd, const char *key, const char *name,
    struct err *err)
{
	struct listener		*l;
	char			 text[NI_MAXHOST + 16], *made;

	l = listener_new(ADDR_FD, key == NULL ? "" : key, NULL, fd);
	if (fd_cloexec(fd, true) == -1 || fd_nonblock(fd, true) == -1 ||
	    listener_ask_name(l) == -1) {
		err_sys(err, "cannot listen on fd:%d", fd);
		listener_drop(l);
		return -1;
	}
	addr_format((struct sockaddr *)&l->sa, l->salen, text, sizeof(text));
	l->given = key == NULL;
	l->text = xstrdup(text);
	l->options.nonblock = true;
	made = name_of(text);
	set_add(plan->set, l, name == NULL ? made : name);
	free(made);
	return 0;
}

/* 0, 1 and 2 get other tenants: a socket that lies there moves up. */
int
inherit_open(struct plan *plan, const struct addr *addr, struct err *err)
{
	int	 fd = addr->fd;

	if (fd < FIRST_FD) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
		if (fd == -1)
			return listener_error(addr->text, err);
	}
	return adopt(plan, fd, addr->text, addr->name, err);
}

/* A decimal number of min to max, or -1. */
static int
parse_number(const char *text, int min, int max)
{
	char	*end;
	long	 n;

	if (text == NULL || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || n < min || n > max)
		return -1;
	return (int)n;
}

static void
note_variable(const char *variable, const char *value, const char *why)
{
	char	*msg = xasprintf("%s=%s %s", variable, value, why);

	log_event(EV_LISTEN_NOTE, log_str("msg", msg));
	free(msg);
}

/*
 * How many sockets were passed to us, and not to the one who started us and
 * let the variables through.
 */
static int
count_passed(void)
{
	const char	*pid = getenv("LISTEN_PID");
	const char	*fds = getenv("LISTEN_FDS");
	int		 n;

	if (pid == NULL || fds == NULL)
		return 0;
	n = parse_number(pid, 1, INT_MAX);
	if (n == -1)
		note_variable("LISTEN_PID", pid, "is no pid: ignored");
	if (n != (int)getpid())
		return 0;
	n = parse_number(fds, 0, INT_MAX - FIRST_FD);
	if (n == -1)
		note_variable("LISTEN_FDS", fds,
		    "is no number of sockets: ignored");
	return n == -1 ? 0 : n;
}

static bool
is_bound(const struct conf_listen *conf, int fd)
{
	for (size_t i = 0; i < conf->nbind; i++)
		if (conf->bind[i].kind == ADDR_FD && conf->bind[i].fd == fd)
			return true;
	return false;
}

/* Take the next name off *names, NULL if there is none or it is unfit. */
static const char *
next_name(char **names)
{
	const char	*name = strsep(names, ":");

	if (name == NULL || *name == '\0' || strlen(name) > 255)
		return NULL;
	for (const char *p = name; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return NULL;
	return name;
}

/*
 * The user says where to listen: what the service manager passed is not for
 * us. Only listening sockets are closed: of our own there are none yet, so a
 * wrong count cannot hit a descriptor that we need.
 */
static int
close_passed(const struct conf_listen *conf, int fd)
{
	if (is_bound(conf, fd) || inherit_unfit(fd) != NULL)
		return 0;
	close(fd);
	return 1;
}

static void
note_closed(int closed)
{
	char	*msg;

	if (closed == 0)
		return;
	msg = xasprintf("bind is given: closed the %d socket%s passed in "
	    "LISTEN_FDS", closed, closed == 1 ? "" : "s");
	log_event(EV_LISTEN_NOTE, log_str("msg", msg));
	free(msg);
}

static int
adopt_passed(struct plan *plan, int fd, const char *name, struct err *err)
{
	const char	*why = inherit_unfit(fd);

	if (why != NULL)
		return err_set(err, "cannot listen on fd:%d, passed in "
		    "LISTEN_FDS: %s", fd, why);
	return adopt(plan, fd, NULL, name, err);
}

/* Ours that were kept are put aside, the others adopted, or closed. */
static int
sort_passed(struct plan *plan, int count, struct err *err)
{
	const char	*given = getenv("LISTEN_FDNAMES"), *name;
	char		*names = given == NULL ? NULL : xstrdup(given);
	char		*rest = names;
	int		 max = (int)sysconf(_SC_OPEN_MAX), end = FIRST_FD;
	int		 closed = 0, r = 0;

	end += plan->conf->bind_given && count > max ? max : count;
	for (int fd = FIRST_FD; fd < end && r == 0; fd++) {
		name = next_name(&rest);
		if (!is_bound(plan->conf, fd) && stored_is(fd, name))
			stored_add(plan, fd, name);
		else if (plan->conf->bind_given)
			closed += close_passed(plan->conf, fd);
		else
			r = adopt_passed(plan, fd, name, err);
	}
	free(names);
	note_closed(closed);
	return r == -1 ? -1 : (int)plan->set->count;
}

int
inherit_listen_fds(struct plan *plan, struct err *err)
{
	int	 count = sort_passed(plan, count_passed(), err);

	inherit_forget();
	return count;
}

void
inherit_forget(void)
{
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	unsetenv("LISTEN_PIDFDID");
}
