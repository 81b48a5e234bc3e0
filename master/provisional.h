#ifndef MUSTER_PROVISIONAL_H
#define MUSTER_PROVISIONAL_H

#include <stdint.h>

/* Stands in for what pool_save.h and listener.h are going to have. */
#include "master/listener.h"

#if __has_include("master/pool_save.h")
#include "master/pool_save.h"
#else
struct pool_saved {
	int32_t	 target, generation, phase, stops;
	int64_t	 started_ms;
};

struct slot_saved {
	int32_t	 nr, open, parked, failures;
	int64_t	 fill_at_ms;
};

struct child_saved {
	int32_t	 pid, slot, generation, cell;
	int64_t	 since_ms, deadline_ms;
};
#endif

#ifndef LISTENER_TEXT_MAX
#define LISTENER_TEXT_MAX	300
struct listener_saved {
	uint32_t id;
	int32_t	 kind, nfds;
	char	 text[LISTENER_TEXT_MAX];
};
#endif

#endif
