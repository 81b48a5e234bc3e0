#include "common/clock.h"

int64_t
clock_now_us(void)
{
	struct timespec	 now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

struct timeval
clock_timeval(int64_t ms)
{
	if (ms < 0)
		ms = 0;
	return (struct timeval){ ms / 1000, ms % 1000 * 1000 };
}

void
clock_wall(struct timespec *now)
{
	clock_gettime(CLOCK_REALTIME, now);
}
