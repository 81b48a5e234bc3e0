#include "worker/loop.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/turns.h"
#include "worker/worker.h"

static void
on_log(int severity, const char *msg)
{
	if (severity == EVENT_LOG_ERR)
		log_event(EV_WORKER_FAILED, log_str("msg", msg),
		    log_int("code", WORKER_EXIT_OSERR));
	else if (severity != EVENT_LOG_DEBUG)
		log_event(EV_LOOP_NOTE, log_str("msg", msg));
}

/* Its message was logged just before, as an error. */
static void
on_fatal(int error)
{
	(void)error;
	_exit(WORKER_EXIT_OSERR);
}

struct event_base *
loop_open(bool find_epoll, int *epoll_fd, struct err *err)
{
	struct event_config	*config;
	struct event_base	*base = NULL;

	event_set_log_callback(on_log);
	event_set_fatal_callback(on_fatal);
	*epoll_fd = find_epoll ? turns_next_fd() : -1;
	if ((config = event_config_new()) != NULL) {
		/* The environment must not choose another kind of loop. */
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV |
		    EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL) {
		err_sys(err, "cannot make an event loop");
		return NULL;
	}
	if (strcmp(event_base_get_method(base), "epoll") != 0) {
		err_set(err, "the event loop is not based on epoll");
		event_base_free(base);
		return NULL;
	}
	return base;
}
