#ifndef MUSTER_CRASH_H
#define MUSTER_CRASH_H

#include <stdint.h>

/*
 * What the crash handler writes down, in a ring of rows of fixed size, from
 * which the next image reads how often it happened of late.
 */
#define CRASH_FRAMES	32
#define CRASHES		8		/* kept; fixed by the format */

struct crash_saved {		/* append only; at most STATE_CRASH_DATA */
	uint64_t nr;			/* from 1 */
	int64_t	 mono_ms, wall_ms;
	int32_t	 signal, code;		/* si_signo, si_code */
	uint64_t addr;			/* si_addr if code > 0 */
	int32_t	 sender;		/* pid if code <= 0 */
	int32_t	 twin;			/* pid of the one that dumps core, 0 */
	uint32_t nframes;
	uint32_t novice;		/* 1: of an upgrade, not in force yet */
	uint64_t frames[CRASH_FRAMES];	/* less the load address */
};

/* Tell the log of it; workers: so many live still. */
void	crash_report(const struct crash_saved *crash, int workers);

#endif
