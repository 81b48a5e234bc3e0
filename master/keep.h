#ifndef MUSTER_KEEP_H
#define MUSTER_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * The descriptors that survive when the master becomes another image. All are
 * close-on-exec, and noted here: added after they are opened, dropped before
 * they are closed. Right before execve(2) they are exposed; the new image
 * looks at each (fstat(2): the same device and inode) and hides it again.
 *
 * Global, as the crash handler has no argument; the rows lie in the mirror.
 */
enum keep_kind {		/* written down: new ones at the end */
	KEEP_NONE, KEEP_BOARD, KEEP_LISTENER, KEEP_DIR, KEEP_LIFE,
	KEEP_SIGNALS, KEEP_INBOX, KEEP_MAIL, KEEP_ACK, KEEP_CAPTURE,
	KEEP_PIDFILE, KEEP_PIDFD, KEEP_OTHER, KEEP_KINDS
};

#define KEEP_MAX	65536		/* descriptors below this number */

struct keep_row {		/* by descriptor, in shared memory */
	uint64_t dev, ino;
	uint32_t kind;			/* KEEP_NONE: none */
	uint32_t spare;			/* of descriptor 0: end of those in use */
};

struct keep_saved {
	int32_t	 fd, kind;
	uint64_t dev, ino;
};

struct mirror;

/*
 * From now on in this mirror, which stays the caller's; what was kept in one
 * before is taken along. NULL: what follows does nothing. -1 with err.
 */
int	keep_open(struct mirror *mirror, struct err *err);
/* In a forked child, which does not have the mirror's memory. */
void	keep_forget(void);

/*
 * Remember it as of this kind, or no more. Nothing before keep_open() and for
 * -1; one that is too high a number is logged and will not survive.
 */
void	keep_add(int fd, enum keep_kind kind);
void	keep_drop(int fd);

/*
 * In the new image, after keep_open(): of those that the old one kept, keep
 * each that still is what it was and make it close-on-exec; a stranger is left
 * alone. Returns how many are missing or strangers. Once all parts have taken
 * up again what is theirs, by keep_add(), keep_sweep() closes the rest: what
 * was opened, or about to be closed, in a turn that a crash cut off.
 */
size_t	keep_check(const struct keep_saved *saved, size_t count);
size_t	keep_sweep(void);

/* Is it kept as of this kind, and now still what it was? */
bool	keep_has(int fd, enum keep_kind kind);

/*
 * Make all survive an exec, and take that back. keep_expose_rows() is for the
 * crash handler: it calls fcntl(2) alone.
 */
void	keep_expose(void);
void	keep_hide(void);
void	keep_expose_rows(const struct keep_row *rows);
/* Those that the image before us kept, for it to go on with. */
void	keep_expose_saved(const struct keep_saved *saved, size_t count);

#endif
