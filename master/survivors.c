#include "master/survivors.h"

#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/procfs.h"

#define TITLE_SIZE	256
/* As much as arguments and environment can be under the usual limit. */
#define ENVIRON_SIZE	(2 * 1024 * 1024)
#define SURVIVORS_MAX	65536

struct search {
	const char		*name;
	char			*environ;	/* ENVIRON_SIZE, owned */
	struct survivors	*found;
	size_t			 room;
	pid_t			 master;	/* a living one, or 0 */
};

/* ---- what a process says of itself */

/* Its title behind prefix and "[NAME]"; NULL: it has another. */
static const char *
title_of(pid_t pid, const char *prefix, const char *name,
    char title[TITLE_SIZE])
{
	char	 begin[TITLE_SIZE];
	size_t	 len;

	if (procfs_read(pid, "cmdline", title, TITLE_SIZE) <= 0)
		return NULL;
	len = (size_t)snprintf(begin, sizeof(begin), "%s [%s]", prefix, name);
	return strncmp(title, begin, len) == 0 ? title + len : NULL;
}

static bool
is_master(pid_t pid, const char *name)
{
	char	 title[TITLE_SIZE];

	return pid > 0 && title_of(pid, "muster: master", name, title) != NULL;
}

/* A decimal number up to INT_MAX with nothing but end behind it, or -1. */
static int
number(const char *text, char end)
{
	char	*rest;
	long	 n;

	if (text == NULL || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtol(text, &rest, 10);
	if (errno != 0 || n > INT_MAX || *rest != end)
		return -1;
	return (int)n;
}

static bool
is_worker(const char *name, struct survivor *s)
{
	char		 title[TITLE_SIZE];
	const char	*rest = title_of(s->pid, "muster: worker", name, title);

	if (rest == NULL || strncmp(rest, " slot ", 6) != 0)
		return false;
	s->slot = number(rest + 6, ' ');
	rest = strchr(rest + 6, ' ');
	s->leaving = rest != NULL && (strcmp(rest, " draining") == 0 ||
	    strcmp(rest, " caretaker") == 0);
	s->generation = 0;
	s->program = false;
	return s->slot != -1;
}

/* The value of a variable in NUL-separated text, or NULL. */
static const char *
variable(const char *text, size_t len, const char *key)
{
	const char	*end = text + len;
	size_t		 key_len = strlen(key);

	for (; text < end; text += strlen(text) + 1)
		if (strncmp(text, key, key_len) == 0 && text[key_len] == '=')
			return text + key_len + 1;
	return NULL;
}

/* Is this pid of a variable that of s, or is there no such variable? */
static bool
is_pid(const struct survivor *s, const char *text, size_t len,
    const char *key)
{
	const char	*value = variable(text, len, key);

	return value == NULL || number(value, '\0') == s->pid;
}

/*
 * What a program was started with. Its own children may have inherited that,
 * but LISTEN_PID names the one it was meant for.
 */
static bool
is_program(struct search *search, struct survivor *s)
{
	char		*text = search->environ;
	ssize_t		 len;
	const char	*name;

	len = procfs_read(s->pid, "environ", text, ENVIRON_SIZE);
	if (len <= 0)
		return false;
	name = variable(text, (size_t)len, "MUSTER_NAME");
	if (name == NULL || strcmp(name, search->name) != 0 ||
	    !is_pid(s, text, (size_t)len, "LISTEN_PID") ||
	    !is_pid(s, text, (size_t)len, "WATCHDOG_PID"))
		return false;
	s->slot = number(variable(text, (size_t)len, "MUSTER_SLOT"), '\0');
	s->generation = number(variable(text, (size_t)len,
	    "MUSTER_GENERATION"), '\0');
	s->program = true;
	return s->slot != -1 && s->generation > 0 && !is_master(
	    number(variable(text, (size_t)len, "MUSTER_MASTER_PID"), '\0'),
	    search->name);
}

/* Is pid a worker that has lost its master, and leads its group? */
static bool
identify(struct search *search, pid_t pid, struct survivor *s)
{
	struct procfs_stat	 stat;

	*s = (struct survivor){ .pid = pid, .pidfd = -1 };
	if (procfs_stat(pid, &stat) == -1 || stat.pgrp != pid ||
	    stat.state == 'Z' || stat.state == 'X' ||
	    procfs_owner(pid, &s->uid) == -1 ||
	    (geteuid() != 0 && s->uid != geteuid()))
		return false;
	s->start = stat.start;
	return (is_worker(search->name, s) || is_program(search, s)) &&
	    !is_master(stat.ppid, search->name);
}

/* ---- the search */

/*
 * The number may be another process's by now: what is said of it while we
 * hold its pidfd has to be what was said before.
 */
static bool
hold(struct search *search, struct survivor *s)
{
	struct survivor	 now;

	if ((s->pidfd = pidfd_open(s->pid, 0)) == -1)
		return false;
	if (identify(search, s->pid, &now) && now.start == s->start &&
	    now.slot == s->slot && now.uid == s->uid &&
	    now.program == s->program)
		return true;
	close(s->pidfd);
	return false;
}

static void
add(struct search *search, const struct survivor *s)
{
	struct survivors	*found = search->found;

	if (found->count == search->room) {
		search->room = search->room * 2 + 16;
		found->list = xreallocarray(found->list, search->room,
		    sizeof(*found->list));
	}
	found->list[found->count++] = *s;
}

static bool
on_process(void *arg, int pid)
{
	struct search	*search = arg;
	struct survivor	 s;
	uid_t		 uid;

	if (pid == getpid())
		return true;
	if (is_master(pid, search->name) && procfs_owner(pid, &uid) == 0 &&
	    uid == geteuid()) {
		search->master = pid;
		return false;
	}
	if (identify(search, pid, &s) && hold(search, &s))
		add(search, &s);
	return search->found->count < SURVIVORS_MAX;
}

static int
by_slot(const void *a, const void *b)
{
	const struct survivor	*x = a, *y = b;

	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/*
 * A program's child that made itself a group of its own, and was started
 * without LISTEN_PID, is no worker: its parent is.
 */
static bool
has_parent(const struct survivors *all, const struct survivor *s)
{
	struct procfs_stat	 stat;

	if (!s->program || procfs_stat(s->pid, &stat) == -1)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].pid == stat.ppid)
			return true;
	return false;
}

