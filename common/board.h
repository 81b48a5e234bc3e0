#ifndef MUSTER_BOARD_H
#define MUSTER_BOARD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * The scoreboard: a memfd (memfd_create(2)) of one page per worker. A worker
 * maps its own page alone and writes its figures there; the master maps
 * nothing and reads a copy with pread(2), so that neither a wild pointer in a
 * worker nor a truncated file can hurt the master or another worker. Figures
 * only: nothing read from here is an index, a pid or a length.
 */
struct board;

struct cell {			/* one page's beginning; the worker writes */
	_Atomic int64_t		beat_ms;	/* monotonic; 0 until the first */
	_Atomic uint64_t	accepted;	/* connections */
	_Atomic uint64_t	served;		/* requests */
	_Atomic uint64_t	errors;		/* connections that failed */
	_Atomic uint64_t	bytes;		/* echoed or sent */
	_Atomic uint32_t	active;		/* connections now */
	_Atomic uint32_t	said;		/* BOARD_READY ...: for a master
						 * that crashed as it heard it */
};

#define BOARD_READY	0x1
#define BOARD_RETIRE	0x2	/* it has served as much as it may */

struct figures {		/* a copy of a cell, as claimed by the worker */
	int64_t		beat_ms;
	uint64_t	accepted, served, errors, bytes;
	uint32_t	active, said;
};

/* Sealed against shrinking, close-on-exec. NULL with err. */
struct board	*board_new(struct err *err);
void		 board_free(struct board *board);

/*
 * The board of another image of this process, with these cells taken. fd is
 * the board's then. NULL with err: it is none, or has no such cells.
 */
struct board	*board_restore(int fd, const int *cells, size_t count,
		    struct err *err);
int		 board_fd(const struct board *board);	/* borrowed */

/*
 * Take a zeroed cell, the lowest free; it grows the file when needed.
 * Returns its number, or -1 with err. board_release() gives it back and its
 * memory to the kernel.
 */
int		 board_take(struct board *board, struct err *err);
void		 board_release(struct board *board, int cell);

/* Copy a cell's figures. -1 with errno if they could not be read. */
int		 board_read(const struct board *board, int cell,
		    struct figures *out);

/*
 * In the worker: map one cell, shared and writable. The caller may close fd
 * afterwards. NULL with err. board_unmap() undoes it.
 */
struct cell	*board_map(int fd, int cell, struct err *err);
void		 board_unmap(struct cell *cell);

#endif
