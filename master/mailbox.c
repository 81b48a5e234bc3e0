#include "master/mailbox.h"

#include <bsd/sys/tree.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/notify.h"
#include "master/dgram.h"
#include "master/ears.h"
#include "master/sender.h"

#define BOXES_A_TURN	16
#define MESSAGES_A_BOX	8
#define UNREAD_MAX	1024	/* about what the kernel lets wait at most */
#define ADDRESS_MAX	64	/* two numbers, 16 digits: 56 at most */

struct mailbox {
	RB_ENTRY(mailbox) by_worker;	/* once it is owned */
	RB_ENTRY(mailbox) by_address;
	struct mailroom	*room;
	int		 fd;
	pid_t		 worker;	/* 0: not owned yet */
	uid_t		 uid;
	bool		 told;		/* that one was refused */
	bool		 wary;		/* the next may have crashed us */
	char		 address[ADDRESS_MAX];
};

RB_HEAD(by_worker, mailbox);
RB_HEAD(by_address, mailbox);

struct mailroom {
	struct ears	*ears;
	mailbox_fn	*said;
	void		(*done)(void *);
	void		*arg;
	uint64_t	 last;		/* the newest address's number */
	struct mailbox	*reading;	/* NULL: none, or it was closed */
	struct by_worker workers;
	struct by_address addresses;
};

static int
compare_worker(const struct mailbox *a, const struct mailbox *b)
{
	return (a->worker > b->worker) - (a->worker < b->worker);
}

static int
compare_address(const struct mailbox *a, const struct mailbox *b)
{
	return strcmp(a->address, b->address);
}

RB_GENERATE_INTERNAL(by_worker, mailbox, by_worker, compare_worker,
    __attribute__((__unused__)) static)
RB_GENERATE_INTERNAL(by_address, mailbox, by_address, compare_address,
    __attribute__((__unused__)) static)

/* ---- reading */

static void
drop(struct mailbox *box, const struct dgram *got, const char *why)
{
	if (!box->told)
		log_event(EV_MAIL_REFUSED, log_int("pid", box->worker),
		    log_int("sender", got->pid), log_int("uid", got->uid),
		    log_str("msg", why));
	box->told = true;
}

static bool
judge(struct mailbox *box, const struct dgram *got, const char *text)
{
	struct notify	 notify;
	bool		 looked;

	if (!sender_may(got->pid, got->uid, box->worker, box->uid, &looked)) {
		drop(box, got, "the sender may not speak for the worker");
	} else if (got->cut) {
		drop(box, got, "it is too long");
	} else {
		notify_parse(text, got->len, &notify);
		box->room->said(box->room->arg, box->worker, &notify);
	}
	return looked;
}

/*
 * How much of the turn a message took; 0: there is none. One whose sender had
 * to be searched for is worth as many as a turn has.
 *
 * It is taken once it has been heard, as a crash in between would lose it. But
 * a message that crashes us shall not do so again and again: the first one
 * after an exec is taken before.
 */
static int
read_one(struct mailbox *box)
{
	struct mailroom	*room = box->room;
	char		 text[NOTIFY_MAX];
	struct dgram	 got;
	bool		 wary = box->wary, looked;

	if (wary ? !dgram_read(box->fd, text, sizeof(text), &got) :
	    !dgram_peek(box->fd, text, sizeof(text), &got))
		return 0;
	box->wary = false;
	looked = judge(box, &got, text);
	if (!wary && room->reading == box)
		dgram_read(box->fd, text, 1, &got);
	return looked ? MESSAGES_A_BOX : 1;
}

/*
 * What is said may end the worker, and with it the mailbox. It reads no other
 * mailbox in between: that could close this one unseen.
 */
static void
read_some(struct mailbox *box, int most, bool even)
{
	struct mailroom	*room = box->room;
	int		 cost;

	assert(room->reading == NULL);
	room->reading = box;
	while (most > 0 && room->reading == box) {
		if ((cost = read_one(box)) == 0)
			break;
		most -= even ? 1 : cost;
	}
	room->reading = NULL;
}

