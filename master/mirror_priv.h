#ifndef MUSTER_MIRROR_PRIV_H
#define MUSTER_MIRROR_PRIV_H

#include <stddef.h>

#include "master/mirror.h"
#include "master/state.h"

/* The file gets memory in such steps, before it is stored to. */
#define MIRROR_STEP	((size_t)16384)

/* The part of a child's row that the pool has no hand in. */
#define MIRROR_SHELL	offsetof(struct child_row, pool)

/* The head of a state of ours: where everything is. */
void	mirror_layout(struct state_head *head);

#endif
