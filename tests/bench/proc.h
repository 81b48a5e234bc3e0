#ifndef BENCH_PROC_H
#define BENCH_PROC_H

/*
 * What the kernel says about processes, from /proc: the same eyes for both
 * sides, and nothing that the measured programs say of themselves.
 */
#include <sys/types.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIDS_MAX	12000

struct pids {
	int	n;
	pid_t	pid[PIDS_MAX];
};

/*
 * The children of pid, in the order of their forks. Async-signal-safe, as the
 * clean-up after an interrupt calls it.
 */
static inline void
children_of(pid_t pid, struct pids *out)
{
	static const char dir[] = "/proc/", sub[] = "/children";
	char path[64], num[16], buf[4096], *p = num + sizeof(num);
	pid_t v = pid;
	ssize_t n, i;
	int fd;

	for (*--p = '\0'; v > 0; v /= 10)
		*--p = (char)('0' + v % 10);
	strcpy(path, dir);
	strcat(strcat(strcat(strcat(path, p), "/task/"), p), sub);
	out->n = 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	for (v = 0; (n = read(fd, buf, sizeof(buf))) > 0; ) {
		for (i = 0; i < n; i++) {
			if (buf[i] >= '0' && buf[i] <= '9')
				v = v * 10 + (buf[i] - '0');
			else if (v > 0 && out->n < PIDS_MAX) {
				out->pid[out->n++] = v;
				v = 0;
			}
		}
	}
	close(fd);
}

/* The number that follows key at a line's start of /proc/PID/file; or -1. */
static inline long
proc_number(pid_t pid, const char *file, const char *key)
{
	char path[64], line[256];
	size_t len = strlen(key);
	long v = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((in = fopen(path, "re")) == NULL)
		return -1;
	while (v == -1 && fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, key, len) == 0)
			v = strtol(line + len, NULL, 10);
	fclose(in);
	return v;
}

static inline long
pid_max(void)
{
	FILE *in = fopen("/proc/sys/kernel/pid_max", "re");
	long v = -1;

	if (in != NULL) {
		if (fscanf(in, "%ld", &v) != 1)
			v = -1;
		fclose(in);
	}
	return v;
}

static inline long
pss_kib(pid_t pid)
{
	return proc_number(pid, "smaps_rollup", "Pss:");
}

static inline long
voluntary_switches(pid_t pid)
{
	return proc_number(pid, "status", "voluntary_ctxt_switches:");
}

static inline long
all_switches(pid_t pid)
{
	return voluntary_switches(pid) +
	    proc_number(pid, "status", "nonvoluntary_ctxt_switches:");
}

/* How many sockets pid has open. */
static inline int
sockets_of(pid_t pid)
{
	char path[64], to[32];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(dir)) != NULL)
		if (readlinkat(dirfd(dir), e->d_name, to, sizeof(to)) > 7 &&
		    strncmp(to, "socket:", 7) == 0)
			n++;
	closedir(dir);
	return n;
}

#endif