void
mailbox_read(struct mailbox *box, int most)
{
	if (box->worker != 0)
		read_some(box, most, true);
}

static void
on_mail(void *arg, void *who)
{
	(void)arg;
	read_some(who, MESSAGES_A_BOX, false);
}

static void
on_turn_done(void *arg)
{
	struct mailroom	*room = arg;

	if (room->done != NULL)
		room->done(room->arg);
}

/* ---- the room */

struct mailroom *
mailroom_new(struct event_base *base, int priority, mailbox_fn *said,
    void (*done)(void *), void *arg, struct err *err)
{
	struct mailroom	*room = xcalloc(1, sizeof(*room));

	*room = (struct mailroom){ .said = said, .done = done, .arg = arg };
	RB_INIT(&room->workers);
	RB_INIT(&room->addresses);
	room->ears = ears_new(base, priority, BOXES_A_TURN, on_mail,
	    on_turn_done, room, err);
	if (room->ears != NULL)
		return room;
	free(room);
	return NULL;
}

void
mailroom_free(struct mailroom *room)
{
	struct mailbox	*box;

	if (room == NULL)
		return;
	while ((box = RB_MIN(by_address, &room->addresses)) != NULL)
		mailbox_close(box);
	ears_free(room->ears);
	free(room);
}

struct mailbox *
mailbox_of(struct mailroom *room, pid_t worker)
{
	struct mailbox	 key = { .worker = worker };

	return RB_FIND(by_worker, &room->workers, &key);
}

struct mailbox *
mailbox_at(struct mailroom *room, const char *address)
{
	struct mailbox	 key;

	if (strlen(address) >= sizeof(key.address))
		return NULL;
	strcpy(key.address, address);
	return RB_FIND(by_address, &room->addresses, &key);
}

/* ---- one mailbox */

/*
 * Random, so that nobody can have bound it before us; it is no secret, as
 * /proc/net/unix shows it to all.
 */
static int
make_address(struct mailbox *box, struct err *err)
{
	uint64_t	 random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) !=
	    sizeof(random))
		return err_sys(err, "no random number for a mailbox");
	snprintf(box->address, sizeof(box->address), "@muster/%d/%llu.%016llx",
	    (int)getpid(), (unsigned long long)++box->room->last,
	    (unsigned long long)random);
	return 0;
}

static int
bind_address(struct mailbox *box, struct err *err)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	size_t			 len = strlen(box->address);

	memcpy(sun.sun_path, box->address, len);
	sun.sun_path[0] = '\0';		/* abstract */
	if (bind(box->fd, (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == -1)
		return err_sys(err, "cannot bind a mailbox to %s",
		    box->address);
	return 0;
}

/* No setting bounds what waits: see unix(7) and net.unix.max_dgram_qlen. */
static int
ask_credentials(int fd, struct err *err)
{
	int	 on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == -1)
		return err_sys(err, "cannot ask for senders' credentials");
	return 0;
}

struct mailbox *
mailbox_open(struct mailroom *room, struct err *err)
{
	struct mailbox	*box = xcalloc(1, sizeof(*box));

	box->room = room;
	box->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (box->fd == -1)
		err_sys(err, "cannot make a mailbox");
	else if (ask_credentials(box->fd, err) == 0 &&
	    make_address(box, err) == 0 && bind_address(box, err) == 0) {
		RB_INSERT(by_address, &room->addresses, box);
		return box;
	}
	if (box->fd != -1)
		close(box->fd);
	free(box);
	return NULL;
}

const char *
mailbox_address(const struct mailbox *box)
{
	return box->address;
}

