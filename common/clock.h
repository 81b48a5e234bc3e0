#ifndef MUSTER_CLOCK_H
#define MUSTER_CLOCK_H

#include <sys/time.h>
#include <stdint.h>
#include <time.h>

/*
 * The only door to the clocks. Everything that waits uses the monotonic one
 * (clock_gettime(2), CLOCK_MONOTONIC): setting the wall clock moves nothing.
 */

/* Milliseconds, microseconds of the monotonic clock; never negative. */
int64_t	clock_now_ms(void);
int64_t	clock_now_us(void);

/*
 * The same moment as clock_now_us() for a process's start as proc(5) has it: in
 * clock ticks since boot, by a clock that goes on while the system sleeps.
 */
int64_t	clock_of_start_us(uint64_t ticks);

/* Milliseconds as libevent wants them; negative ones are none. */
struct timeval	clock_timeval(int64_t ms);

/* The wall clock, for log lines alone. */
void	clock_wall(struct timespec *now);

#endif
