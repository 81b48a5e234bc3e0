#include "master/crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

/* "+0x1a2b +0x3c4d": addresses less that of the load, as addr2line(1) wants. */
static void
trace(const struct crash_saved *crash, char *out, size_t size)
{
	size_t		 len = 0;
	uint32_t	 i, frames = crash->nframes;

	out[0] = '\0';
	if (frames > CRASH_FRAMES)
		frames = CRASH_FRAMES;
	for (i = 0; i < frames && len + 24 < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s+0x%llx",
		    i == 0 ? "" : " ", (unsigned long long)crash->frames[i]);
}

void
crash_report(const struct crash_saved *crash, int workers)
{
	const char	*name = sigabbrev_np(crash->signal);
	char		 where[CRASH_FRAMES * 24], addr[32] = "", from[32] = "";

	trace(crash, where, sizeof(where));
	if (crash->code > 0)
		snprintf(addr, sizeof(addr), "0x%llx",
		    (unsigned long long)crash->addr);
	else if (crash->sender > 0)
		snprintf(from, sizeof(from), "sent by pid %d",
		    (int)crash->sender);
	log_event(EV_MASTER_CRASHED,
	    log_str("signal", name == NULL ? "?" : name),
	    log_int("code", crash->code),
	    log_str("addr", addr[0] == '\0' ? NULL : addr),
	    log_str("where", where), log_int("count", (int64_t)crash->nr),
	    log_int("workers", workers),
	    log_ms("away", clock_now_ms() - crash->mono_ms),
	    log_str("msg", from[0] == '\0' ? NULL : from));
}
