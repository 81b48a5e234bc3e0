#include "master/systemd_priv.h"

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#define DELAY_MIN_MS	50
#define DELAY_MAX_MS	1000

/* ---- sending */

/* The manager may be about to make room, or to be back from its own exec. */
static bool
is_passing(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM ||
	    error == ECONNREFUSED || error == ENOENT || error == EINTR ||
	    error == ETOOMANYREFS;
}

/* Send text, and fd unless -1. False: to be tried again. */
static bool
send_text(struct systemd *s, const char *text, int fd)
{
	union {
		struct cmsghdr	 align;
		char		 bytes[CMSG_SPACE(sizeof(int))];
	}		 control = { .bytes = { 0 } };
	struct iovec	 iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr	 message = { .msg_name = &s->to,
			    .msg_namelen = s->to_len,
			    .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr	*header;

	if (fd != -1) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != -1)
		return true;
	if (is_passing(errno))
		return false;
	log_event(EV_SYSTEMD_NOTE, log_str("msg",
	    "the service manager was not told"), log_errno());
	return true;
}

static bool
send_said(struct systemd *s, const struct said *said)
{
	char	 text[64];

	switch (said->phase) {
	case PHASE_READY:
		snprintf(text, sizeof(text), "READY=1\nMAINPID=%d",
		    (int)getpid());
		return send_text(s, s->tells_pid ? text : "READY=1", -1);
	case PHASE_RELOADING:
		snprintf(text, sizeof(text),
		    "RELOADING=1\nMONOTONIC_USEC=%" PRId64, said->us);
		return send_text(s, text, -1);
	case PHASE_STOPPING:
		return send_text(s, "STOPPING=1", -1);
	case PHASE_STARTING:
		break;
	}
	return true;
}

static bool
send_phases(struct systemd *s)
{
	while (s->nsaid > 0) {
		if (!send_said(s, &s->said[0]))
			return false;
		s->nsaid--;
		memmove(&s->said[0], &s->said[1],
		    (size_t)s->nsaid * sizeof(s->said[0]));
	}
	return true;
}

/* A status with the phases would be one datagram less, but lost with them. */
static bool
send_newest(struct systemd *s)
{
	char	 text[sizeof(s->status) + 64];

	snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%" PRId64,
	    s->extend);
	if (s->extend != 0 && !send_text(s, text, -1))
		return false;
	s->extend = 0;
	if (s->ping && !send_text(s, "WATCHDOG=1", -1))
		return false;
	s->ping = false;
	snprintf(text, sizeof(text), "STATUS=%s", s->status);
	if (s->status_waits && !send_text(s, text, -1))
		return false;
	s->status_waits = false;
	return true;
}

static void
drop_stored(struct systemd *s, int i)
{
	if (s->store[i].fd != -1)
		close(s->store[i].fd);
	s->nstore--;
	memmove(&s->store[i], &s->store[i + 1],
	    (size_t)(s->nstore - i) * sizeof(s->store[i]));
}

static bool
send_stored(struct systemd *s)
{
	char	 text[NAME_SIZE + 64];

	while (s->nstore > 0) {
		snprintf(text, sizeof(text), "%s\nFDNAME=%s",
		    s->store[0].fd == -1 ? "FDSTOREREMOVE=1" :
		    "FDSTORE=1\nFDPOLL=0", s->store[0].name);
		if (!send_text(s, text, s->store[0].fd))
			return false;
		drop_stored(s, 0);
	}
	return true;
}

/* Is there no manager at all (a stale variable), it costs a call a second. */
void
systemd_send(struct systemd *s)
{
	struct timeval	 later;

	if (send_phases(s) && send_newest(s) && send_stored(s)) {
		event_del(s->again);
		s->delay = 0;
		return;
	}
	s->delay = s->delay == 0 ? DELAY_MIN_MS : s->delay * 2;
	if (s->delay > DELAY_MAX_MS)
		s->delay = DELAY_MAX_MS;
	later = clock_timeval(s->delay);
	event_add(s->again, &later);
}

void
systemd_forget(struct systemd *s)
{
	while (s->nstore > 0)
		drop_stored(s, s->nstore - 1);
}

/* ---- descriptors to keep */

int
systemd_room(const struct systemd *s)
{
	return s == NULL ? 0 : s->store_limit;
}

/* What sd_notify(3) takes as FDNAME. */
static bool
name_ok(const char *name)
{
	size_t	 len = strlen(name);

	for (const char *p = name; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || *p == ':')
			return false;
	return len > 0 && len < NAME_SIZE;
}

static void
note(const char *name, const char *why)
{
	char	*msg = xasprintf("%s is not kept by the service manager: %s",
		    name, why);

	log_event(EV_SYSTEMD_NOTE, log_str("msg", msg));
	free(msg);
}

/* Our own descriptor until it was taken: the caller may close its. */
static void
add_stored(struct systemd *s, int fd, const char *name)
{
	struct stored	*stored = &s->store[s->nstore];

	stored->fd = -1;
	if (fd != -1 &&
	    (stored->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1) {
		note(name, strerror(errno));
		return;
	}
	strcpy(stored->name, name);
	s->nstore++;
}

void
systemd_store(struct systemd *s, const int *fds, const char *const *names,
    size_t count)
{
	if (s == NULL || s->store_limit == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (i >= (size_t)s->store_limit || s->nstore == STORE_MAX)
			note(names[i], "it keeps no more");
		else if (!name_ok(names[i]))
			note(names[i], "it takes no such name");
		else
			add_stored(s, fds[i], names[i]);
	}
	systemd_send(s);
}

void
systemd_unstore(struct systemd *s, const char *name)
{
	if (s == NULL || s->store_limit == 0 || !name_ok(name))
		return;
	for (int i = s->nstore - 1; i >= 0; i--)
		if (strcmp(s->store[i].name, name) == 0)
			drop_stored(s, i);
	if (s->nstore < STORE_MAX)
		add_stored(s, -1, name);
	systemd_send(s);
}
