#ifndef MUSTER_UP_H
#define MUSTER_UP_H

/*
 * What a worker tells its master, as sd_notify(3) text. What the channel
 * cannot take now is kept and sent when it can; what was said twice meanwhile
 * is sent once.
 */
struct event_base;
struct up;

#define UP_READY	0x1
#define UP_STOPPING	0x2
#define UP_RETIRE	0x4	/* max_requests was reached */

/* fd is borrowed, non-blocking. NULL: no memory. */
struct up	*up_new(struct event_base *base, int fd);
void		 up_say(struct up *up, unsigned int what);

#endif
