#ifndef MUSTER_MASTER_PRIV_H
#define MUSTER_MASTER_PRIV_H

#include "master/crash.h"
#include "master/master.h"

/*
 * The master's inside, shared by master.c (life, signals), master_wish.c (what
 * is asked of it) and master_image.c (from one image of it to the next).
 */
struct event;
struct event_base;
struct store;
struct supervise;
struct systemd;
struct upgrade;

struct master {
	struct master_parts	 p;
	struct event_base	*base;
	struct event		*signals;
	struct event		*slow;		/* until the pool is ready */
	struct event		*become;	/* the binary that was tried */
	struct supervise	*supervise;
	struct systemd		*systemd;	/* or NULL */
	struct store		*store;		/* or NULL */
	struct upgrade		*upgrade;
	char			*proven;	/* owned; its version, until then */
	bool			 gives_up;	/* crashed too often */
	bool			 over;		/* the pool has ended */
	struct crash_saved	 crash;		/* the last; nr 0: none */
	struct crash_saved	 untold[CRASHES];
	size_t			 nuntold;
	int64_t			 stop_ms;	/* asked to stop, or -1 */
};

/* The configuration in force. */
const struct conf	*master_conf(const struct master *m);
bool			 master_running(const struct master *m);

/* ---- master_image.c */

/* The trial has ended: version is the new binary's; NULL: why it failed. */
void	master_tried(void *arg, const char *version, const char *why);
/* Become what was tried, if it still may. */
void	master_become(struct master *m);

/* Did an upgrade bring us here? */
bool	master_upgraded(const struct master *m);
/* Crashes that nobody was told of; told with the origin. */
void	master_note_crashes(struct master *m);
/* Who we are, and what became of the image before us. */
void	master_say_origin(const struct master *m);

#endif
