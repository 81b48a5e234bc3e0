#ifndef MUSTER_STEER_H
#define MUSTER_STEER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Which socket of a SO_REUSEPORT group gets a new connection: a classic BPF
 * program (socket(7), SO_ATTACH_REUSEPORT_CBPF) that draws among the ready
 * ones. It needs no privilege, and replacing it is atomic.
 */

/* More holes than fit into the kernel's 4096 instructions are refused. */
#define STEER_HOLES_MAX		2046
#define STEER_PROGRAM_MAX	(2 * STEER_HOLES_MAX + 3)

/*
 * Write the program that picks evenly among the n with ready[n], of count, to
 * out, which has room for max instructions. Returns its length, 0 when none
 * is ready or it does not fit.
 */
size_t	steer_program(const bool *ready, int count, struct sock_filter *out,
	    size_t max);

/*
 * Build and attach to the group that fd belongs to. 0, or -1 with errno: the
 * old program stays then. With none ready nothing is done.
 */
int	steer_attach(int fd, const bool *ready, int count);

#endif
