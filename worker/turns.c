#include "worker/turns.h"

#include <sys/epoll.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

bool
turns_learn(int ep, int fd, uint64_t *data)
{
	char	 text[4096], *line, *lf;
	size_t	 have = 0;
	ssize_t	 n;
	int	 info;
	bool	 found = false;

	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", ep);
	if ((info = open(text, O_RDONLY | O_CLOEXEC)) == -1)
		return false;
	while (have < sizeof(text) - 1 &&
	    (n = read(info, text + have, sizeof(text) - 1 - have)) > 0) {
		have += (size_t)n;
		text[have] = '\0';
		line = text;
		while (!found && (lf = strchr(line, '\n')) != NULL) {
			*lf = '\0';
			found = turns_parse(line, fd, data);
			line = lf + 1;
		}
		if (found)
			break;
		have = strlen(line);	/* the beginning of a line */
		memmove(text, line, have + 1);
	}
	close(info);
	return found;
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
