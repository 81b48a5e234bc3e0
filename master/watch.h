#ifndef MUSTER_WATCH_H
#define MUSTER_WATCH_H

#include <sys/types.h>

struct event_base;

/*
 * Waiting for the end of a worker that is no child of ours: one that a master
 * before us left. Until watch_free() it is signalled by its pidfd (proc.h).
 */
struct watch;

typedef void	 watch_gone_fn(void *arg, pid_t pid);

/*
 * The pidfd is borrowed until watch_free(). gone is called once, and may free
 * the watch. If it cannot be waited for that is logged: it still is signalled.
 */
struct watch	*watch_new(struct event_base *base, pid_t pid, int pidfd,
		    watch_gone_fn *gone, void *arg);
/* Before the pidfd is closed. NULL is allowed. */
void		 watch_free(struct watch *watch);

#endif
