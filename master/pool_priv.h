#ifndef MUSTER_POOL_PRIV_H
#define MUSTER_POOL_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "master/pool.h"

/* More than that no row may say, and nobody can have. */
#define POOL_SLOTS_MOST		10000
#define POOL_GENERATIONS_MOST	(1 << 30)
#define POOL_FAILURES_MOST	(1 << 30)

/* A tree's functions for one file, of which it may leave some unused. */
#define TREE_GENERATE(name, type, field, compare)			\
	RB_GENERATE_INTERNAL(name, type, field, compare,		\
	    __attribute__((unused)) static)

/*
 * The pool's inside, shared by
 *	pool.c		life of the pool, how it stands
 *	pool_birth.c	the answers to a spawn, and adopting
 *	pool_child.c	the facts about a child
 *	pool_limit.c	time limits that change, the policy
 *	pool_wish.c	wishes
 *	pool_renew.c	renewals, and going back
 *	pool_slot.c	slots; pool_cull.c who goes; pool_fail.c what fails
 *	pool_plan.c	what next
 *	pool_time.c	timers and chance
 *	pool_save.c	rows; pool_check.c and pool_restore.c read them back
 * Every structure here is the pool's alone. What a row holds (pool_save.h) is
 * marked with child_touch() and slot_touch() where it changes; timers and
 * queues do so by themselves.
 */
enum timer_kind { TIMER_CHILD, TIMER_AGE, TIMER_ALIVE, TIMER_SLOT, TIMER_CARE,
	TIMER_FORK, TIMER_STOP };

struct timer {
	RB_ENTRY(timer)	 entry;
	int64_t		 at_ms;
	uint64_t	 seq;		/* of equal times the older first */
	enum timer_kind	 kind;
	bool		 armed;
	void		*owner;		/* the child or slot it is part of */
};
RB_HEAD(timers, timer);

struct slot;

struct child {
	struct child_info	 info;
	struct child_core	 core;
	struct slot		*slot;	/* NULL: a leaver or a caretaker */
	struct timer		 limit;	/* the state's deadline */
	int64_t			 extended_ms;	/* not before; -1: as it is */
	int64_t			 away_ms;	/* of this state, not counted */
	struct timer		 age;	/* max_age */
	struct timer		 alive;	/* then it counts as ready */
	uint64_t		 seq;	/* order of birth */
	enum pool_why		 retire;	/* wants a successor */
	enum pool_why		 over;		/* its own limit, said once */
	enum child_act		 due;	/* signal to send; in signals */
	uint64_t		 due_seq;	/* order in signals */
	int64_t			 active;
	RB_ENTRY(child)		 by_pid;
	TAILQ_ENTRY(child)	 link;	/* of signals, while due */
	bool			 changed;	/* in changed */
	TAILQ_ENTRY(child)	 change;
};
RB_HEAD(children, child);
TAILQ_HEAD(child_queue, child);

/* Which queue a slot stands in: at most one. */
enum slot_queue { QUEUE_NONE, QUEUE_FILL, QUEUE_RENEW, QUEUE_CARE, QUEUES };

struct slot {
	int			 nr;
	bool			 open;
	bool			 parked;
	bool			 barred;	/* no successor: no use in it */
	bool			 unsettled;	/* first worker still unknown */
	int			 failures;	/* in a row */
	int			 quick;		/* deaths in a row too young */
	enum pool_why		 why;		/* of the next spawn */
	struct child		*child, *successor;
	struct timer		 wait;		/* not before */
	int			 uncared;	/* caretakers that failed */
	struct timer		 care;		/* no other one before */
	enum slot_queue		 queued;
	uint64_t		 queue_seq;	/* order in its queue */
	TAILQ_ENTRY(slot)	 link;
	bool			 changed;	/* in changed_slots */
	TAILQ_ENTRY(slot)	 change;
};
TAILQ_HEAD(slot_list, slot);

struct pool {
	struct pool_policy	 policy;	/* fatal_codes owned */
	struct child_limits	 limits;	/* the policy's, in effect */
	uint64_t		 random;
	pool_tell_fn		*tell;
	void			*tell_arg;

	enum pool_phase		 phase;
	bool			 gave_up, killed_any, refuse_due;
	bool			 ever_ready, announced;
	int			 unsettled;
	int			 target, remembered;	/* while drained */
	bool			 drained;
	int			 generation;	/* of workers to come */
	int			 last_generation;	/* ever used */
	int			 proven;	/* newest that served; or 0 */
	bool			 renewing;

	struct slot		**slots;
	int			 nslots, nopen, lowest_free, nparked, nbarred;
	struct slot_list	 queues[QUEUES];
	int			 in_flight;	/* successors starting */

	struct children		 children;
	int			 live, ready, leavers, caretaking;
	struct child_queue	 signals;
	uint64_t		 seq;
	struct child_queue	 changed;
	struct slot_list	 changed_slots;

