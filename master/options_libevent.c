#include <event2/event.h>

#include "master/options_table.h"

/* Apart from the help: libevent's struct event and the log's enum collide. */
const char *
options_libevent(void)
{
	return event_get_version();
}
