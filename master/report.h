#ifndef MUSTER_REPORT_H
#define MUSTER_REPORT_H

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "master/pool.h"

struct generations;
struct proc_death;
struct roster;

/*
 * What is said of the pool: log lines and the master's title in ps(1). It
 * only looks.
 */
struct report {
	const struct generations *generations;	/* borrowed */
	struct roster		*roster;	/* borrowed */
	int64_t			 started_us;
	struct err		 spawn_error;	/* why the last fork failed */
	struct err		 last_words;	/* of a worker that failed */
	pid_t			 unfit;		/* who was killed, and why: */
	struct err		 why_unfit;
	pid_t			 background;	/* who left processes behind */
	char			 verdict[640];	/* why the start was given up */
	int			 title_ready, title_target;
	enum pool_phase		 title_phase;
};

void	report_init(struct report *report,
	    const struct generations *generations, struct roster *roster);

/* A worker's life, in order. */
void	report_start(struct report *report,
	    const struct child_info *child, const struct act *act);
void	report_ready(const struct report *report,
	    const struct child_info *child);
void	report_signal(const struct report *report,
	    const struct child_info *child, const struct act *act);
void	report_kill_failed(const struct report *report,
	    const struct child_info *child);
void	report_exit(const struct report *report,
	    const struct child_info *child, const struct proc_death *death);

/* It does not use its sockets, and is to be killed for it. */
void	report_unfit(struct report *report, const struct child_info *child,
	    const struct err *why);

/* A program that is not ready ends now, and something that it started lives. */
void	report_background(struct report *report,
	    const struct child_info *child);

/*
 * It never was ready: how it ended, and what it said last, are the last words
 * until report_forget(). Its output, if captured, is gone through for them.
 */
void	report_failed(struct report *report, const struct child_info *child,
	    const struct proc_death *death);
void	report_forget(struct report *report);

/* A worker's log line passed by: kept if it says why a worker failed. */
void	report_heard(struct report *report, const char *line, size_t len);

/* Why a worker could not be forked; said with the pool's TELL_FORK_WAIT. */
void	report_spawn_failed(struct report *report, const struct err *err);
/* Why it could not become its program, and no other one can. */
void	report_hopeless(struct report *report, int slot,
	    const struct err *err);

/* What the pool tells, but for TELL_READY: */
void	report_tell(struct report *report, const struct pool_tell *tell);
void	report_pool_ready(const struct report *report,
	    const struct pool *pool);

/* The title, when something in it has changed. */
void	report_title(struct report *report, const struct pool *pool);

#endif
