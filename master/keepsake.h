#ifndef MUSTER_KEEPSAKE_H
#define MUSTER_KEEPSAKE_H

#include "master/pool.h"

struct err;
struct supervise;

/*
 * What supervise writes down for an image of the master to come (mirror.h),
 * and what such an image takes up again.
 */

/* All that this turn has changed. At the end of each. */
void		 keepsake_turn(struct supervise *s);
/* A worker's row, for what the pool does not know of. */
void		 keepsake_child(struct supervise *s,
		    const struct child *child);
/*
 * Generations, listeners, descriptors: when they have changed. With setup_due
 * of struct supervise it is done with the turn.
 */
void		 keepsake_setup(struct supervise *s);
/* The worker of this cell is gone; released once that is written down. */
void		 keepsake_cell_left(struct supervise *s, int cell);
/* All of it again, as some could not be written: that is forgiven. */
void		 keepsake_all(struct supervise *s);

/* ---- taking up again, from s->p.saved; without it, a new one */

int		 keepsake_board(struct supervise *s, struct err *err);
/* NULL: there is none yet. */
const int	*keepsake_inbox(const struct supervise *s);
const int	*keepsake_life(const struct supervise *s);
/* With saved alone. NULL with err. */
struct pool	*keepsake_pool(struct supervise *s, uint64_t seed,
		    pool_tell_fn *tell, struct err *err);
/* The renewal that the pool is at. */
void		 keepsake_renewal(struct supervise *s);
/* The workers that live, with what they are heard by. */
void		 keepsake_workers(struct supervise *s);

#endif
