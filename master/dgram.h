#ifndef MUSTER_DGRAM_H
#define MUSTER_DGRAM_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * One message from somebody who is not trusted, over a Unix socket that has
 * SO_PASSCRED (unix(7)).
 */
struct dgram {
	size_t	 len;
	bool	 cut;		/* it was longer than what there was room for */
	pid_t	 pid;		/* who sent it, by the kernel's word; */
	uid_t	 uid;		/* 0: not told, or not in our pid namespace */
};

/*
 * Receive a message, without waiting. Descriptors passed along are closed,
 * whatever they are. False: there is none.
 */
bool	dgram_read(int fd, char *text, size_t size, struct dgram *got);
/* The same, and leave it there. */
bool	dgram_peek(int fd, char *text, size_t size, struct dgram *got);

#endif
