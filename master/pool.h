#ifndef MUSTER_POOL_H
#define MUSTER_POOL_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/child.h"

/*
 * The pool: which workers there shall be, and what to do next to get there.
 * Policy without hands: it makes no system call, reads no clock and has its
 * own seeded random source, so that a million schedules are played in a
 * second (tests/sim). The shell around it (supervise.c) brings it wishes
 * (pool_scale, pool_stop, ...) and facts (pool_spawned, pool_exited, ...),
 * asks pool_next() what to do until there is nothing left, and comes back at
 * pool_deadline_ms(). Times are the caller's monotonic ms and never go back.
 */
struct pool;
struct child;

enum pool_cull { POOL_CULL_OLDEST, POOL_CULL_NEWEST, POOL_CULL_IDLEST };

struct pool_policy {
	int		 min_workers, max_workers;
	enum pool_cull	 cull;
	int		 spawn_batch;		/* forks a turn */
	int64_t		 spawn_jitter;		/* ms, all of these */
	int64_t		 backoff_min, backoff_max, min_uptime;
	int		 boot_retries;
	int		 surge;			/* number, or percent */
	bool		 surge_percent;
	int64_t		 stop_delay;
	int64_t		 door;			/* from refusing to draining */
	struct child_limits limits;
	/*
	 * ms after the fork when a starting worker counts as ready without a
	 * word, and limits.ready is of no use; -1: it has to say so.
	 */
	int64_t		 alive;
	int64_t		 max_requests, max_requests_jitter;
	int64_t		 max_age, max_age_jitter;
	const int	*fatal_codes;		/* the pool makes a copy */
	size_t		 nfatal_codes;
};

/* Why a child was started, told to go, or retired. */
enum pool_why { WHY_NONE, WHY_START, WHY_SCALE, WHY_DIED, WHY_STOP, WHY_FAST,
	WHY_DRAIN, WHY_REQUESTS, WHY_AGE, WHY_RSS, WHY_RENEW, WHY_WATCHDOG,
	WHY_LEFT, WHY_CARETAKER, WHY_GAVE_UP, WHYS };

const char	*pool_why_name(enum pool_why why);

/* What a child is, for those who log it. All but tag is the pool's. */
struct child_info {
	pid_t		 pid;
	int		 slot;
	int		 generation;
	enum child_state state;
	int64_t		 spawned_ms, ready_ms;	/* ready -1: never was */
	int64_t		 since_ms;		/* in this state */
	enum pool_why	 why;			/* told to go, WHY_NONE: not */
	bool		 caretaker;
	int		 cell;			/* the shell's, as it was given */
};

const struct child_info	*child_info(const struct child *child);

/* ---- life */

/* What the pool has to tell: things decided that no act shows. */
enum tell_kind {
	TELL_READY,		/* the pool is ready */
	TELL_GAVE_UP,		/* slot, n: failures; the start is given up */
	TELL_SLOT_WAIT,		/* slot, n: failures, ms: delay */
	TELL_SLOT_PARKED,	/* slot, n: exit code, -1: no exec */
	TELL_SLOT_BARRED,	/* the same of a successor */
	TELL_CARE_WAIT,		/* slot, n: failed caretakers, ms: delay */
	TELL_FORK_WAIT,		/* slot, n: failures, ms: delay */
	TELL_RETIRE,		/* child, why: it gets a successor */
	TELL_RENEW_DONE,	/* n: generation */
	TELL_RENEW_FAILED,	/* slot, n: generation, restored; child: who
				 * failed, NULL: could not be executed */
	TELL_ALIVE,		/* child: it has lived for alive, or was held
				 * for long enough, so it is about to count as
				 * ready, unless it is held now */
	TELL_SURPRISE,		/* child, event: ignored */
	TELL_LATE,		/* child: its state's time limit ran out */
	TELL_LEAVING,		/* child: it stops by itself */
};

