#ifndef MUSTER_TEST_SOCKETS_H
#define MUSTER_TEST_SOCKETS_H

#include <stdbool.h>

#include "common/conf.h"
#include "master/listener.h"

/*
 * For the tests of listening sockets: a folder of one's own, a configuration
 * built in one line, connections, and the log's lines.
 */
extern char	 folder[64];

/* Make the folder, log into it; remove both. For .init and .fini. */
void	sockets_setup(void);
void	sockets_teardown(void);

/* The configuration with these addresses, up to a NULL; until the next. */
struct conf	*with_bind(const char *addr, ...);

/* Open; the test fails at once if that does. */
struct listener_set	*open_ok(const struct conf *conf);

/* As at a reload, with its host names looked up first. NULL with err. */
struct listener_set	*plan_for(const struct listener_set *current,
			    const struct conf *conf, struct err *err);

/* Does opening fail, with text in the message? */
bool	open_fails(const struct conf *conf, const char *text);

/* The n-th socket as slot 0's worker gets it. */
struct inherited	nth(struct listener_set *listeners, int n);

/*
 * Connect to what inherited.text says: a descriptor, or -1 with errno. A
 * connection that nobody answers fails with EINPROGRESS after wait_ms.
 */
int	connect_to(const char *text, int wait_ms);

/* Is a connection queued on fd? It is accepted and closed. */
bool	accepts(int fd);

int	sockopt(int fd, int level, int option);
int	count_fds(void);
int	count_files(const char *path);

/* How many lines of the log have text in them? */
int	logged(const char *text);

#endif
