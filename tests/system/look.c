#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/look.h"

#define TEXT_MAX	16384

static ssize_t
slurp(const char *path, char *out, size_t size)
{
	ssize_t got, len = 0;
	int fd;

	out[0] = '\0';
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	while ((size_t)len < size - 1 &&
	    (got = read(fd, out + len, size - 1 - (size_t)len)) > 0)
		len += got;
	close(fd);
	out[len] = '\0';
	return len;
}

/* Children of one process, zombies too. */
static int
children(pid_t pid, pid_t *out, int count, int max)
{
	char path[PATH_MAX], text[TEXT_MAX];
	struct dirent *entry;
	char *at, *end;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((tasks = opendir(path)) == NULL)
		return count;
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children",
		    (int)pid, entry->d_name);
		slurp(path, text, sizeof(text));
		for (at = text; count < max; at = end) {
			long child = strtol(at, &end, 10);

			if (end == at)
				break;
			out[count++] = (pid_t)child;
		}
	}
	closedir(tasks);
	return count;
}

int
look_children(pid_t pid, pid_t *out, int max)
{
	int count = children(pid, out, 0, max), kept = 0;

	for (int i = 0; i < count; i++)
		if (look_alive(out[i]))
			out[kept++] = out[i];
	return kept;
}

int
look_descendants(pid_t pid, pid_t *out, int max)
{
	int count = children(pid, out, 0, max);

	for (int i = 0; i < count; i++)
		count = children(out[i], out, count, max);
	return count;
}

int
look_zombies(pid_t pid)
{
	pid_t pids[1024];
	int count = children(pid, pids, 0, 1024), zombies = 0;

	for (int i = 0; i < count; i++)
		zombies += look_state(pids[i]) == 'Z';
	return zombies;
}

/* The fields of /proc/PID/stat after the name; NULL if there is none. */
static const char *
stat_fields(pid_t pid, char *text, size_t size)
{
	char path[64], *paren;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (slurp(path, text, size) <= 0 ||
	    (paren = strrchr(text, ')')) == NULL)
		return NULL;
	return paren + 2;
}

char
look_state(pid_t pid)
{
	char text[1024];
	const char *fields = stat_fields(pid, text, sizeof(text));

	return fields != NULL ? fields[0] : '\0';
}

bool
look_alive(pid_t pid)
{
	char state = look_state(pid);

	return state != '\0' && state != 'Z' && state != 'X';
}

int64_t
look_cpu_ms(pid_t pid)
{
	char text[1024];
	const char *fields = stat_fields(pid, text, sizeof(text));
	unsigned long user, system;

	if (fields == NULL || sscanf(fields, "%*c %*d %*d %*d %*d %*d %*u "
	    "%*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		return -1;
	return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static int
count_fds(pid_t pid, const char *kind)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (strncmp(look_fd(pid, atoi(entry->d_name)), kind,
		    strlen(kind)) == 0)
			count++;
	}
	closedir(dir);
	return count;
}

int
look_fds(pid_t pid)
{
	return count_fds(pid, "");
}

int
look_sockets(pid_t pid)
{
	return count_fds(pid, "socket:");
}

const char *
look_fd(pid_t pid, int fd)
{
	static char target[256];
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	return target;
}

int64_t
look_rss_kb(pid_t pid)
{
	return atoll(look_status(pid, "VmRSS"));
}

const char *
look_status(pid_t pid, const char *name)
{
	static char text[4096];
	char path[64], key[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	snprintf(key, sizeof(key), "\n%s:", name);
	if (slurp(path, text, sizeof(text)) <= 0 ||
	    (at = strstr(text, key)) == NULL)
		return "";
	at += strlen(key);
	at += strspn(at, " \t");
	at[strcspn(at, "\n")] = '\0';
	return at;
}

const char *
look_file(pid_t pid, const char *name)
{
	static char text[TEXT_MAX];
	char path[128];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	len = slurp(path, text, sizeof(text));
	for (ssize_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}