/* What it points to is there as long as the callback runs. */
struct pool_tell {
	enum tell_kind		 kind;
	int			 slot;
	int64_t			 n, ms;
	const struct child_info	*child;	/* or NULL */
	enum child_event	 event;
	enum pool_why		 why;
	bool			 restored;	/* back at pool_generation() */
};

typedef void	 pool_tell_fn(void *arg, const struct pool_tell *tell);

/* A pool that wants target workers; policy is copied whole. Never fails. */
struct pool	*pool_new(const struct pool_policy *policy, int target,
		    uint64_t seed, pool_tell_fn *tell, void *arg,
		    int64_t now_ms);
void		 pool_free(struct pool *pool);

/* ---- wishes */

struct pool_scaled {
	int	 from, to;	/* targets */
	int64_t	 asked;		/* from + delta, before min and max */
	bool	 ignored;	/* stopping, or a shrink while drained */
};

/* delta workers more or fewer, within min and max; tries parked slots again. */
struct pool_scaled pool_scale(struct pool *pool, int64_t delta,
		    int64_t now_ms);
/* As many as that, within min and max; ends a drain; else as pool_scale(). */
struct pool_scaled pool_set_target(struct pool *pool, int64_t target,
		    int64_t now_ms);
/*
 * No workers, until pool_scale() upwards, pool_set_target() or pool_undrain()
 * restores the target.
 */
void		 pool_drain(struct pool *pool);
/* Back to the target before the drain. False: it is not drained, or stops. */
bool		 pool_undrain(struct pool *pool, int64_t now_ms);
/*
 * Replace all workers by ones of a new generation, surge at a time; parked and
 * barred slots are tried again. Told of by TELL_RENEW_DONE (in a pool that
 * wants no workers at once) or, with the first new worker that ends before it
 * was ready, by TELL_RENEW_FAILED: the workers there are stay. If no worker of
 * the new generation was ever ready the pool also goes back to the newest one
 * that had a ready worker (restored), and tells those of the new one that
 * still start to go; if there is no such generation, or the new one has served,
 * the new one stays in force. Numbers are never used twice. Another renewal
 * takes the place of one that is on its way, of which nothing more is told.
 */
void		 pool_renew(struct pool *pool, int64_t now_ms);
/*
 * From now on this policy: running time limits, alive and max_age count anew
 * from when they began (what pool_extend() and pool_shift() gave stays), the
 * target is moved within min and max. Waits that run stand.
 */
void		 pool_set_policy(struct pool *pool,
		    const struct pool_policy *policy, int64_t now_ms);
/* The end; a second one, or fast, ends it fast. */
void		 pool_stop(struct pool *pool, bool fast, int64_t now_ms);

/* ---- facts */

struct child	*pool_find(struct pool *pool, pid_t pid);	/* or NULL */

/* READY, LEAVING or STALE about a child. */
void		 pool_fact(struct pool *pool, struct child *child,
		    enum child_event event, int64_t now_ms);
/* It reached a limit: requests, rss. */
void		 pool_retire(struct pool *pool, struct child *child,
		    enum pool_why why, int64_t now_ms);
/*
 * It is gone, with this exit code, or -1 if a signal ended it. The child is
 * freed.
 */
void		 pool_exited(struct pool *pool, struct child *child, int code,
		    int64_t now_ms);
/* A slot that nobody serves (closed, waiting, parked) has a client waiting. */
void		 pool_caretake(struct pool *pool, int slot);
/* How many connections it has, for cull = idlest; -1: not known. */
void		 pool_set_active(struct pool *pool, struct child *child,
		    int64_t active);
/*
 * The limit of the state that the child is in ends not before now + ms. It is
 * for the caller to keep ms within reason. No use once it was sent KILL.
 */
void		 pool_extend(struct pool *pool, struct child *child,
		    int64_t ms, int64_t now_ms);
/*
 * A starting child is not to count as ready yet, whatever was said: TELL_ALIVE
 * comes then (once more; this may be called from within it). It is no use
 * after the child was told to go.
 */
void		 pool_hold(struct pool *pool, struct child *child,
		    int64_t until_ms);
/* A starting child will never be ready: killed, as if its time was over. */
void		 pool_reject(struct pool *pool, struct child *child,
		    int64_t now_ms);
