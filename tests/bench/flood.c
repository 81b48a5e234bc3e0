/*
 * A program that talks: lines of 100 bytes to stdout, as many as FLOOD_MB
 * (environment; 100) megabytes a second, a millisecond's worth at a time. It
 * waits when nobody takes them, and does not catch up later.
 */
#include <sys/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE	100

int
main(void)
{
	const char *text = getenv("FLOOD_MB");
	size_t len = (size_t)(text != NULL ? atoi(text) : 100) * 1000, i, done;
	char *lines = malloc(len);
	struct timespec next, now;
	ssize_t n;

	/* A bench that is killed must leave nothing behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (lines == NULL)
		return 1;
	memset(lines, 'x', len);
	for (i = LINE - 1; i < len; i += LINE)
		lines[i] = '\n';
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		for (done = 0; done < len; done += (size_t)n)
			if ((n = write(1, lines + done, len - done)) <= 0)
				return 0;
		if ((next.tv_nsec += 1000000) >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > next.tv_sec || (now.tv_sec == next.tv_sec &&
		    now.tv_nsec > next.tv_nsec + 20000000))
			next = now;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}