static void
leave(const struct survivor *s, const char *why)
{
	if (why != NULL)
		log_event(EV_SURVIVOR_LEFT, log_int("slot", s->slot),
		    log_int("pid", s->pid), log_str("msg", why));
	close(s->pidfd);
}

/* Take those out that keep() does not want; why is logged, unless NULL. */
static void
filter(struct survivors *all, bool (*keep)(const struct survivor *, void *),
    void *arg, const char *why)
{
	bool	*kept = xcalloc(all->count + 1, sizeof(*kept));
	size_t	 n = 0;

	for (size_t i = 0; i < all->count; i++)
		kept[i] = keep(&all->list[i], arg);
	for (size_t i = 0; i < all->count; i++)
		if (kept[i])
			all->list[n++] = all->list[i];
		else
			leave(&all->list[i], why);
	all->count = n;
	free(kept);
}

static bool
is_no_child(const struct survivor *s, void *arg)
{
	return !has_parent(arg, s);
}

/*
 * Two that look at the same time would not see each other. An address that one
 * alone can have is given up by the kernel, however its holder ends.
 */
static int
lock(struct survivors *found, const char *name, struct err *err)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	size_t			 len;

	len = (size_t)snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "muster/adopt/%lu/%s", (unsigned long)geteuid(), name);
	len += offsetof(struct sockaddr_un, sun_path) + 1;
	if (len > sizeof(sun))
		len = sizeof(sun);
	found->lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (found->lock == -1)
		return err_sys(err, "no socket to look for workers with");
	if (bind(found->lock, (struct sockaddr *)&sun, (socklen_t)len) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return err_sys(err, "cannot bind @%s", sun.sun_path + 1);
	return err_set(err, "another master is being started with --adopt "
	    "under the name %s", name);
}

static int
look(struct search *search, struct err *err)
{
	int	 r;

	search->environ = xcalloc(1, ENVIRON_SIZE);
	r = procfs_each("", on_process, search);
	free(search->environ);
	if (r == -1)
		return err_sys(err, "cannot look for workers in /proc");
	if (search->master != 0)
		return err_set(err, "there is a living master of the name %s: "
		    "pid %d", search->name, (int)search->master);
	return 0;
}

struct survivors *
survivors_find(const char *name, struct err *err)
{
	struct search	 search = { .name = name };

	search.found = xcalloc(1, sizeof(*search.found));
	if (lock(search.found, name, err) == -1 || look(&search, err) == -1) {
		survivors_free(search.found);
		return NULL;
	}
	filter(search.found, is_no_child, search.found, NULL);
	if (search.found->count > 0)
		qsort(search.found->list, search.found->count,
		    sizeof(*search.found->list), by_slot);
	return search.found;
}

void
survivors_free(struct survivors *survivors)
{
	if (survivors == NULL)
		return;
	for (size_t i = 0; i < survivors->count; i++)
		if (survivors->list[i].pidfd != -1)
			close(survivors->list[i].pidfd);
	if (survivors->lock != -1)
		close(survivors->lock);
	free(survivors->list);
	free(survivors);
}

int
survivors_slots(const struct survivors *survivors)
{
	const struct survivor	*s;
	int			 count = 0, last = -1;

	for (size_t i = 0; i < survivors->count; i++) {
		s = &survivors->list[i];
		count += !s->leaving && s->slot != last;
		if (!s->leaving)
			last = s->slot;
	}
	return count;
}

/* ---- whose they are */

static bool
is_users(const struct survivor *s, void *arg)
{
	return s->uid == *(uid_t *)arg || s->uid == geteuid();
}

void
survivors_of(struct survivors *survivors, uid_t uid)
{
	filter(survivors, is_users, &uid, "it is another user's");
}

/* ---- who holds what */

struct sockets {
	pid_t		 pid;
	const ino_t	*list;
	size_t		 count;
	bool		 held;
};

static bool
on_descriptor(void *arg, int fd)
{
	struct sockets	*sockets = arg;
	ino_t		 ino;

	if (!procfs_socket(sockets->pid, fd, &ino))
		return true;
	for (size_t i = 0; i < sockets->count && !sockets->held; i++)
		sockets->held = sockets->list[i] == ino;
	return !sockets->held;
}

static bool
holds_one(const struct survivor *s, void *arg)
{
	struct sockets	*sockets = arg;
	char		 folder[32];

	sockets->pid = s->pid;
	sockets->held = false;
	snprintf(folder, sizeof(folder), "%d/fd", (int)s->pid);
	procfs_each(folder, on_descriptor, sockets);
	return sockets->held;
}

void
survivors_keep(struct survivors *survivors, const ino_t *list, size_t count)
{
	struct sockets	 sockets = { .list = list, .count = count };

	filter(survivors, holds_one, &sockets, "it holds none of our sockets");
}
