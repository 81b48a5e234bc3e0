#ifndef MUSTER_POOL_ROWS_H
#define MUSTER_POOL_ROWS_H

#include "master/pool_save.h"

/* What rows say in bits and numbers (pool_save.c, _check.c, _restore.c). */
enum pool_flag { POOL_GAVE_UP = 1, POOL_KILLED_ANY = 2, POOL_REFUSE_DUE = 4,
	POOL_EVER_READY = 8, POOL_ANNOUNCED = 16, POOL_DRAINED = 32,
	POOL_RENEWING = 64, POOL_FLAGS = 127 };

enum slot_flag { SLOT_OPEN = 1, SLOT_PARKED = 2, SLOT_BARRED = 4,
	SLOT_UNSETTLED = 8, SLOT_FLAGS = 15 };

enum child_role { ROLE_CHILD, ROLE_SUCCESSOR, ROLE_LEAVER, ROLE_CARETAKER,
	CHILD_ROLES };

/* No time, and no number in an order, is beyond. */
#define SAVED_MOST	(INT64_C(1) << 61)

/*
 * Each row by itself, against the limits and the pool's: NULL, or what is
 * wrong with it.
 */
const char	*pool_row_wrong(const struct pool_saved *row, int64_t now_ms);
const char	*slot_row_wrong(const struct slot_saved *row, size_t nslots);
const char	*child_row_wrong(const struct child_saved *row,
		    const struct pool_saved *pool, size_t nslots,
		    int64_t now_ms);

#endif