static int
own(struct mailbox *box, pid_t worker, uid_t uid)
{
	box->worker = worker;
	box->uid = uid;
	if (RB_INSERT(by_worker, &box->room->workers, box) != NULL) {
		box->worker = 0;
		errno = EEXIST;
		return -1;
	}
	return ears_add(box->room->ears, box->fd, box);
}

/*
 * Only memory or a limit on watches can be lacking (epoll_ctl(2)): its last
 * words are read even so.
 */
void
mailbox_own(struct mailbox *box, pid_t worker, uid_t uid)
{
	if (own(box, worker, uid) == -1)
		log_event(EV_LOOP_NOTE, log_str("msg",
		    "a program's mailbox cannot be watched"), log_errno());
}

static void
forget(struct mailbox *box)
{
	struct mailroom	*room = box->room;

	if (room->reading == box)
		room->reading = NULL;
	if (box->worker != 0) {
		ears_drop(room->ears, box->fd);
		RB_REMOVE(by_worker, &room->workers, box);
	}
	RB_REMOVE(by_address, &room->addresses, box);
	free(box);
}

void
mailbox_close(struct mailbox *box)
{
	struct dgram	 got;
	char		 byte;
	int		 fd, i;

	if (box == NULL)
		return;
	fd = box->fd;
	forget(box);
	/* What was passed along is not left to close(2): see dgram.c. */
	for (i = 0; i < UNREAD_MAX && dgram_read(fd, &byte, 1, &got); i++)
		;
	close(fd);
}

/* ---- across an exec */

int
mailbox_fd(const struct mailbox *box)
{
	return box->fd;
}

/* The number in our own address, or 0 if fd has none of that kind. */
static uint64_t
read_address(int fd, char address[ADDRESS_MAX])
{
	struct sockaddr_un	 sun = { 0 };
	socklen_t		 len = sizeof(sun);
	size_t			 path;
	unsigned long long	 nr;
	int			 pid, end = 0;

	if (!fd_socket_is(fd, SO_DOMAIN, AF_UNIX) ||
	    !fd_socket_is(fd, SO_TYPE, SOCK_DGRAM) ||
	    getsockname(fd, (struct sockaddr *)&sun, &len) == -1 ||
	    len <= offsetof(struct sockaddr_un, sun_path))
		return 0;
	path = len - offsetof(struct sockaddr_un, sun_path);
	if (sun.sun_path[0] != '\0' || path >= ADDRESS_MAX ||
	    memchr(sun.sun_path + 1, '\0', path - 1) != NULL)
		return 0;
	memcpy(address, sun.sun_path, path);
	address[0] = '@';
	address[path] = '\0';
	if (sscanf(address, "@muster/%9d/%19llu.%*16[0-9a-f]%n", &pid, &nr,
	    &end) != 2 || address[end] != '\0' || pid != getpid())
		return 0;
	return nr;
}

struct mailbox *
mailbox_restore(struct mailroom *room, int fd, pid_t worker, uid_t uid,
    struct err *err)
{
	struct mailbox	*box;
	char		 address[ADDRESS_MAX];
	uint64_t	 nr;

	if (worker <= 0 || (nr = read_address(fd, address)) == 0 ||
	    mailbox_at(room, address) != NULL ||
	    mailbox_of(room, worker) != NULL) {
		err_set(err, "descriptor %d is not the mailbox of pid %d", fd,
		    (int)worker);
		return NULL;
	}
	if (fd_cloexec(fd, true) == -1 || fd_nonblock(fd, true) == -1) {
		err_sys(err, "cannot take the mailbox over");
		return NULL;
	}
	if (ask_credentials(fd, err) == -1)
		return NULL;
	box = xcalloc(1, sizeof(*box));
	*box = (struct mailbox){ .room = room, .fd = fd, .wary = true };
	strcpy(box->address, address);
	RB_INSERT(by_address, &room->addresses, box);
	mailbox_own(box, worker, uid);
	if (nr > room->last)
		room->last = nr;
	return box;
}
