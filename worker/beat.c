#include "worker/beat.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"

struct beat {
	struct beat_options	 options;
	struct event		*timer;		/* NULL: no watchdog */
	bool			 told;		/* on_limit was called */
};

static void
add(_Atomic uint64_t *figure, uint64_t n)
{
	atomic_store_explicit(figure,
	    atomic_load_explicit(figure, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static void
set_active(struct beat *beat, uint32_t active)
{
	atomic_store_explicit(&beat->options.cell->active, active,
	    memory_order_relaxed);
}

static void
beat_write(struct beat *beat)
{
	atomic_store_explicit(&beat->options.cell->beat_ms, clock_now_ms(),
	    memory_order_relaxed);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct beat	*beat = arg;

	(void)fd;
	(void)what;
	beat_write(beat);
	beat->options.on_beat(beat->options.arg);
}

struct beat *
beat_new(const struct beat_options *options)
{
	struct beat	*beat;
	struct timeval	 tv;
	int64_t		 ms = options->watchdog_ms / 3;

	beat = xcalloc(1, sizeof(*beat));
	beat->options = *options;
	beat_write(beat);
	if (options->watchdog_ms <= 0)
		return beat;
	tv = clock_timeval(ms < 1 ? 1 : ms);
	beat->timer = event_new(options->base, -1, EV_PERSIST, on_timer, beat);
	if (beat->timer == NULL || event_add(beat->timer, &tv) == -1) {
		if (beat->timer != NULL)
			event_free(beat->timer);
		free(beat);
		return NULL;
	}
	return beat;
}

void
beat_opened(struct beat *beat)
{
	add(&beat->options.cell->accepted, 1);
	set_active(beat, beat_active(beat) + 1);
}

void
beat_closed(struct beat *beat)
{
	set_active(beat, beat_active(beat) - 1);
}

void
beat_served(struct beat *beat, uint64_t requests)
{
	struct cell	*cell = beat->options.cell;

	add(&cell->served, requests);
	if (beat->told || beat->options.max_requests == 0)
		return;
	if (atomic_load_explicit(&cell->served, memory_order_relaxed) >=
	    beat->options.max_requests) {
		beat->told = true;
		beat->options.on_limit(beat->options.arg);
	}
}

void
beat_sent(struct beat *beat, uint64_t bytes)
{
	add(&beat->options.cell->bytes, bytes);
}

void
beat_failed(struct beat *beat)
{
	add(&beat->options.cell->errors, 1);
}

uint32_t
beat_active(const struct beat *beat)
{
	return atomic_load_explicit(&beat->options.cell->active,
	    memory_order_relaxed);
}

uint64_t
beat_accepted(const struct beat *beat)
{
	return atomic_load_explicit(&beat->options.cell->accepted,
	    memory_order_relaxed);
}
