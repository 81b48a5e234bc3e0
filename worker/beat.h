#ifndef MUSTER_BEAT_H
#define MUSTER_BEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/board.h"

/*
 * A worker's sign of life and its figures, in its own cell of the board. The
 * worker is the only writer, so that plain loads and stores will do.
 */
struct event_base;
struct beat;

struct beat_options {
	struct event_base	*base;
	struct cell		*cell;
	int64_t			 watchdog_ms;	/* thrice in it; 0: never */
	uint64_t		 max_requests;	/* 0: no limit */
	void			(*on_beat)(void *arg);
	void			(*on_limit)(void *arg);	/* once */
	void			*arg;
};

/* Writes the first beat at once. NULL if the loop refuses the timer. */
struct beat	*beat_new(const struct beat_options *options);

void		 beat_opened(struct beat *beat);
void		 beat_closed(struct beat *beat);
void		 beat_served(struct beat *beat, uint64_t requests);
void		 beat_sent(struct beat *beat, uint64_t bytes);
void		 beat_failed(struct beat *beat);

uint32_t	 beat_active(const struct beat *beat);
uint64_t	 beat_accepted(const struct beat *beat);

#endif
