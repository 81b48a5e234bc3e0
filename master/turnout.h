#ifndef MUSTER_TURNOUT_H
#define MUSTER_TURNOUT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct listener_set;
struct pool;

/*
 * Who gets new connections, and when a worker may be told to stop without one
 * being lost.
 *
 * When every slot has a socket of its own (accept = reuseport), each listener
 * is steered by itself: to the slots whose ready worker inherited it, so that
 * one that a reload added is served by new workers alone, and one that it
 * removed by old ones alone. (Until the first of them is ready: to those that
 * start.) A worker that leaves its slot empty is told to only once nothing new
 * is under way to it; its sockets stay open, parked, and a caretaker, a worker
 * of the generation in force, is asked for when a straggler shows up there.
 *
 * A worker that holds a listener that a reload removed, whatever its kind, is
 * told to stop only once that has been refusing for SETTLE (20 ms) and its
 * queue is empty; 100 ms at most. The last one to hold an abstract socket that
 * was removed shuts it down.
 */
struct turnout;
typedef void	 turnout_run_fn(void *arg);
/* What the workers of that generation inherited; NULL: not known. Borrowed. */
typedef const struct listener_set *turnout_set_fn(void *arg, int generation);

/*
 * run is called when there is something for turnout_run() to do. Borrows; but
 * steered listeners are held, until a turnout_run() that finds them unused.
 */
struct turnout	*turnout_new(struct event_base *base, int priority,
		    struct pool *pool, turnout_set_fn *set_of,
		    turnout_run_fn *run, void *arg);
void		 turnout_free(struct turnout *turnout);

/* Tell a worker to stop, at once or as soon as nothing can be lost by it. */
void		 turnout_stop(struct turnout *turnout, pid_t pid, int slot,
		    int generation, int signo);
/* It is gone, or is told otherwise: forget that it was to be told. */
void		 turnout_forget(struct turnout *turnout, pid_t pid);

/* Their kernel's groups are others now: choose anew, with the next run. */
void		 turnout_steer_anew(struct turnout *turnout);

/* Was it to be told, and is not yet? Its row in the pool changes with that. */
bool		 turnout_owes(const struct turnout *turnout, pid_t pid);

/*
 * Steer by how the pool stands, tell those whose time has come, watch parked
 * sockets. At the end of each turn.
 */
void		 turnout_run(struct turnout *turnout, int64_t now_ms);
/* When it has something to do without any fact, or -1. */
int64_t		 turnout_due_ms(const struct turnout *turnout);

#endif
