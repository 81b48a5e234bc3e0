#ifndef MUSTER_STOP_H
#define MUSTER_STOP_H

#include <sys/types.h>

/*
 * The signals of a worker: stop_signal wakes the loop, fast_signal ends the
 * process at once, wherever it is, even in an app that never comes back.
 */
struct conf_worker;

/*
 * Install the handlers, then open the signal mask: the other way round a
 * stop that is pending would kill us. Returns the descriptor that becomes
 * readable with stop_signal, or -1 with errno.
 */
int	stop_install(const struct conf_worker *conf);

/* Who sent the last stop_signal. */
pid_t	stop_sender(void);

#endif
