#ifndef MUSTER_EARS_H
#define MUSTER_EARS_H

#include "common/err.h"

struct event_base;

/*
 * Many descriptors behind one event: so many of them are served a turn, one
 * after another and those that had to wait first, however much any of them
 * has to say. What is below in priority waits for one such turn at most.
 */
struct ears;
typedef void	 ears_fn(void *arg, void *who);

/* serve is called for each that is readable, done after a turn's last. */
struct ears	*ears_new(struct event_base *base, int priority, int a_turn,
		    ears_fn *serve, void (*done)(void *), void *arg,
		    struct err *err);
void		 ears_free(struct ears *ears);

/* Listen to fd. 0, or -1 with errno: EEXIST if that is done already. */
int		 ears_add(struct ears *ears, int fd, void *who);
/* No more; before it is closed. Also from within serve. */
void		 ears_drop(struct ears *ears, int fd);

#endif
