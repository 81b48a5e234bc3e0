#include "master/saved.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/mirror_priv.h"
#include "master/state.h"

/* A file being read: a copy in our own memory, where nobody else writes. */
struct reading {
	struct state_head	 head;
	unsigned char		*copy;		/* owned, head.size bytes */
	uint64_t		 end[STATE_PARTS];	/* of what has data */
	uint64_t		 turn;		/* the last that is whole */
	struct saved		*out;
};

/* ---- the bytes */

static int
read_whole(int fd, void *to, size_t len, off_t at)
{
	unsigned char	*into = to;
	ssize_t		 n;

	while (len > 0) {
		n = pread(fd, into, len, at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return -1;
		}
		into += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* From start to end there is data: how far does each region have some? */
static void
note_data(struct reading *r, uint64_t start, uint64_t end)
{
	const struct state_region	*region;
	uint64_t			 stop;
	int				 nr;

	for (nr = 0; nr < STATE_PARTS; nr++) {
		region = &r->head.regions[nr];
		stop = region->at + (uint64_t)region->row * region->count;
		if (end > region->at && start < stop)
			r->end[nr] = end < stop ? end : stop;
	}
}

/* Of a file that is nearly all holes. */
static int
read_data(struct reading *r, int fd, struct err *err)
{
	off_t	 at = 0, end, size = (off_t)r->head.size;

	while ((at = lseek(fd, at, SEEK_DATA)) != -1 && at < size) {
		if ((end = lseek(fd, at, SEEK_HOLE)) == -1 || end <= at)
			return err_sys(err, "cannot read the state");
		if (end > size)
			end = size;
		if (read_whole(fd, r->copy + at, (size_t)(end - at),
		    at) == -1)
			return err_sys(err, "cannot read the state");
		note_data(r, (uint64_t)at, (uint64_t)end);
		at = end;
	}
	if (at == -1 && errno != ENXIO)
		return err_sys(err, "cannot read the state");
	return 0;
}

static int
read_head(struct reading *r, int fd, pid_t master, struct err *err)
{
	unsigned char	 bytes[STATE_HEAD_MAX];
	struct stat	 st;
	size_t		 len;

	if (fstat(fd, &st) == -1)
		return err_sys(err, "cannot look at the state");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return err_set(err, "the state is no file, or empty");
	len = (size_t)st.st_size < sizeof(bytes) ? (size_t)st.st_size :
	    sizeof(bytes);
	if (read_whole(fd, bytes, len, 0) == -1)
		return err_sys(err, "cannot read the state");
	if (state_head_read(&r->head, bytes, len, (uint64_t)st.st_size,
	    err) == -1)
		return -1;
	if (master != 0 && r->head.pid != (int32_t)master)
		return err_set(err, "the state is that of pid %d",
		    (int)r->head.pid);
	return 0;
}

/* ---- the rows */

/* How many rows of a region can hold anything. */
static size_t
rows_with_data(const struct reading *r, enum state_part part)
{
	const struct state_region	*region = &r->head.regions[part];

	if (r->end[part] <= region->at || region->row == 0)
		return 0;
	return (size_t)((r->end[part] - region->at + region->row - 1) /
	    region->row);
}

static const unsigned char *
row_of(const struct reading *r, enum state_part part, size_t nr)
{
	const struct state_region	*region = &r->head.regions[part];

	return r->copy + region->at + nr * region->row;
}

/* The newest whole half of a row, of a turn up to most; NULL: none. */
static const struct state_half *
half_up_to(struct reading *r, enum state_part part, size_t nr, uint64_t most,
    unsigned *torn)
{
	const unsigned char	*row = row_of(r, part, nr);
	size_t			 len = r->head.regions[part].row;
	int			 newest;

	newest = state_newest(row, len, most, torn);
	return newest == -1 ? NULL : state_half(row, len, newest);
}

static const struct state_half *
half_of(struct reading *r, enum state_part part, size_t nr)
{
	return half_up_to(r, part, nr, r->turn, &r->out->torn);
}

static bool
is_there(const struct state_half *half)
{
	return half != NULL && (half->len[0] > 0 || half->len[1] > 0);
}

static void
take_part(void *to, size_t size, const struct state_half *half, int nr)
{
	state_fit(to, size, state_half_part(half, nr), half->len[nr]);
}

static void
read_slots(struct reading *r)
{
	const struct state_half	*half;
	struct saved		*out = r->out;
	struct slot_saved	 slot;
	size_t			 nr, count = rows_with_data(r, STATE_SLOTS);

	if (count > MIRROR_SLOTS)
		count = MIRROR_SLOTS;
	if (count > 0)
		out->slots = xcalloc(count, sizeof(*out->slots));
	for (nr = 0; nr < count; nr++) {
		half = half_of(r, STATE_SLOTS, nr);
		if (half == NULL || half->len[0] == 0)
			continue;
		take_part(&slot, sizeof(slot), half, 0);
		if (slot.nr == (int32_t)nr)
			out->slots[out->nslots++] = slot;
		else
			out->torn++;
	}
}

static void
take_birth(struct reading *r, const struct state_half *half, size_t cell)
{
	struct saved		*out = r->out;
	struct child_saved	 child;
	struct birth_saved	 birth = { .cell = (int32_t)cell };
	int32_t			 words[3];

	if (half->len[1] == 0) {
		take_part(words, sizeof(words), half, 0);
		birth.slot = words[0];
		birth.generation = words[1];
		birth.pid = words[2];
	} else {
		take_part(&child, sizeof(child), half, 1);
		birth.slot = child.slot;
		birth.generation = child.generation;
		birth.pid = child.pid;
	}
	out->births[out->nbirths++] = birth;
}

static void
take_child(struct reading *r, const struct state_half *half, size_t cell)
{
	struct saved		*out = r->out;
	struct child_row	 child;

	memset(&child, 0, sizeof(child));
	take_part(&child, MIRROR_SHELL, half, 0);
	take_part(&child.pool, sizeof(child.pool), half, 1);
	if (child.pool.cell != (int32_t)cell || child.pool.pid <= 0) {
		out->torn++;
		return;
	}
	out->pool_children[out->nchildren] = child.pool;
	out->children[out->nchildren++] = child;
}

/* Of a turn that was cut off a birth is all there is to be known. */
static void
read_child(struct reading *r, size_t cell)
{
	const struct state_half	*half, *latest;
	unsigned		 torn = 0;

	half = half_of(r, STATE_CHILDREN, cell);
	if (is_there(half) && half->len[1] > 0) {
		take_child(r, half, cell);
		return;
	}
	latest = half_up_to(r, STATE_CHILDREN, cell, UINT64_MAX, &torn);
	if (is_there(latest))
		take_birth(r, latest, cell);
}

static void
read_children(struct reading *r)
{
	struct saved	*out = r->out;
	size_t		 nr, count = rows_with_data(r, STATE_CHILDREN);

	if (count > MIRROR_CELLS)
		count = MIRROR_CELLS;
	if (count == 0)
		return;
	out->children = xcalloc(count, sizeof(*out->children));
	out->pool_children = xcalloc(count, sizeof(*out->pool_children));
	out->births = xcalloc(count, sizeof(*out->births));
	for (nr = 0; nr < count; nr++)
		read_child(r, nr);
}

static void
read_keeps(struct reading *r)
{
	struct saved	*out = r->out;
	struct keep_row	 row;
	size_t		 nr, count = rows_with_data(r, STATE_KEEPS);

	if (count > KEEP_MAX)
		count = KEEP_MAX;
	if (count > 0)
		out->keeps = xcalloc(count, sizeof(*out->keeps));
	for (nr = 0; nr < count; nr++) {
		state_fit(&row, sizeof(row), row_of(r, STATE_KEEPS, nr),
		    r->head.regions[STATE_KEEPS].row);
		if (row.kind == KEEP_NONE)
			continue;
		/* A newer one's kinds are at least descriptors to keep. */
		out->keeps[out->nkeeps++] = (struct keep_saved){ (int32_t)nr,
		    row.kind < KEEP_KINDS ? (int32_t)row.kind : KEEP_OTHER,
		    row.dev, row.ino };
	}
}

static int
by_nr(const void *a, const void *b)
{
	const struct crash_saved	*left = a, *right = b;

	return (left->nr > right->nr) - (left->nr < right->nr);
}

static void
read_crashes(struct reading *r)
{
	struct saved		*out = r->out;
	struct state_crash	 row;
	struct crash_saved	*to;
	size_t			 nr, count;

	count = rows_with_data(r, STATE_CRASHES);
	for (nr = 0; nr < count && out->ncrashes < CRASHES; nr++) {
		state_fit(&row, sizeof(row), row_of(r, STATE_CRASHES, nr),
		    r->head.regions[STATE_CRASHES].row);
		if (!state_crash_whole(&row)) {
			out->torn += row.len == 0 && row.sum == 0 ? 0 : 1;
			continue;
		}
		to = &out->crashes[out->ncrashes++];
		state_fit(to, sizeof(*to), row.data, row.len);
		if (to->nframes > CRASH_FRAMES)
			to->nframes = CRASH_FRAMES;
	}
	qsort(out->crashes, out->ncrashes, sizeof(out->crashes[0]), by_nr);
}

/* ---- the pool with what it has taken, the signals */

static void
read_pool(struct reading *r, struct sigq_noted *noted)
{
	const struct state_half	*half;
	struct saved		*out = r->out;

	memset(noted, 0, sizeof(*noted));
	r->turn = UINT64_MAX;
	if (rows_with_data(r, STATE_POOL) == 0 ||
	    (half = half_of(r, STATE_POOL, 0)) == NULL || half->len[0] == 0)
		return;
	r->turn = half->seq;
	take_part(&out->pool, sizeof(out->pool), half, 0);
	take_part(noted, sizeof(*noted), half, 1);
	out->has_pool = true;
}

static void
read_signals(struct reading *r, const struct sigq_noted *noted)
{
	struct sigq_counters	 counters;

	if (rows_with_data(r, STATE_SIGNALS) == 0)
		return;
	state_fit(&counters, sizeof(counters), row_of(r, STATE_SIGNALS, 0),
	    r->head.regions[STATE_SIGNALS].row);
	if (!sigq_left(&counters, noted, &r->out->signals))
		r->out->torn++;
}

static int
read_setup(struct reading *r, struct err *err)
{
	const struct state_half	*half;
	struct saved		*out = r->out;

	if (rows_with_data(r, STATE_SETUP) == 0 ||
	    (half = half_of(r, STATE_SETUP, 0)) == NULL || half->len[0] == 0)
		return 0;
	out->setup = setup_read(state_half_part(half, 0), half->len[0], err);
	return out->setup == NULL ? -1 : 0;
}

/* ---- life */

static int
read_parts(struct reading *r, struct err *err)
{
	struct sigq_noted	 noted;

	memcpy(r->out->version, r->head.program, sizeof(r->out->version));
	read_pool(r, &noted);
	read_signals(r, &noted);
	read_slots(r);
	read_children(r);
	read_keeps(r);
	read_crashes(r);
	return read_setup(r, err);
}

struct saved *
saved_read(int fd, pid_t master, struct err *err)
{
	struct reading	 r = { 0 };
	int		 status;

	if (read_head(&r, fd, master, err) == -1)
		return NULL;
	r.copy = xcalloc((size_t)r.head.size, 1);
	r.out = xcalloc(1, sizeof(*r.out));
	if ((status = read_data(&r, fd, err)) == 0)
		status = read_parts(&r, err);
	free(r.copy);
	if (status == 0)
		return r.out;
	saved_free(r.out);
	return NULL;
}

void
saved_free(struct saved *saved)
{
	if (saved == NULL)
		return;
	setup_free(saved->setup);
	free(saved->slots);
	free(saved->children);
	free(saved->pool_children);
	free(saved->births);
	free(saved->keeps);
	free(saved);
}
