#include "common/events.h"

#define X(id, name, level, fields, meaning)				\
	[EV_##id] = { name, LOG_LEVEL_##level, fields, meaning },
const struct event_row event_rows[EVENT_COUNT] = { EVENTS(X) };
#undef X
