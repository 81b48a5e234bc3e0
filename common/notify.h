#ifndef MUSTER_NOTIFY_H
#define MUSTER_NOTIFY_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a worker tells the master, as sd_notify(3) text: lines of KEY=VALUE.
 * Two keys are ours: MUSTER_RETIRE=max_requests asks for a successor,
 * MUSTER_LOG=LEVEL LINE is a finished log line for the master to write.
 * Pure; any bytes are survived, what is not understood is skipped. Of a key
 * that comes twice the last value counts.
 */
#define NOTIFY_MAX	4096	/* a longer message is cut by the kernel */
#define NOTIFY_US_MAX	1000000000000000	/* 31 years: more counts as this */

enum notify_watchdog { NOTIFY_WATCHDOG_NONE,
	NOTIFY_WATCHDOG_ALIVE,		/* WATCHDOG=1: a sign of life */
	NOTIFY_WATCHDOG_TRIGGER };	/* WATCHDOG=trigger: take me as stuck */

struct notify {
	bool		 ready;		/* READY=1 */
	bool		 stopping;	/* STOPPING=1 */
	bool		 reloading;	/* RELOADING=1 */
	bool		 barrier;	/* BARRIER=1: answered by closing its fd */
	bool		 retire;	/* MUSTER_RETIRE=... */
	enum notify_watchdog watchdog;
	int64_t		 watchdog_us;	/* WATCHDOG_USEC=, at most
					   NOTIFY_US_MAX; 0: not said */
	int64_t		 extend_us;	/* EXTEND_TIMEOUT_USEC=, likewise */
	int		 error;		/* ERRNO=; 0: not said */
	pid_t		 main_pid;	/* MAINPID=; 0: not said */
	const char	*status;	/* STATUS=..., points into text; NULL: not
					   said; an empty one takes it back */
	size_t		 status_len;	/* not NUL-terminated; any bytes */
	const char	*log;		/* MUSTER_LOG=..., points into text */
	size_t		 log_len;	/* not NUL-terminated */
};

/* Parse len bytes of text. Never fails; unknown lines are skipped. */
void	notify_parse(const char *text, size_t len, struct notify *out);

#endif