	struct timers		 timers;
	struct timer		 fork_wait, stop_wait;
	int			 fork_failures;
	int			 turn_spawns;
	bool			 hungry;
};

/* pool_time.c */
void		 timer_init(struct timer *timer, enum timer_kind kind,
		    void *owner);
void		 timer_arm(struct pool *pool, struct timer *timer,
		    int64_t at_ms);
void		 timer_disarm(struct pool *pool, struct timer *timer);
struct timer	*timer_due(struct pool *pool, int64_t now_ms);
int64_t		 random_below(struct pool *pool, int64_t limit);
int64_t		 backoff(struct pool *pool, int failures);

/* pool.c */
struct pool	*pool_make(const struct pool_policy *policy, uint64_t seed,
		    pool_tell_fn *tell, void *arg);
void		 pool_say(struct pool *pool, struct pool_tell tell);
void		 pool_give_up(struct pool *pool, struct slot *slot,
		    int64_t now_ms);
void		 slot_settled(struct pool *pool, struct slot *slot);
struct child	*pool_insert(struct pool *pool, struct child *child);
void		 pool_remove(struct pool *pool, struct child *child);

/* pool_child.c */
struct child	*child_new(pid_t pid, int slot, int generation, int cell,
		    int64_t now_ms);
void		 child_order(struct pool *pool, struct child *child,
		    enum child_event event, enum pool_why why, int64_t now_ms);
void		 child_late(struct pool *pool, struct child *child,
		    int64_t now_ms);
void		 child_lives(struct pool *pool, struct child *child,
		    int64_t now_ms);
void		 pool_order_all(struct pool *pool, enum child_event event,
		    enum pool_why why, int64_t now_ms);

/* pool_limit.c */
void		 pool_copy_policy(struct pool *pool,
		    const struct pool_policy *policy);
void		 child_arm_alive(struct pool *pool, struct child *child);
void		 child_arm_age(struct pool *pool, struct child *child);

/* pool_time.c */
void		 timer_init(struct timer *timer, enum timer_kind kind,
		    void *owner);
void		 timer_arm(struct pool *pool, struct timer *timer,
		    int64_t at_ms);
void		 timer_disarm(struct pool *pool, struct timer *timer);
bool		 timer_restore(struct pool *pool, struct timer *timer,
		    int64_t at_ms, uint64_t seq);
struct timer	*timer_due(struct pool *pool, int64_t now_ms);
int64_t		 random_below(struct pool *pool, int64_t limit);
int64_t		 backoff(struct pool *pool, int failures);

/* pool_wish.c */
int		 pool_clamp(const struct pool *pool, int64_t target);

/* pool_renew.c */
bool		 renew_setback(struct pool *pool, struct slot *slot,
		    int generation, const struct child *child, int64_t now_ms);
void		 renew_done(struct pool *pool);

/* pool_slot.c */
struct slot	*slot_new(struct pool *pool);
struct slot	*slot_open(struct pool *pool, enum pool_why why,
		    int64_t now_ms);
void		 slot_open_this(struct pool *pool, struct slot *slot,
		    enum pool_why why, int64_t now_ms);
void		 slot_close(struct pool *pool, struct slot *slot,
		    enum pool_why why, int64_t now_ms);
void		 slot_park(struct pool *pool, struct slot *slot, bool parked);
void		 slot_bar(struct pool *pool, struct slot *slot, bool barred);
void		 slot_enqueue(struct pool *pool, struct slot *slot,
		    enum slot_queue queue);
void		 slot_dequeue(struct pool *pool, struct slot *slot);
void		 slot_unpark_all(struct pool *pool, int64_t now_ms);
void		 slot_care(struct pool *pool, struct slot *slot);
void		 slot_refill(struct pool *pool, struct slot *slot,
		    enum pool_why why, int64_t now_ms);
void		 slot_want_successor(struct pool *pool, struct slot *slot,
		    enum pool_why why);
void		 slot_wanting(struct pool *pool, struct slot *slot);
void		 slot_forgive(struct pool *pool, struct slot *slot);

/* pool_cull.c */
void		 slot_close_surplus(struct pool *pool, enum pool_why why,
		    int64_t now_ms);

/* pool_fail.c */
void		 slot_judge(struct pool *pool, struct slot *slot,
		    const struct child *child, int code, int64_t now_ms);
void		 slot_successor_failed(struct pool *pool, struct slot *slot,
		    const struct child *child, int code, int64_t now_ms);
void		 slot_uncared(struct pool *pool, struct slot *slot,
		    int64_t now_ms);
void		 slot_hopeless(struct pool *pool, const struct act *act,
		    int64_t now_ms);

/* pool_save.c */
void		 child_touch(struct pool *pool, struct child *child);
void		 slot_touch(struct pool *pool, struct slot *slot);
void		 child_untouch(struct pool *pool, struct child *child);

#endif
