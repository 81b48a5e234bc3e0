#ifndef MUSTER_LOOK_H
#define MUSTER_LOOK_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

/* What /proc says of a process. -1 or "" when it is not there. */

int	 look_children(pid_t pid, pid_t *out, int max);	/* not zombies */
int	 look_descendants(pid_t pid, pid_t *out, int max);
int	 look_zombies(pid_t pid);		/* among its children */
bool	 look_alive(pid_t pid);			/* there, and no zombie */
char	 look_state(pid_t pid);			/* 'R', 'S', 'T', 'Z', 0 */
int64_t	 look_cpu_ms(pid_t pid);		/* user and system time */
int	 look_fds(pid_t pid);			/* how many are open */
int	 look_sockets(pid_t pid);		/* how many of them sockets */
int64_t	 look_rss_kb(pid_t pid);

/* A line of /proc/PID/status, without its name: "SigBlk". Static text. */
const char	*look_status(pid_t pid, const char *name);

/* /proc/PID/NAME with NULs turned into blanks. Static text. */
const char	*look_file(pid_t pid, const char *name);

/* Where descriptor fd of a process leads: "socket:[123]", "/dev/null". */
const char	*look_fd(pid_t pid, int fd);

#endif
