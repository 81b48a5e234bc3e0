#ifndef MUSTER_SYSTEMD_PRIV_H
#define MUSTER_SYSTEMD_PRIV_H

/* Shared by systemd.c (what is said, when) and systemd_send.c (how). */

#include <sys/socket.h>
#include <sys/un.h>

#include "master/systemd.h"

#define NAME_SIZE	256	/* FDNAME: 255 characters */
#define STORE_MAX	64	/* descriptors that wait to be taken */

/* What may not be lost, in the order it was said. */
enum phase { PHASE_STARTING, PHASE_READY, PHASE_RELOADING, PHASE_STOPPING };
/* READY RELOADING READY STOPPING: more than that says nothing new. */
#define PHASES_MAX	4

struct said {
	enum phase	 phase;
	int64_t		 us;		/* monotonic: RELOADING needs it */
};

struct stored {
	int		 fd;		/* owned; -1: to be given up */
	char		 name[NAME_SIZE];
};

struct systemd {
	int		 fd;
	struct sockaddr_un to;
	socklen_t	 to_len;
	systemd_healthy_fn *healthy;
	void		*arg;
	struct event	*again;		/* one-shot: what did not fit */
	int64_t		 delay;		/* ms: of the next try */
	struct event	*watchdog;	/* NULL: none is asked for */
	bool		 ailing;	/* no ping: logged once */
	enum phase	 phase;
	bool		 tells_pid;	/* with READY */

	struct said	 said[PHASES_MAX];
	int		 nsaid;
	int64_t		 extend;	/* 0: nothing waits */
	bool		 ping;
	bool		 status_waits;
	char		 status[256];
	struct stored	 store[STORE_MAX];
	int		 nstore;
	int		 store_limit;	/* FDSTORE; 0: not asked for */
};

/* Send what waits, as far as it goes; the rest is tried again later. */
void	systemd_send(struct systemd *systemd);
/* Forget what waits to be stored. */
void	systemd_forget(struct systemd *systemd);

#endif
