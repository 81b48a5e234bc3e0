#ifndef MUSTER_PROCFS_H
#define MUSTER_PROCFS_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What proc(5) says of other processes. A process may end at any time: then
 * a call says -1 with errno (ENOENT or ESRCH), never half of something.
 */
struct procfs_stat {
	char	 state;		/* R S D T Z ... */
	pid_t	 ppid, pgrp;
	uint64_t start;		/* clock ticks since boot: with the pid, who */
};

/*
 * Read /proc/PID/FILE, size - 1 bytes at most, with a NUL behind them.
 * Returns the bytes, or -1 with errno.
 */
ssize_t	procfs_read(pid_t pid, const char *file, char *out, size_t size);

/*
 * Hand each line of /proc/PID/FILE to line(), until that returns false or
 * most bytes were read. 0, 1: there was more, or -1 with errno.
 */
typedef bool	 procfs_line_fn(void *arg, const char *line);
int	procfs_lines(pid_t pid, const char *file, size_t most,
	    procfs_line_fn *line, void *arg);

int	procfs_stat(pid_t pid, struct procfs_stat *stat);
/* Whose is it (its effective uid)? -1 with errno. */
int	procfs_owner(pid_t pid, uid_t *uid);

/*
 * For each numbered entry of a folder of /proc, "" for /proc itself; each()
 * returning false ends it. 0, or -1 with errno.
 */
typedef bool	 procfs_fn(void *arg, int number);
int	procfs_each(const char *folder, procfs_fn *each, void *arg);

/*
 * For each child of ours, zombies included, where the kernel lists them
 * (proc_pid_task_children(5)). 0, or -1 with errno.
 */
int	procfs_children(procfs_fn *each, void *arg);

/* What descriptor fd of pid is: "socket:[123]", "/dev/null"; -1 with errno. */
int	procfs_link(pid_t pid, int fd, char *out, size_t size);
/* Is it a socket? Then its inode. */
bool	procfs_socket(pid_t pid, int fd, ino_t *ino);

#endif
