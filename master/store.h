#ifndef MUSTER_STORE_H
#define MUSTER_STORE_H

struct listener_set;
struct systemd;

/*
 * What the service manager keeps for our next start (the file descriptor
 * store of systemd): the sockets in force that we bound ourselves, if it said
 * that it keeps any (systemd.h). Whoever connects while nobody is there waits
 * in their queues then. Not kept are sockets of somebody else, those of
 * accept = reuseport, and those that let nobody in for good.
 *
 * The next start finds them by their address (listeners_open() in
 * listener.h). All functions do nothing when they are given NULL.
 */
struct store;

/* NULL if nothing is kept. now: the set in force; what it has not is forgotten
 * by the manager. Borrows systemd. */
struct store	*store_new(struct systemd *systemd,
		    const struct listener_set *now);
/* The manager goes on to keep all that was kept. */
void		 store_free(struct store *store);

/* Another set is in force, or one of its sockets is of no use any more. */
void		 store_set(struct store *store,
		    const struct listener_set *now);

#endif
