#include "master/procfs.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK	16384

static int
open_file(pid_t pid, const char *file)
{
	char	 path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static ssize_t
read_all(int fd, char *out, size_t size)
{
	size_t	 len = 0;
	ssize_t	 n;

	while (len < size) {
		n = read(fd, out + len, size - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

ssize_t
procfs_read(pid_t pid, const char *file, char *out, size_t size)
{
	ssize_t	 n;
	int	 fd, saved;

	out[0] = '\0';
	if ((fd = open_file(pid, file)) == -1)
		return -1;
	n = read_all(fd, out, size - 1);
	saved = errno;
	close(fd);
	out[n == -1 ? 0 : n] = '\0';
	errno = saved;
	return n;
}

/* The lines of len bytes; false: that was enough. *left is what began one. */
static bool
split(char *text, size_t len, size_t *left, procfs_line_fn *line, void *arg)
{
	char	*end;

	while ((end = memchr(text, '\n', len)) != NULL) {
		*end = '\0';
		if (!line(arg, text))
			return false;
		len -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	*left = len;
	return true;
}

static int
read_lines(int fd, size_t most, procfs_line_fn *line, void *arg)
{
	char	 text[CHUNK];
	size_t	 left = 0, len, total = 0;
	ssize_t	 n;

	while (total < most) {
		n = read(fd, text + left, sizeof(text) - left);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		total += (size_t)n;
		len = left + (size_t)n;
		if (!split(text, len, &left, line, arg))
			return 0;
		if (left == sizeof(text))
			break;		/* no line is that long */
		memmove(text, text + len - left, left);
	}
	return 1;
}

int
procfs_lines(pid_t pid, const char *file, size_t most, procfs_line_fn *line,
    void *arg)
{
	int	 fd, r, saved;

	if ((fd = open_file(pid, file)) == -1)
		return -1;
	r = read_lines(fd, most, line, arg);
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

int
procfs_stat(pid_t pid, struct procfs_stat *stat)
{
	char			 text[1024];
	const char		*rest;
	int			 ppid, pgrp;
	unsigned long long	 start;

	if (procfs_read(pid, "stat", text, sizeof(text)) == -1)
		return -1;
	/* The name in parentheses may hold anything; the rest is behind it. */
	rest = strrchr(text, ')');
	if (rest == NULL || sscanf(rest, ") %c %d %d %*d %*d %*d %*u %*u %*u "
	    "%*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &stat->state,
	    &ppid, &pgrp, &start) != 4) {
		errno = ESRCH;
		return -1;
	}
	stat->ppid = ppid;
	stat->pgrp = pgrp;
	stat->start = start;
	return 0;
}

/* Of its status: the folder of one that is not dumpable is root's. */
int
procfs_owner(pid_t pid, uid_t *uid)
{
	char		 text[2048];
	const char	*line;
	unsigned int	 effective;

	if (procfs_read(pid, "status", text, sizeof(text)) == -1)
		return -1;
	line = strstr(text, "\nUid:");
	if (line == NULL || sscanf(line, "\nUid: %*u %u", &effective) != 1) {
		errno = ESRCH;
		return -1;
	}
	*uid = effective;
	return 0;
}

int
procfs_each(const char *folder, procfs_fn *each, void *arg)
{
	char		 path[64];
	struct dirent	*entry;
	DIR		*dir;
	char		*end;
	long		 n;

	snprintf(path, sizeof(path), "/proc/%s", folder);
	if ((dir = opendir(path)) == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		n = strtol(entry->d_name, &end, 10);
		if (*end != '\0' || end == entry->d_name || n < 0 ||
		    n > INT_MAX)
			continue;
		if (!each(arg, (int)n))
			break;
	}
	closedir(dir);
	return 0;
}

int
procfs_link(pid_t pid, int fd, char *out, size_t size)
{
	char	 path[64];
	ssize_t	 len;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	len = readlink(path, out, size - 1);
	out[len == -1 ? 0 : len] = '\0';
	return len == -1 ? -1 : 0;
}

bool
procfs_socket(pid_t pid, int fd, ino_t *ino)
{
	char			 link[64];
	unsigned long long	 n;

	if (procfs_link(pid, fd, link, sizeof(link)) == -1 ||
	    sscanf(link, "socket:[%llu]", &n) != 1)
		return false;
	*ino = n;
	return true;
}

int
procfs_children(procfs_fn *each, void *arg)
{
	FILE	*file = fopen("/proc/thread-self/children", "re");
	int	 pid;

	if (file == NULL)
		return -1;
	while (fscanf(file, "%d", &pid) == 1 && each(arg, pid))
		continue;
	fclose(file);
	return 0;
}
