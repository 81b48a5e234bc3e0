#include "worker/up.h"

#include <sys/socket.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"

struct up {
	int		 fd;
	unsigned int	 pending;
	struct event	*room;		/* the channel was full */
	struct event	*later;		/* the system was */
};

static const struct timeval up_later = { .tv_usec = 10000 };

static const struct {
	unsigned int	 what;
	const char	*line;
} up_rows[] = {
	{ UP_READY,	"READY=1\n" },
	{ UP_RETIRE,	"MUSTER_RETIRE=max_requests\n" },
	{ UP_STOPPING,	"STOPPING=1\n" },
};

static void
up_flush(struct up *up)
{
	char	 text[128] = "";
	ssize_t	 n;
	size_t	 i;

	for (i = 0; i < sizeof(up_rows) / sizeof(up_rows[0]); i++) {
		if (up->pending & up_rows[i].what)
			strcat(text, up_rows[i].line);
	}
	do {
		n = send(up->fd, text, strlen(text),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		event_add(up->room, NULL);
	else if (n == -1 && (errno == ENOBUFS || errno == ENOMEM))
		event_add(up->later, &up_later);
	else
		up->pending = 0;	/* sent, or nobody is there any more */
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	up_flush(arg);
}

struct up *
up_new(struct event_base *base, int fd)
{
	struct up	*up;

	up = xcalloc(1, sizeof(*up));
	up->fd = fd;
	up->room = event_new(base, fd, EV_WRITE, on_again, up);
	up->later = event_new(base, -1, 0, on_again, up);
	return up->room != NULL && up->later != NULL ? up : NULL;
}

void
up_say(struct up *up, unsigned int what)
{
	up->pending |= what;
	up_flush(up);
}
