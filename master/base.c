#include "master/base.h"

#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "master/supervise.h"

/* Callbacks in a row before the loop looks for signals again. */
#define CALLBACKS_A_LOOK	16

static void
on_fatal(int error)
{
	log_release();
	log_event(EV_MASTER_FAILED, log_str("msg", "libevent cannot go on"),
	    log_int("code", error));
	_exit(EX_OSERR);
}

static void
on_complaint(int severity, const char *msg)
{
	if (severity != EVENT_LOG_DEBUG)
		log_event(EV_LOOP_NOTE, log_str("msg", msg));
}

struct event_base *
base_open(struct err *err)
{
	struct event_config	*config = event_config_new();
	struct event_base	*base = NULL;

	event_set_log_callback(on_complaint);
	event_set_fatal_callback(on_fatal);
	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
		    EVENT_BASE_FLAG_IGNORE_ENV);
		event_config_set_max_dispatch_interval(config, NULL,
		    CALLBACKS_A_LOOK, PRIORITY_FACTS);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL || event_base_priority_init(base, PRIORITIES) == -1) {
		err_set(err, "cannot make the event loop");
		if (base != NULL)
			event_base_free(base);
		return NULL;
	}
	return base;
}
