#include "common/clock.h"

#include <unistd.h>

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

int64_t
clock_of_start_us(uint64_t ticks)
{
	struct timespec	 now;
	int64_t		 since, age;
	long		 hz = sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &now);
	since = (int64_t)(ticks / (uint64_t)hz * 1000000 +
	    ticks % (uint64_t)hz * 1000000 / (uint64_t)hz);
	age = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - since;
	return clock_now_us() - (age > 0 ? age : 0);
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
