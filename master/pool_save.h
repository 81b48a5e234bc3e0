#ifndef MUSTER_POOL_SAVE_H
#define MUSTER_POOL_SAVE_H

#include "common/err.h"
#include "master/pool.h"

/*
 * A pool as rows that another process can make a pool of again: an exec of
 * the master's, or the one after a crash. Rows hold numbers of fixed width
 * alone and no gaps, so that they may be copied and compared as bytes. Times
 * are those of the clock that the pool is told of, and must go on there.
 * What a row says is the pool's business, but for pid, slot and cell.
 */
struct timer_saved {
	int64_t		 at_ms;		/* -1: not armed */
	uint64_t	 seq;
};

struct pool_saved {
	struct timer_saved fork_wait, stop_wait;
	uint64_t	 seq;
	int32_t		 target, remembered;
	int32_t		 generation, last_generation, proven;
	int32_t		 fork_failures;
	uint32_t	 flags;
	int32_t		 phase;
};

struct slot_saved {
	struct timer_saved wait, care;
	uint64_t	 queue_seq;
	int32_t		 nr;
	int32_t		 failures, quick, uncared;
	uint32_t	 flags;
	uint16_t	 why, queued;
};

struct child_saved {
	struct timer_saved limit, age, alive;
	int64_t		 spawned_ms, ready_ms, since_ms;
	int64_t		 extended_ms, away_ms;
	int64_t		 active;
	uint64_t	 seq, due_seq;
	int32_t		 pid, slot, generation, cell;
	uint8_t		 state, role, why, retire, over, due;
	uint8_t		 spare[2];	/* 0 */
};

/* ---- saving */

void		 pool_save(const struct pool *pool, struct pool_saved *out);
/* False: there is no slot of that number. */
bool		 pool_save_slot(const struct pool *pool, int slot,
		    struct slot_saved *out);
void		 pool_save_child(const struct child *child,
		    struct child_saved *out);

/*
 * Whose row has changed since it was asked for last, each once, at first all;
 * NULL or -1: no more. A child that has ended is not among them.
 */
struct child	*pool_next_changed(struct pool *pool);
int		 pool_next_changed_slot(struct pool *pool);
/* What else is written down of it has: it is asked for once more. */
void		 pool_changed(struct pool *pool, struct child *child);

/* ---- restoring */

struct pool_rows {
	const struct pool_saved		*pool;
	const struct slot_saved		*slots;		/* all, in any order */
	size_t				 nslots;
	const struct child_saved	*children;	/* in any order */
	size_t				 nchildren;
};

/*
 * A pool that goes on where that of the rows was, but for the random source;
 * spawns that were not answered are asked for anew. again: whether the signals
 * of the last turn were sent is not known, so those that the states call for
 * are sent once more. NULL with err if the rows contradict themselves or each
 * other; they may hold anything at all.
 */
struct pool	*pool_restore(const struct pool_policy *policy,
		    const struct pool_rows *rows, bool again, uint64_t seed,
		    pool_tell_fn *tell, void *arg, int64_t now_ms,
		    struct err *err);

/*
 * A worker of a master that was killed, which serves: in that slot, or if that
 * has one, or none is wanted, it is told to go. Of no generation that the pool
 * would go back to, and its number is not used again. Then pool_renew() is
 * called for. NULL: the pid is known already, or the numbers are absurd.
 */
struct child	*pool_adopt_child(struct pool *pool, pid_t pid, int slot,
		    int generation, int cell, int64_t now_ms);
/* A worker that was one too many from its birth on: it is told to go. */
struct child	*pool_adopt_leaver(struct pool *pool, pid_t pid, int slot,
		    int generation, int cell, int64_t now_ms);

#endif
