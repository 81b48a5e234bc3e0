#ifndef MUSTER_PIDFILE_H
#define MUSTER_PIDFILE_H

#include "common/err.h"

/*
 * A pidfile that says the truth: held with flock(2) while its master lives,
 * written aside and renamed, so that a reader sees a whole pid or no file, and
 * never through a symbolic link. Of several starters at once exactly one wins.
 */
struct pidfile;

enum { PIDFILE_HELD = 69, PIDFILE_REFUSED = 71 };	/* exit codes */

/*
 * Take path, write our pid. NULL with err and *code: PIDFILE_HELD when a live
 * master holds it (err names its pid), PIDFILE_REFUSED for all else.
 */
struct pidfile	*pidfile_take(const char *path, int *code, struct err *err);

/* Its descriptor, to outlive an exec. */
int		 pidfile_fd(const struct pidfile *pidfile);
/*
 * It was taken by an image of this process before us: fd is the pidfile's
 * then. NULL with err: it is not the file of this path any more.
 */
struct pidfile	*pidfile_restore(const char *path, int fd, struct err *err);

/* Remove the file if it is still ours, let go of the lock. NULL allowed. */
void		 pidfile_drop(struct pidfile *pidfile);

#endif
