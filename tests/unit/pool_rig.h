#ifndef MUSTER_TESTS_POOL_RIG_H
#define MUSTER_TESTS_POOL_RIG_H

#include "master/pool_save.h"

/*
 * A shell for a pool without processes: pids are counted, signals and tells
 * are only remembered. The test moves the clock and says who is ready.
 */
#define RIG_MANY	512

struct rig {
	struct pool	*pool;
	int64_t		 now_ms;
	int		 forks_fail, execs_fail;	/* that many more */
	pid_t		 last_pid;
	struct act	 spawns[RIG_MANY];
	int64_t		 spawned_ms[RIG_MANY];
	int		 nspawns;
	struct { pid_t pid; enum child_act signal; enum pool_why why; }
			 signals[RIG_MANY];
	int		 nsignals;
	struct pool_tell tells[RIG_MANY];
	int		 ntells, refusals;
};

/* Two workers, backoff 1 s to 8 s, min_uptime 1 s, no jitter, surge 1. */
struct pool_policy	 rig_policy(void);
void		 rig_begin(struct rig *rig, const struct pool_policy *policy,
		    int target);
/* As above, and all workers ready. */
void		 rig_ready(struct rig *rig, const struct pool_policy *policy,
		    int target);
void		 rig_end(struct rig *rig);

void		 rig_turn(struct rig *rig);
/* The clock goes on by ms, with a turn at each deadline on the way. */
void		 rig_pass(struct rig *rig, int64_t ms);

struct child	*rig_child(struct rig *rig, int slot);
struct child	*rig_successor(struct rig *rig, int slot);
void		 rig_fact(struct rig *rig, struct child *child,
		    enum child_event event);
void		 rig_exit(struct rig *rig, struct child *child, int code);
/* All that start are ready. */
void		 rig_all_ready(struct rig *rig);
/* All that were told to go have left. */
void		 rig_all_gone(struct rig *rig);

/* Save the pool and go on with one that is made of the rows. */
void		 rig_anew(struct rig *rig, bool again);

/* How many tells of that kind; the last of them, or NULL. */
int		 rig_told(const struct rig *rig, enum tell_kind kind);
const struct pool_tell	*rig_last(const struct rig *rig, enum tell_kind kind);
/* Was the signal sent to the pid? */
bool		 rig_signalled(const struct rig *rig, pid_t pid,
		    enum child_act signal);
pid_t		 rig_pid(struct rig *rig, int slot);

#endif
