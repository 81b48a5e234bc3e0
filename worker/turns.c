#include "worker/turns.h"

#include <sys/epoll.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/loop.h"

static bool	 known;		/* turns_learn() found what it expected */

int
turns_next_fd(void)
{
	int	 fd;

	if ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) != -1)
		close(fd);
	return fd;
}

bool
turns_parse(const char *line, int fd, uint64_t *data)
{
	const char	*at;
	char		*end;

	if (strncmp(line, "tfd:", 4) != 0 ||
	    strtol(line + 4, &end, 10) != fd || end == line + 4)
		return false;
	if ((at = strstr(end, "data:")) == NULL)
		return false;
	at += strlen("data:");
	*data = strtoull(at, &end, 16);
	return end != at;
}

/* What data does epoll descriptor ep hold for fd? False: it does not. */
static bool
data_of(int ep, int fd, uint64_t *data)
{
	char	 text[4096], *line, *lf;
	ssize_t	 n;
	int	 info;
	bool	 found = false;

	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", ep);
	if ((info = open(text, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	n = read(info, text, sizeof(text) - 1);
	close(info);
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (line = text; !found && (lf = strchr(line, '\n')) != NULL;
	    line = lf + 1) {
		*lf = '\0';
		found = turns_parse(line, fd, data);
	}
	return found;
}

uint64_t
turns_data(int fd)
{
	return (uint64_t)fd;
}

static bool
try_out(int fds[2])
{
	struct event_base	*base;
	struct event		*event;
	struct err		 err;
	uint64_t		 data;
	int			 ep, result = false;

	if ((base = loop_open(true, &ep, &err)) == NULL)
		return false;
	event = event_new(base, fds[0], EV_READ | EV_PERSIST, NULL, NULL);
	if (event != NULL && event_add(event, NULL) == 0)
		result = data_of(ep, fds[0], &data) &&
		    data == turns_data(fds[0]) &&
		    turns_tail(ep, fds[0], data) == 0;
	if (event != NULL)
		event_free(event);
	event_base_free(base);
	return result;
}

bool
turns_learn(void)
{
	int	 fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return false;
	known = try_out(fds);
	close(fds[0]);
	close(fds[1]);
	return known;
}

bool
turns_known(void)
{
	return known;
}

int
turns_tail(int ep, int fd, uint64_t data)
{
	struct epoll_event	 ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };

	ev.data.u64 = data;
	if (epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL) == -1)
		return -1;
	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}
