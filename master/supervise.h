#ifndef MUSTER_SUPERVISE_H
#define MUSTER_SUPERVISE_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/err.h"

struct conf_source;
struct event_base;
struct generations;
struct mirror;
struct pool;
struct proc_death;
struct reload;
struct saved;
struct setup_master;
struct survivors;
struct systemd;

/*
 * The shell around the pool: brings it the facts, asks what next, does it,
 * and arms the one timer for its next deadline. It decides nothing.
 */
struct supervise;

/* Priorities of the loop's events: signals come before all else. */
enum { PRIORITY_SIGNALS, PRIORITY_FACTS, PRIORITY_TURNS, PRIORITY_OUTPUT,
	PRIORITIES };

/* What it works with, all borrowed. */
struct supervise_parts {
	struct event_base		*base;
	struct generations		*generations;	/* one is in force */
	const struct conf_source	*source;
	char *const			*environment;	/* at our start */
	struct systemd			*systemd;	/* or NULL */
	struct mirror			*mirror;
	struct setup_master		*figures;	/* for it; ours are added */
	const char			*path;		/* for it: our program */
	const struct saved		*saved;	/* of our life before; or NULL */
	bool				 again;	/* after a crash */
	void	(*ready)(void *arg);	/* the pool has become ready */
	void	(*ended)(void *arg);	/* the pool has ended */
	/* Another configuration is in force, or the sockets were retired. */
	void	(*changed)(void *arg);
	/* A child that is no worker has ended. True: it was expected. */
	bool	(*stranger)(void *arg, pid_t pid,
		    const struct proc_death *death);
	void	*arg;
};

/* NULL with err. No worker is started before the first run. */
struct supervise	*supervise_new(const struct supervise_parts *parts,
			    struct err *err);
void			 supervise_free(struct supervise *supervise);

/* The pool, for wishes. After them call supervise_run(). */
struct pool		*supervise_pool(struct supervise *supervise);
struct reload		*supervise_reload(struct supervise *supervise);

/* Why the start was given up, or "". */
const char		*supervise_verdict(const struct supervise *supervise);

bool			 supervise_is_ready(const struct supervise *supervise);

/* Take in the workers that a killed master left, and replace them. */
void			 supervise_adopt(struct supervise *supervise,
			    struct survivors *survivors);
/* Write down all there is, for an image to come. False: not all of it. */
bool			 supervise_write_down(struct supervise *supervise);
/* Write down what has changed so far in this turn, before it goes on. */
void			 supervise_note(struct supervise *supervise);
/* What is written down of the figures has changed: with the turn. */
void			 supervise_changed(struct supervise *supervise);

/* CHLD: reap all that have ended. */
void			 supervise_reap(struct supervise *supervise);
/* After an exec, with saved, before the first run: what has become of all. */
void			 supervise_take_stock(struct supervise *supervise);

/* Do all that is to be done now. */
void			 supervise_run(struct supervise *supervise);

/* Bring the workers' connection counts up to date, before a shrink. */
void			 supervise_count_active(struct supervise *supervise);

/* USR1: programs get their reopen_signal. */
void			 supervise_reopen(struct supervise *supervise);

#endif
