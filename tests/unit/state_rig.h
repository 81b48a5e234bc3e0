#ifndef TESTS_STATE_RIG_H
#define TESTS_STATE_RIG_H

#include <stddef.h>

#include "master/mirror.h"
#include "master/state.h"

/* A mirror with something of everything in it. */
struct mirror		*state_rig_mirror(void);
struct child_row	 state_rig_child(int cell, int pid);

/* The file of a mirror as bytes, owned by the caller; and as a file again. */
unsigned char		*state_rig_bytes(const struct mirror *mirror,
			    size_t *len);
int			 state_rig_fd(const void *bytes, size_t len);

/*
 * The same state as a version with other rows would have written it: each row
 * of the pool, slots, children and keeps is by so many bytes longer (with
 * 0xee) or shorter. Of a file without setup.
 */
unsigned char		*state_rig_resize(const unsigned char *bytes, int by,
			    size_t *len);

#endif
