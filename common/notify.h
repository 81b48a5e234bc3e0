#ifndef MUSTER_NOTIFY_H
#define MUSTER_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a worker tells the master, as sd_notify(3) text: lines of KEY=VALUE.
 * Two keys are ours: MUSTER_RETIRE=max_requests asks for a successor,
 * MUSTER_LOG=LEVEL LINE is a finished log line for the master to write.
 * Pure; any bytes are survived, what is not understood is skipped.
 */
#define NOTIFY_MAX	4096	/* a longer message is cut by the kernel */

struct notify {
	bool		 ready;		/* READY=1 */
	bool		 stopping;	/* STOPPING=1 */
	bool		 retire;	/* MUSTER_RETIRE=... */
	const char	*log;		/* MUSTER_LOG=..., points into text */
	size_t		 log_len;	/* not NUL-terminated */
};

/* Parse len bytes of text. Never fails; unknown lines are skipped. */
void	notify_parse(const char *text, size_t len, struct notify *out);

#endif