/*
 * The shell was away for ms (stopped, starved): the time limits of all
 * children, and what they need to count as alive, are extended by it. Other
 * times stand.
 */
void		 pool_shift(struct pool *pool, int64_t ms);

/* ---- what next */

enum act_kind { ACT_SPAWN, ACT_SIGNAL, ACT_REFUSE };

struct act {
	enum act_kind	 kind;
	/* ACT_SPAWN: to be answered before any fact; several may be open. */
	int		 slot;
	int		 generation;
	enum pool_why	 why;
	bool		 caretaker;
	bool		 successor;	/* the slot's worker serves on */
	int64_t		 max_requests;	/* 0: no limit */
	/* ACT_SIGNAL: DO_STOP, DO_FAST, DO_ABORT or DO_KILL to this child. */
	struct child	*child;
	enum child_act	 signal;
	/* ACT_REFUSE: the last stop begins; let nobody new in. */
};

/* A new turn of the loop: spawn_batch forks may be made again. */
void		 pool_begin_turn(struct pool *pool);
/* The next thing to do now. False: nothing, until a fact or the deadline. */
bool		 pool_next(struct pool *pool, int64_t now_ms, struct act *act);
/* Did pool_next() stop for spawn_batch alone? Then there is work next turn. */
bool		 pool_hungry(const struct pool *pool);
/*
 * The answers to ACT_SPAWN, in the order of the acts. cell is kept for the
 * caller. A child whose act was overtaken by an answer before it (the renewal
 * failed, the start was given up) is told to go at once.
 */
struct child	*pool_spawned(struct pool *pool, const struct act *act,
		    pid_t pid, int cell, int64_t now_ms);
/* It could not be forked: the same later. */
void		 pool_spawn_failed(struct pool *pool, const struct act *act,
		    int64_t now_ms);
/* The program cannot be executed: no other try, until one is wished. */
void		 pool_hopeless(struct pool *pool, const struct act *act,
		    int64_t now_ms);
/* When pool_next() may have something without any fact, or -1: never. */
int64_t		 pool_deadline_ms(const struct pool *pool);

/* ---- how it stands */

enum pool_phase { POOL_RUNNING, POOL_STOP_DELAY, POOL_DOOR, POOL_STOPPING,
	POOL_ENDED };

enum pool_phase	 pool_phase(const struct pool *pool);
bool		 pool_announced(const struct pool *pool);	/* TELL_READY was */
bool		 pool_gave_up(const struct pool *pool);	/* exit 75 */
bool		 pool_killed_any(const struct pool *pool);	/* exit 1 */
int		 pool_target(const struct pool *pool);
bool		 pool_drained(const struct pool *pool);
/*
 * Of the workers to come; the newest that had a ready worker, 0: none yet. The
 * pool may ask for these two, and go back to that of any worker that starts.
 */
int		 pool_generation(const struct pool *pool);
int		 pool_proven(const struct pool *pool);
bool		 pool_renewing(const struct pool *pool);
int		 pool_live(const struct pool *pool);	/* processes */
int		 pool_ready(const struct pool *pool);	/* that serve */
int		 pool_leavers(const struct pool *pool);	/* told to go */
int		 pool_surge(const struct pool *pool);	/* as a number */
int		 pool_slots(const struct pool *pool);	/* ever opened */

/* A slot, for the status and the tests. */
struct slot_info {
	bool		 open;		/* wanted; else a gap */
	bool		 parked;
	int		 failures;
	int64_t		 fill_at_ms;	/* waiting until; -1: not waiting */
	struct child	*child, *successor;	/* or NULL */
};
bool		 pool_slot(const struct pool *pool, int slot,
		    struct slot_info *out);
/* Does the slot have a ready worker? */
bool		 pool_slot_ready(const struct pool *pool, int slot);

/* All children in order of pid; start with NULL. */
struct child	*pool_next_child(struct pool *pool, struct child *previous);

/* ---- to outlive this process: pool_save.h */

#endif
