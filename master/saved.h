#ifndef MUSTER_SAVED_H
#define MUSTER_SAVED_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "master/crash.h"
#include "master/keep.h"
#include "master/mirror.h"
#include "master/setup.h"
#include "master/sigq.h"

/*
 * A mirror read back, as hostile input: by an image of this version, an older
 * or a newer one, after a crash that may have spoilt it. It is copied with
 * pread(2) first and never mapped. Numbers in rows are in range as far as the
 * layout goes; whether they make sense together is pool_restore()'s business.
 */
struct birth_saved {		/* a fork was coming, or has just been */
	int32_t	 cell, slot, generation;
	int32_t	 pid;			/* 0: not known */
};

struct saved {
	char			 version[32];	/* of the one who wrote */
	bool			 has_pool;	/* else it crashed before */
	struct pool_saved	 pool;
	struct slot_saved	*slots;		/* in order of number */
	size_t			 nslots;
	struct child_row	*children;	/* in order of cell */
	struct child_saved	*pool_children;	/* their pool parts again */
	size_t			 nchildren;
	struct birth_saved	*births;
	size_t			 nbirths;
	struct setup_saved	*setup;		/* NULL: none whole */
	struct sigq_pending	 signals;	/* for sigq_restore() */
	struct crash_saved	 crashes[CRASHES];	/* oldest first */
	size_t			 ncrashes;
	struct keep_saved	*keeps;		/* in order of fd */
	size_t			 nkeeps;
	unsigned		 torn;		/* halves that were not whole */
};

/*
 * From fd, which stays open. master is whose pid it must say: getpid(), in a
 * trial getppid(), 0 for any. NULL with err.
 */
struct saved	*saved_read(int fd, pid_t master, struct err *err);
void		 saved_free(struct saved *saved);

#endif
