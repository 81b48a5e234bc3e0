#ifndef MUSTER_CLIENT_H
#define MUSTER_CLIENT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rig;

/* Connect to the rig's first address, or to one given as text ("[::1]:80",
 * "unix:/x", "unix:@x"). A blocking descriptor with a receive timeout; these
 * fail the test, client_try() returns -1 with errno instead. */
int	 rig_connect(struct rig *r);
int	 client_connect(const char *addr);
int	 client_try(const char *addr, int timeout_ms);

void	 client_say(int fd, const char *text);

/*
 * One line with its ending, or what came before the end of input; "" for
 * the end, NULL when nothing came in time or the connection was reset.
 * Static text.
 */
const char	*client_hear(int fd);
bool		 client_ended(int fd);	/* is this the end of input? */

/* Connect, say a line, hear its answer, close. Static text, as above. */
const char	*rig_ask(struct rig *r, const char *line);
const char	*client_ask(const char *addr, const char *line);

/*
 * A crowd: a process of our own with several clients at once, each of which
 * connects, says a line at once, hears it and closes, again and again.
 */
struct crowd_counts {
	uint64_t	answered;	/* connections served to their end */
	uint64_t	refused;	/* never connected */
	uint64_t	lost;		/* connected, but not fully answered */
	char		first[120];	/* how the first one was lost */
};
struct crowd;

struct crowd	*crowd_start(const char *addr, int clients);
struct crowd_counts crowd_now(const struct crowd *crowd);

/* Let those that are connected finish, then end the process. */
struct crowd_counts crowd_stop(struct crowd *crowd);

#endif
