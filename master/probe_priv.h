#ifndef MUSTER_PROBE_PRIV_H
#define MUSTER_PROBE_PRIV_H

/*
 * Shared by probe.c (the processes and the verdict), probe_wait.c (what a
 * thread waits for) and probe_net.c (what sockets are).
 */

#include <stdbool.h>

#include "master/probe.h"

#define PROBE_PROCESSES	64
#define PROBE_THREADS	256
#define PROBE_FDS	1024		/* a process */
#define PROBE_OTHERS	1024
#define PROBE_TEXT	(256 * 1024)	/* of one file of /proc */

/* A socket that is none of ours, and where it was seen. */
struct probe_other {
	ino_t	 ino;
	pid_t	 pid;
	int	 fd;
	bool	 known;		/* what it is */
};

struct probe {
	const ino_t	*sockets;	/* the inherited ones */
	size_t		 count;
	pid_t		 leader;
	pid_t		 pids[PROBE_PROCESSES];
	size_t		 npids;
	struct probe_other others[PROBE_OTHERS];
	size_t		 nothers;
	size_t		 nthreads;
	char		*text;		/* PROBE_TEXT, owned */

	bool		 used;		/* certain: the rest is moot */
	bool		 unsure;	/* something could not be seen */
	bool		 naps;		/* may look at it now and then */
};

bool	probe_is_ours(const struct probe *probe, ino_t ino);
/* NULL: none of the others. */
struct probe_other	*probe_other(struct probe *probe, ino_t ino);
/* Is pid of our own user, so that it may have us wait? */
bool	probe_is_own(pid_t pid);

/* What thread tid of pid, which holds one of the sockets, waits for. */
void	probe_wait(struct probe *probe, pid_t pid, int tid);

/*
 * Is one of the others a connection that came from our sockets? And which of
 * them listen: their addresses are written to elsewhere.
 */
void	probe_net(struct probe *probe, char *elsewhere, size_t size);

#endif
