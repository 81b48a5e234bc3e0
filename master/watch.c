#include "master/watch.h"

#include <stdlib.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/proc.h"

struct watch {
	pid_t		 pid;
	watch_gone_fn	*gone;
	void		*arg;
	struct event	*event;
};

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct watch	*watch = arg;

	(void)fd;
	(void)what;
	watch->gone(watch->arg, watch->pid);
}

struct watch *
watch_new(struct event_base *base, pid_t pid, int pidfd, watch_gone_fn *gone,
    void *arg)
{
	struct watch	*watch = xcalloc(1, sizeof(*watch));

	*watch = (struct watch){ .pid = pid, .gone = gone, .arg = arg };
	proc_foreign(pid, pidfd);
	watch->event = event_new(base, pidfd, EV_READ, on_gone, watch);
	if (watch->event == NULL || event_add(watch->event, NULL) == -1)
		log_event(EV_LOOP_NOTE, log_str("msg",
		    "cannot watch a worker of the master before"));
	return watch;
}

void
watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	proc_foreign_gone(watch->pid);
	if (watch->event != NULL)
		event_free(watch->event);
	free(watch);
}
