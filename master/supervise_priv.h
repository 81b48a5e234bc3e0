#ifndef MUSTER_SUPERVISE_PRIV_H
#define MUSTER_SUPERVISE_PRIV_H

#include "master/pool.h"
#include "master/report.h"
#include "master/supervise.h"

struct event;

/*
 * The shell's inside, shared by supervise.c (the turn), supervise_life.c (its
 * start and end), hear.c (what workers say), reap.c (how they end), keepsake.c
 * (what is written down) and stock.c (what has become of it after an exec).
 */
struct supervise {
	struct supervise_parts	 p;
	struct pool		*pool;
	struct board		*board;
	struct inbox		*inbox;		/* built-in apps' */
	struct mailroom		*mailroom;	/* programs' */
	struct acks		*acks;
	struct captures		*captures;
	struct roster		*roster;
	struct health		*health;
	struct turnout		*turnout;
	struct spawner		*spawner;
	struct reload		*reload;
	struct check		*check;
	struct event		*timer;		/* the pool's next deadline */
	struct event		*turn;		/* more forks, next turn */
	struct event		*log_retry;
	int64_t			 log_retry_ms;
	int64_t			 armed_ms;	/* timer's time, or -1 */
	int64_t			 last_run_ms;
	bool			 over;
	bool			 setup_due;	/* to be written down */
	bool			 look_due;	/* at the listeners */
	bool			 anew_due;	/* workers for other sockets */
	int64_t			 looked_ms, anew_ms;	/* when it was done */
	int			*left;		/* owned; cells to release */
	size_t			 nleft, left_room;
	/* How a renewal ended, to be acted on outside of the pool. */
	struct pool_tell	 renewal;
	struct err		 renewal_words;	/* of who failed it */
	bool			 renewal_told;
	struct report		 report;
};

/* supervise_life.c */
void	supervise_arm(struct event *timer, int64_t delay_ms);

/* supervise.c */
/* New workers, as a listener is another socket: if it is time for that. */
void	supervise_renew_due(struct supervise *s);

/* hear.c */
int	hear_open(struct supervise *s, struct err *err);
/* It is ready, as it has lived long enough, unless it is held. */
void	hear_alive(struct supervise *s, const struct child_info *info);
/* All that was said so far: last words before a death is judged. */
void	hear_last_words(struct supervise *s, const struct child_info *info);
/* What an app said that an image before us may have heard last. */
void	hear_again(struct supervise *s, struct child *child);

/* reap.c */
struct proc_death;
void	reap_gone(struct supervise *s, struct child *child,
	    const struct proc_death *death);
/* Wait for the end of a worker that is no child of ours (its entry's pidfd). */
void	reap_watch(struct supervise *s, int cell);

#endif
