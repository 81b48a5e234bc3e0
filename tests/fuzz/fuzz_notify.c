#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/notify.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
is_within(const char *text, size_t len, const char *part, size_t part_len)
{
	return part == NULL ? part_len == 0 : part >= text &&
	    part_len <= len && (size_t)(part - text) <= len - part_len &&
	    memchr(part, '\n', part_len) == NULL;
}

/*
 * Whatever comes, what is said lies within it and within its bounds; and the
 * last of two messages wins where both say something.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char	 more[] = "\nSTATUS=x\nWATCHDOG=1\nERRNO=7\n"
				    "EXTEND_TIMEOUT_USEC=8";
	char			*text = malloc(size + sizeof(more));
	struct notify		 n, twice;

	memcpy(text, data, size);
	memset(&n, 0xff, sizeof(n));
	notify_parse(text, size, &n);
	if (!is_within(text, size, n.log, n.log_len) ||
	    !is_within(text, size, n.status, n.status_len) ||
	    n.watchdog_us < 0 || n.watchdog_us > NOTIFY_US_MAX ||
	    n.extend_us < 0 || n.extend_us > NOTIFY_US_MAX ||
	    n.error < 0 || n.main_pid < 0 ||
	    n.watchdog > NOTIFY_WATCHDOG_TRIGGER)
		abort();
	memcpy(text + size, more, sizeof(more));
	notify_parse(text, size + sizeof(more) - 1, &twice);
	if (twice.ready != n.ready || twice.main_pid != n.main_pid ||
	    twice.watchdog_us != n.watchdog_us || twice.log_len != n.log_len ||
	    twice.status_len != 1 || twice.watchdog != NOTIFY_WATCHDOG_ALIVE ||
	    twice.error != 7 || twice.extend_us != 8)
		abort();
	free(text);
	return 0;
}
