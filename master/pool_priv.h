#ifndef MUSTER_POOL_PRIV_H
#define MUSTER_POOL_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "master/pool.h"

/* A tree's functions for one file, of which it may leave some unused. */
#define TREE_GENERATE(name, type, field, compare)			\
	RB_GENERATE_INTERNAL(name, type, field, compare,		\
	    __attribute__((unused)) static)

/*
 * The pool's inside, shared by pool.c (life, facts), pool_wish.c (wishes),
 * pool_slot.c (slots), pool_plan.c (what next) and pool_time.c (timers). Every structure here is
 * the pool's alone.
 */
enum timer_kind { TIMER_CHILD, TIMER_AGE, TIMER_SLOT, TIMER_CARE, TIMER_FORK,
	TIMER_STOP };

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
	struct timer		 age;	/* max_age */
	uint64_t		 seq;	/* order of birth */
	enum pool_why		 retire;	/* wants a successor */
	enum pool_why		 over;		/* its own limit, said once */
	enum child_act		 due;	/* signal to send; in signals */
	int64_t			 active;
	RB_ENTRY(child)		 by_pid;
	TAILQ_ENTRY(child)	 link;	/* of signals, while due */
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
	TAILQ_ENTRY(slot)	 link;
};
TAILQ_HEAD(slot_list, slot);

struct pool {
	struct pool_policy	 policy;
	uint64_t		 random;
	pool_tell_fn		*tell;
	void			*tell_arg;

	enum pool_phase		 phase;
	bool			 gave_up, killed_any, refuse_due;
	bool			 ever_ready, announced;
	int			 unsettled;
	int			 target, remembered;	/* remembered: drained */
	bool			 drained;
	int			 generation;
	bool			 renewing;

	struct slot		**slots;
	int			 nslots, nopen, lowest_free, nparked, nbarred;
	struct slot_list	 queues[QUEUES];
	int			 in_flight;	/* successors starting */

	struct children		 children;
	int			 live, ready, leavers, caretaking;
	struct child_queue	 signals;
	uint64_t		 seq;

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
void		 pool_say(struct pool *pool, struct pool_tell tell);
void		 child_order(struct pool *pool, struct child *child,
		    enum child_event event, enum pool_why why, int64_t now_ms);
void		 child_late(struct pool *pool, struct child *child,
		    int64_t now_ms);
void		 pool_give_up(struct pool *pool, struct slot *slot,
		    int64_t now_ms);
void		 slot_settled(struct pool *pool, struct slot *slot);

/* pool_slot.c */
struct slot	*slot_open(struct pool *pool, enum pool_why why,
		    int64_t now_ms);
void		 slot_close(struct pool *pool, struct slot *slot,
		    enum pool_why why, int64_t now_ms);
void		 slot_close_surplus(struct pool *pool, enum pool_why why,
		    int64_t now_ms);
void		 slot_enqueue(struct pool *pool, struct slot *slot,
		    enum slot_queue queue);
void		 slot_dequeue(struct pool *pool, struct slot *slot);
void		 slot_unpark_all(struct pool *pool, int64_t now_ms);
void		 slot_judge(struct pool *pool, struct slot *slot,
		    const struct child *child, int code, int64_t now_ms);
void		 slot_successor_failed(struct pool *pool, struct slot *slot,
		    int code, int64_t now_ms);
void		 slot_care(struct pool *pool, struct slot *slot);
void		 slot_uncared(struct pool *pool, struct slot *slot,
		    int64_t now_ms);
void		 slot_refill(struct pool *pool, struct slot *slot,
		    enum pool_why why, int64_t now_ms);
void		 slot_want_successor(struct pool *pool, struct slot *slot,
		    enum pool_why why);

/* pool_plan.c */
void		 pool_order_all(struct pool *pool, enum child_event event,
		    enum pool_why why, int64_t now_ms);

#endif
