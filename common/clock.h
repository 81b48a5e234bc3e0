#ifndef MUSTER_CLOCK_H
#define MUSTER_CLOCK_H

#include <stdint.h>
#include <time.h>

/*
 * The only door to the clocks. Everything that waits uses the monotonic one
 * (clock_gettime(2), CLOCK_MONOTONIC): setting the wall clock moves nothing.
 */

/* Milliseconds, microseconds of the monotonic clock; never negative. */
int64_t	clock_now_ms(void);
int64_t	clock_now_us(void);

/* The wall clock, for log lines alone. */
void	clock_wall(struct timespec *now);

#endif
