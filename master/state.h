#ifndef MUSTER_STATE_H
#define MUSTER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * The format of the state that one image of the master leaves to the next: a
 * head that says where each region is, how long its rows are and how many,
 * then the regions. No pointers. The head never changes once it is written.
 * Pure: bytes in, bytes out.
 *
 * A newer version may append regions, and fields to rows: a reader takes the
 * common beginning of a row, has zero for what is not there, and leaves what
 * it does not know. What cannot be said that way is a new STATE_VERSION.
 */
#define STATE_MAGIC	UINT64_C(0x6574617453727473)	/* "strState" */
#ifndef STATE_VERSION			/* but in a test's build */
#define STATE_VERSION	1
#define STATE_OLDEST	1		/* that we read */
#define STATE_NEWEST	1
#endif

enum state_part {		/* by their place in the head: append only */
	STATE_POOL,		/* one row */
	STATE_SIGNALS,		/* struct sigq_counters */
	STATE_CRASHES,		/* plain rows, struct state_crash */
	STATE_SETUP,		/* one row of two large halves */
	STATE_KEEPS,		/* plain rows, by descriptor */
	STATE_SLOTS,		/* rows by slot number */
	STATE_CHILDREN,		/* rows by board cell */
	STATE_PARTS
};

struct state_region {
	uint64_t at;			/* offset in the file */
	uint32_t row;			/* bytes */
	uint32_t count;
};

struct state_head {
	uint64_t magic;
	uint32_t version;
	uint32_t len;			/* of this head */
	uint64_t size;			/* of the file */
	int32_t	 pid;			/* of the master */
	uint32_t nregions;
	char	 program[32];		/* its version, for the log */
	uint32_t sum;			/* with this as 0 */
	uint32_t spare;
	struct state_region regions[STATE_PARTS];
};

#define STATE_HEAD_MAX	4096
#define STATE_SIZE_MAX	(UINT64_C(64) << 20)
#define STATE_REGIONS_MAX	64

/*
 * Half a row. Two parts, so that both can grow by appending. seq 0: never
 * written; both lengths 0: the row is not there any more.
 *
 * seq is the number of the turn that wrote it. The pool's row is the last of a
 * turn: what is newer than that is of a turn that a crash cut off, and the
 * other half of such a row, which the turn leaves alone, is the one that fits
 * all others.
 */
struct state_half {
	uint64_t seq;
	uint32_t sum;			/* of all else, with this as 0 */
	uint32_t spare;
	uint32_t len[2];		/* the second begins at a multiple of 8 */
};

/* Bytes of half a row with parts so long, a multiple of 8. */
size_t	state_half_size(size_t first, size_t second);

/* Where a part of it begins. */
const unsigned char *state_half_part(const struct state_half *half, int nr);

/* Write parts to a half; it has room for them. */
struct state_bytes {
	const void	*data;
	size_t		 len;
};
void	state_half_write(struct state_half *half, uint64_t seq,
	    const struct state_bytes parts[2]);

/*
 * The newest whole half of a row of that many bytes, and not newer than most;
 * -1: there is none. torn is raised for each that is neither whole nor
 * untouched.
 */
int	state_newest(const unsigned char *row, size_t len, uint64_t most,
	    unsigned *torn);
const struct state_half *state_half(const unsigned char *row, size_t len,
	    int nr);

/* Copy a row of another version's length: the rest is 0, or ignored. */
void	state_fit(void *to, size_t size, const void *from, size_t len);

uint32_t state_sum(const void *data, size_t len, uint32_t seed);
void	state_head_seal(struct state_head *head);
/*
 * Is this the head of a file that long? data has len bytes of its beginning.
 * *out has zero for regions it lacks. -1 with err.
 */
int	state_head_read(struct state_head *out, const void *data, size_t len,
	    uint64_t size, struct err *err);

/* A crash in its region: fixed size, as the handler writes it with pwrite(2). */
#define STATE_CRASH_ROW	512
#define STATE_CRASH_DATA	(STATE_CRASH_ROW - 16)
struct state_crash {
	uint32_t sum;			/* of data */
	uint32_t len;
	uint64_t spare;
	unsigned char data[STATE_CRASH_DATA];
};
/* Both for signal handlers, too. */
void	state_crash_write(struct state_crash *row, const void *data,
	    size_t len);
bool	state_crash_whole(const struct state_crash *row);

#endif
