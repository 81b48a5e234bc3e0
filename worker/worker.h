#ifndef MUSTER_WORKER_H
#define MUSTER_WORKER_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/conf.h"

/*
 * All a worker may know of the master. Filled in by master/proc.c before the
 * fork; every pointer is the child's own copy by then.
 */
struct worker_boot {
	const struct conf	*conf;
	int			 slot;
	int			 generation;
	pid_t			 master_pid;
	int			 board_fd;	/* board.h; closed once mapped */
	int			 cell;		/* ours on the board */
	int			 up_fd;		/* SEQPACKET to the master, non-blocking */
	int			 life_fd;	/* read end; EOF: master gone */
	int			 null_fd;	/* /dev/null, for stdin */
	const struct inherited	*sockets;
	size_t			 nsockets;
	bool			 exclusive;	/* accept by turns */
	int64_t			 max_requests;	/* 0: no limit; jitter is in it */
	bool			 caretaker;	/* serve a parked socket, leave when idle */
};

/*
 * In the child: the whole life of an app worker. Called with default signal
 * dispositions and all signals blocked but the fault signals, as leader of
 * its own process group, all descriptors still the master's. Returns the
 * exit code, for _exit(2).
 */
int	worker_run(const struct worker_boot *boot);

/*
 * In the master, once, before the first fork: find out what each worker would
 * have to find out anew.
 */
void	worker_prepare(void);

/* Exit codes of a worker that could not start (sysexits.h). */
#define WORKER_EXIT_OSERR	71	/* out of memory, descriptors, ... */
#define WORKER_EXIT_NOPERM	77	/* user, group, no_new_privs refused */

#endif
