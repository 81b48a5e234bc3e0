#ifndef MUSTER_SENDER_H
#define MUSTER_SENDER_H

#include <sys/types.h>
#include <stdbool.h>

/*
 * May who sent this, by the kernel's word, speak for the worker, which runs
 * as uid? It has to be the worker's, root's or ours, and the worker itself,
 * one of its process group, a descendant of it, or gone by now, so that
 * nothing more can be asked. looked is set if proc(5) had to be searched,
 * which costs as much as many messages.
 */
bool	sender_may(pid_t pid, uid_t sender_uid, pid_t worker, uid_t uid,
	    bool *looked);

#endif
