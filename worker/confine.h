#ifndef MUSTER_CONFINE_H
#define MUSTER_CONFINE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * What a worker may still do: limits, priority, user, group. The steps are
 * rows in the one order that works: what needs privileges comes before they
 * go, and that they are gone is checked. They run in a child that may share
 * the master's memory: async-signal-safe, system calls and nothing else, so
 * what they have to say is left in a struct.
 */
#define CONFINE_NOTES	24	/* room for every limit and step */

struct confine_note {
	const char	*what;
	int		 error;		/* errno */
};

struct confine_result {
	int			 nnotes;	/* refused, went on without */
	struct confine_note	 notes[CONFINE_NOTES];
	const char		*failed;	/* the step; NULL: none */
	int			 error;		/* its errno */
};

struct confine_step {
	const char	*name;
	bool		 fatal;		/* else a note, and we go on */
	/* 0, also when nothing is to be done; -1 with errno. */
	int		(*apply)(const struct conf *conf, int slot,
			    struct confine_result *result);
};

extern const struct confine_step	confine_steps[];
extern const size_t			confine_count;

/*
 * Take all steps. -1 if one failed without which the worker must not start;
 * result, which need not be empty before, says which.
 */
int	confine(const struct conf *conf, int slot,
	    struct confine_result *result);

/* Log what was refused and is gone without (confine.note). */
void	confine_report(int slot, const struct confine_result *result);

/* The failed step in words. Returns -1, for "return confine_failure()". */
int	confine_failure(const struct conf *conf,
	    const struct confine_result *result, struct err *err);

/* cpu_affinity = auto: the slot's CPU of those allowed, or -1 if none is. */
int	confine_pick_cpu(const cpu_set_t *allowed, int slot);

#endif
