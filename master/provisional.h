#ifndef MUSTER_PROVISIONAL_H
#define MUSTER_PROVISIONAL_H

#include <stdint.h>

/* Until pool.h and listener.h have them. */
struct pool_saved {
	int32_t	 target, generation, phase, stops;
	int64_t	 started_ms;
};

struct slot_saved {
	int32_t	 slot, open, parked, failures;
	int64_t	 fill_at_ms;
};

struct child_saved {
	int32_t	 pid, slot, generation, state;
	int64_t	 since_ms, deadline_ms;
};

#define LISTENER_TEXT_MAX	300
struct listener_saved {
	uint32_t id;
	int32_t	 kind, nfds;
	char	 text[LISTENER_TEXT_MAX];
};

#endif
