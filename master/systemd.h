#ifndef MUSTER_SYSTEMD_H
#define MUSTER_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

/*
 * Talking up to the service manager that started us: sd_notify(3) datagrams
 * to NOTIFY_SOCKET, and the pings that WATCHDOG_USEC asks for. Nothing here
 * blocks or fails: what the manager's full queue does not take is sent later.
 * READY, RELOADING and STOPPING arrive all and in order; of the rest, the
 * newest.
 *
 * Without a manager systemd_new() returns NULL, and every function does
 * nothing when it is given NULL.
 */
struct systemd;

/* Does all go on as it should, so that the manager may be told so? */
typedef bool	 systemd_healthy_fn(void *arg);

/*
 * Reads systemd_names[] from the environment and removes them: they are for
 * us, not for workers. An image that we exec in our place has to be given
 * them again, and says again = true here: its first ping is then sent at
 * once, as nobody knows when the last was.
 */
struct systemd	*systemd_new(struct event_base *base, int priority,
		    bool again, systemd_healthy_fn *healthy, void *arg);
/* A last try for what waits; NULL is allowed. */
void		 systemd_free(struct systemd *systemd);

/* The variables that a service manager sets for its service alone; a NULL
 * ends them. LISTEN_FDS and its kin are the listeners'. */
extern const char *const systemd_names[];

/* We are not the process that it started: READY says which one we are. */
void		 systemd_main_pid(struct systemd *systemd);

/* The start or a reload is over. Never sent twice in a row, nor after
 * systemd_stopping(). */
void		 systemd_ready(struct systemd *systemd);
/* A reload begins; systemd_ready() ends it, whatever its outcome. */
void		 systemd_reloading(struct systemd *systemd);
void		 systemd_stopping(struct systemd *systemd);

/* One line for "systemctl status"; one equal to the last is not sent. */
void		 systemd_status(struct systemd *systemd, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));

/* Start, reload or stop may take so many microseconds more, from now. */
void		 systemd_extend(struct systemd *systemd, int64_t usec);

/* How many descriptors it keeps for us; 0: none. */
int		 systemd_room(const struct systemd *systemd);

/*
 * Keep these descriptors for the next start, which gets them in LISTEN_FDS
 * with their names. Only if the manager said it would (FDSTORE of the
 * environment, systemd 254), and as many as it said; else nothing happens.
 * The caller may close them afterwards.
 */
void		 systemd_store(struct systemd *systemd, const int *fds,
		    const char *const *names, size_t count);
void		 systemd_unstore(struct systemd *systemd, const char *name);

#endif
