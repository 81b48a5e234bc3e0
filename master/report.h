#ifndef MUSTER_REPORT_H
#define MUSTER_REPORT_H

#include <stdint.h>

#include "common/err.h"
#include "master/pool.h"

struct conf;
struct proc_death;

/*
 * What is said of the pool: log lines and the master's title in ps(1). It
 * only looks.
 */
struct report {
	const struct conf	*conf;
	int64_t			 started_ms;
	struct err		 spawn_error;	/* why the last fork failed */
	int			 title_ready, title_target;
	enum pool_phase		 title_phase;
};

void	report_init(struct report *report, const struct conf *conf,
	    int64_t now_ms);

/* A worker's life, in order. */
void	report_start(const struct report *report,
	    const struct child_info *child, const struct act *act);
void	report_ready(const struct report *report,
	    const struct child_info *child, int64_t now_ms);
void	report_signal(const struct report *report,
	    const struct child_info *child, const struct act *act);
void	report_kill_failed(const struct report *report,
	    const struct child_info *child);
void	report_exit(const struct report *report,
	    const struct child_info *child, const struct proc_death *death,
	    int64_t now_ms);

/* Why a worker could not be forked; said with the pool's TELL_FORK_WAIT. */
void	report_spawn_failed(struct report *report, const struct err *err);

/* What the pool tells, but for TELL_READY: */
void	report_tell(const struct report *report, const struct pool_tell *tell);
void	report_pool_ready(const struct report *report,
	    const struct pool *pool, int64_t now_ms);

/* The title, when something in it has changed. */
void	report_title(struct report *report, const struct pool *pool);

#endif
