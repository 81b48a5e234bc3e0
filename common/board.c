#include "common/board.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define WORD_BITS	64		/* the file grows by so many cells */
#define WORDS_MAX	(1 << 14)	/* a million cells: no worker count */

struct board {
	int		 fd;
	size_t		 page;		/* bytes of a cell in the file */
	uint64_t	*used;		/* owned; a bit per cell of the file */
	int		 words;		/* of used */
	int		 hint;		/* no word below this has a free bit */
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "a lock in shared memory could be held by a dead worker");

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

struct board *
board_new(struct err *err)
{
	struct board	*board;
	int		 fd;

	fd = memfd_create("muster-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1) {
		err_sys(err, "cannot create the scoreboard");
		return NULL;
	}
	/* Nobody may cut pages off under others, nor seal it against us. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
		err_sys(err, "cannot seal the scoreboard");
		close(fd);
		return NULL;
	}
	board = xcalloc(1, sizeof(*board));
	board->fd = fd;
	board->page = page_size();
	return board;
}

static int
take_again(struct board *board, const int *cells, size_t count,
    struct err *err)
{
	size_t	 i;

	for (i = 0; i < count; i++) {
		if (cells[i] < 0 || cells[i] / WORD_BITS >= board->words)
			return err_set(err, "the scoreboard has no cell %d",
			    cells[i]);
		board->used[cells[i] / WORD_BITS] |=
		    UINT64_C(1) << (cells[i] % WORD_BITS);
	}
	return 0;
}

struct board *
board_restore(int fd, const int *cells, size_t count, struct err *err)
{
	struct board	*board;
	struct stat	 st;
	off_t		 words;
	int		 seals = fcntl(fd, F_GET_SEALS);	/* -1: has none */

	if (fstat(fd, &st) == -1 || seals == -1 ||
	    (seals & F_SEAL_SHRINK) == 0) {
		err_set(err, "descriptor %d is no scoreboard", fd);
		return NULL;
	}
	words = st.st_size / (off_t)page_size() / WORD_BITS;
	if (words > WORDS_MAX) {
		err_set(err, "the scoreboard is too large");
		return NULL;
	}
	board = xcalloc(1, sizeof(*board));
	*board = (struct board){ .fd = fd, .page = page_size(),
	    .words = (int)words };
	board->used = xcalloc((size_t)words + 1, sizeof(*board->used));
	if (take_again(board, cells, count, err) == 0)
		return board;
	free(board->used);
	free(board);
	return NULL;
}

void
board_free(struct board *board)
{
	if (board == NULL)
		return;
	close(board->fd);
	free(board->used);
	free(board);
}

int
board_fd(const struct board *board)
{
	return board->fd;
}

static int
grow(struct board *board, struct err *err)
{
	off_t	 size;

	if (board->words == WORDS_MAX)
		return err_set(err, "the scoreboard is full");
	size = (off_t)(board->words + 1) * WORD_BITS * (off_t)board->page;
	if (ftruncate(board->fd, size) == -1)
		return err_sys(err, "cannot enlarge the scoreboard");
	board->used = xreallocarray(board->used, (size_t)board->words + 1,
	    sizeof(*board->used));
	board->used[board->words++] = 0;
	return 0;
}

int
board_take(struct board *board, struct err *err)
{
	int	 bit;

	while (board->hint < board->words &&
	    board->used[board->hint] == UINT64_MAX)
		board->hint++;
	if (board->hint == board->words && grow(board, err) == -1)
		return -1;
	bit = __builtin_ctzll(~board->used[board->hint]);
	board->used[board->hint] |= UINT64_C(1) << bit;
	return board->hint * WORD_BITS + bit;
}

static bool
taken(const struct board *board, int cell)
{
	if (cell < 0 || cell / WORD_BITS >= board->words)
		return false;
	return board->used[cell / WORD_BITS] >> (cell % WORD_BITS) & 1;
}

void
board_release(struct board *board, int cell)
{
	if (!taken(board, cell))
		return;
	/* A cell that cannot be wiped is better lost than handed on dirty. */
	if (fallocate(board->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	    (off_t)cell * (off_t)board->page, (off_t)board->page) == -1)
		return;
	board->used[cell / WORD_BITS] &= ~(UINT64_C(1) << (cell % WORD_BITS));
	if (cell / WORD_BITS < board->hint)
		board->hint = cell / WORD_BITS;
}

#define GET(field) \
	atomic_load_explicit(&copy.field, memory_order_relaxed)

int
board_read(const struct board *board, int cell, struct figures *out)
{
	struct cell	 copy;
	ssize_t		 got;

	if (cell < 0 || cell / WORD_BITS >= board->words) {
		errno = EINVAL;
		return -1;
	}
	memset(&copy, 0, sizeof(copy));
	got = pread(board->fd, &copy, sizeof(copy),
	    (off_t)cell * (off_t)board->page);
	if (got != (ssize_t)sizeof(copy)) {
		if (got != -1)
			errno = EIO;
		return -1;
	}
	*out = (struct figures){
		.beat_ms = GET(beat_ms),
		.accepted = GET(accepted),
		.served = GET(served),
		.errors = GET(errors),
		.bytes = GET(bytes),
		.active = GET(active),
		.said = GET(said),
	};
	return 0;
}

struct cell *
board_map(int fd, int cell, struct err *err)
{
	struct stat	 st;
	off_t		 page = (off_t)page_size();
	void		*at;

	if (fstat(fd, &st) == -1) {
		err_sys(err, "cannot look at the scoreboard");
		return NULL;
	}
	/* Beyond the end mmap would succeed, and the first write be fatal. */
	if (cell < 0 || cell >= st.st_size / page) {
		err_set(err, "the scoreboard has no cell %d", cell);
		return NULL;
	}
	at = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    cell * page);
	if (at == MAP_FAILED) {
		err_sys(err, "cannot map cell %d of the scoreboard", cell);
		return NULL;
	}
	return at;
}

void
board_unmap(struct cell *cell)
{
	if (cell != NULL)
		munmap(cell, page_size());
}
