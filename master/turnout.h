#ifndef MUSTER_TURNOUT_H
#define MUSTER_TURNOUT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct listeners;
struct pool;

/*
 * Who gets new connections when every slot has a socket of its own (accept =
 * reuseport). New ones are steered to slots with a ready worker; a worker that
 * leaves its slot empty is told to only once nothing new is under way to it;
 * its socket stays open, parked, and a caretaker is asked for when a straggler
 * shows up there. Without reuseport all of this comes to nothing.
 */
struct turnout;
typedef void	 turnout_run_fn(void *arg);

/* run is called when there is something for turnout_run() to do. Borrows. */
struct turnout	*turnout_new(struct event_base *base, int priority,
		    struct listeners *listeners, struct pool *pool,
		    turnout_run_fn *run, void *arg);
void		 turnout_free(struct turnout *turnout);

/* Tell a worker to stop, at once or as soon as nothing can be lost by it. */
void		 turnout_stop(struct turnout *turnout, pid_t pid, int slot,
		    int signo);
/* It is gone, or is told otherwise: forget that it was to be told. */
void		 turnout_forget(struct turnout *turnout, pid_t pid);

/*
 * Steer by how the pool stands, tell those whose time has come, watch parked
 * sockets. At the end of each turn.
 */
void		 turnout_run(struct turnout *turnout, int64_t now_ms);
/* When it has something to do without any fact, or -1. */
int64_t		 turnout_due_ms(const struct turnout *turnout);

#endif
