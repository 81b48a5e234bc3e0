#include "master/mirror.h"

#include <sys/mman.h>
#include <sys/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "master/crash.h"
#include "master/keep.h"
#include "master/mirror_priv.h"
#include "master/sigq.h"
#include "master/state.h"

struct mirror {
	int			 fd;
	unsigned char		*at;		/* mapped, size bytes */
	size_t			 size;
	struct state_head	 head;		/* a copy of what is there */
	unsigned char		*backed;	/* owned; a byte per step */
	uint64_t		 turn;		/* that is being written */
	bool			 changed;	/* in it */
	uint64_t		 lost;
};

/* ---- memory: a store to a hole in the file could raise BUS */

static int
back(struct mirror *m, size_t offset, size_t len)
{
	size_t	 step = offset / MIRROR_STEP;
	size_t	 end = (offset + len - 1) / MIRROR_STEP;

	for (; step <= end; step++) {
		if (m->backed[step])
			continue;
		while (fallocate(m->fd, 0, (off_t)(step * MIRROR_STEP),
		    (off_t)MIRROR_STEP) == -1)
			if (errno != EINTR)
				return -1;
		m->backed[step] = 1;
	}
	return 0;
}

/* Told once: what cannot be stored now is tried again with the next change. */
static void
lose(struct mirror *m, const char *what)
{
	if (m->lost++ == 0)
		log_event(EV_STATE_NOTE, log_str("msg", what),
		    log_errno());
}

/* ---- life */

static int
map(struct mirror *m, struct err *err)
{
	if (ftruncate(m->fd, (off_t)m->head.size) == -1 ||
	    fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == -1)
		return err_sys(err, "cannot prepare the state");
	m->at = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    m->fd, 0);
	if (m->at == MAP_FAILED) {
		m->at = NULL;
		return err_sys(err, "cannot map the state");
	}
	/* A worker that could reach it could rewrite its own master. */
	if (madvise(m->at, m->size, MADV_DONTFORK) == -1 ||
	    back(m, 0, STATE_HEAD_MAX) == -1 ||
	    back(m, m->head.regions[STATE_SIGNALS].at,
	    m->head.regions[STATE_SIGNALS].row) == -1 ||
	    back(m, m->head.regions[STATE_CRASHES].at, (size_t)CRASHES *
	    STATE_CRASH_ROW) == -1)
		return err_sys(err, "cannot prepare the state");
	memcpy(m->at, &m->head, sizeof(m->head));
	return 0;
}

struct mirror *
mirror_new(struct err *err)
{
	struct mirror	*m = xcalloc(1, sizeof(*m));

	m->turn = 1;
	mirror_layout(&m->head);
	m->size = m->head.size;
	m->backed = xcalloc(m->size / MIRROR_STEP, 1);
	m->fd = memfd_create("muster-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd == -1)
		err_sys(err, "cannot create the state");
	if (m->fd == -1 || map(m, err) == -1) {
		mirror_free(m);
		return NULL;
	}
	return m;
}

void
mirror_free(struct mirror *m)
{
	if (m == NULL)
		return;
	if (m->at != NULL)
		munmap(m->at, m->size);
	if (m->fd != -1)
		close(m->fd);
	free(m->backed);
	free(m);
}

int
mirror_fd(const struct mirror *m)
{
	return m->fd;
}

uint64_t
mirror_lost(const struct mirror *m)
{
	return m->lost;
}

void
mirror_forgive(struct mirror *m)
{
	m->lost = 0;
}

/* ---- rows */

static const struct state_bytes	 nothing[2];

static bool
same_part(const struct state_half *half, int nr,
    const struct state_bytes *part)
{
	return half->len[nr] == part->len && (part->len == 0 ||
	    memcmp(state_half_part(half, nr), part->data, part->len) == 0);
}

/*
 * The half to write, at least len bytes of it backed: the one that this turn
 * has written already, so that the other stays as the turn before left it,
 * else the older. NULL with errno, or with *same if that is what is there.
 * errno is left alone else: between two forks its page would have to be
 * copied anew.
 */
static struct state_half *
next_half(struct mirror *m, size_t offset, size_t row, size_t len,
    const struct state_bytes parts[2], bool anyway, bool *same)
{
	const struct state_half	*now = NULL;
	unsigned		 torn = 0;
	int			 newest;

	*same = false;
	if (back(m, offset, sizeof(*now)) == -1 ||
	    back(m, offset + row / 2, sizeof(*now)) == -1)
		return NULL;
	newest = state_newest(m->at + offset, row, UINT64_MAX, &torn);
	if (newest != -1) {
		now = state_half(m->at + offset, row, newest);
		*same = !anyway && same_part(now, 0, &parts[0]) &&
		    same_part(now, 1, &parts[1]);
		if (*same)
			return NULL;
	}
	if ((newest == 0) != (now != NULL && now->seq == m->turn))
		offset += row / 2;
	if (back(m, offset, len) == -1)
		return NULL;
	return (struct state_half *)(void *)(m->at + offset);
}

/* True: it is there, and was not before. */
static bool
put(struct mirror *m, enum state_part part, int nr, const char *what,
    const struct state_bytes parts[2])
{
	const struct state_region	*region = &m->head.regions[part];
	struct state_half		*half;
	size_t				 len;
	bool				 same;

	len = state_half_size(parts[0].len, parts[1].len);
	if (nr < 0 || (uint32_t)nr >= region->count || len > region->row / 2) {
		errno = ENOSPC;
		lose(m, what);
		return false;
	}
	half = next_half(m, region->at + (size_t)nr * region->row,
	    region->row, len, parts, part == STATE_POOL && m->changed,
	    &same);
	if (half != NULL)
		state_half_write(half, m->turn, parts);
	else if (!same)
		lose(m, what);
	m->changed |= half != NULL;
	return half != NULL;
}

/* The last row of a turn: from here on all that the turn wrote counts. */
void
mirror_pool(struct mirror *m, const struct pool_saved *pool)
{
	struct sigq_noted		 noted;
	const struct state_bytes	 parts[2] = {
		{ pool, sizeof(*pool) }, { &noted, sizeof(noted) } };

	sigq_noted(&noted);
	if (put(m, STATE_POOL, 0, "the pool cannot be mirrored", parts)) {
		m->turn++;
		m->changed = false;
	}
}

void
mirror_slot(struct mirror *m, const struct slot_saved *row)
{
	const struct state_bytes	 parts[2] = { { row, sizeof(*row) },
					    { NULL, 0 } };

	put(m, STATE_SLOTS, row->nr, "a slot cannot be mirrored", parts);
}

/* struct birth_saved without its cell. */
void
mirror_birth(struct mirror *m, int cell, int slot, int generation, pid_t pid)
{
	const int32_t			 birth[3] = { slot, generation,
					    (int32_t)pid };
	const struct state_bytes	 parts[2] = { { birth, sizeof(birth) },
					    { NULL, 0 } };

	put(m, STATE_CHILDREN, cell, "a fork cannot be mirrored", parts);
}

void
mirror_child(struct mirror *m, const struct child_row *child)
{
	const struct state_bytes	 parts[2] = { { child, MIRROR_SHELL },
		{ &child->pool, sizeof(child->pool) } };

	put(m, STATE_CHILDREN, child->pool.cell, "a worker cannot be mirrored",
	    parts);
}

void
mirror_child_gone(struct mirror *m, int cell)
{
	put(m, STATE_CHILDREN, cell, "an end cannot be mirrored", nothing);
}

void
mirror_setup(struct mirror *m, const struct setup_saved *setup)
{
	struct state_bytes	 parts[2] = { { NULL, 0 }, { NULL, 0 } };
	unsigned char		*bytes = setup_write(setup, &parts[0].len);

	parts[0].data = bytes;
	put(m, STATE_SETUP, 0, "the setup cannot be mirrored", parts);
	free(bytes);
}

/* ---- what others keep in it */

struct sigq_counters *
mirror_signals(struct mirror *m)
{
	return (void *)(m->at + m->head.regions[STATE_SIGNALS].at);
}

struct keep_row *
mirror_keeps(struct mirror *m)
{
	return (void *)(m->at + m->head.regions[STATE_KEEPS].at);
}

int
mirror_keep_room(struct mirror *m, int fd)
{
	const struct state_region	*region = &m->head.regions[STATE_KEEPS];

	return back(m, region->at + (size_t)fd * region->row, region->row);
}

off_t
mirror_crash_at(const struct mirror *m)
{
	return (off_t)m->head.regions[STATE_CRASHES].at;
}

_Static_assert(sizeof(struct crash_saved) <= STATE_CRASH_DATA,
    "a crash has to fit into its row");

void
mirror_crashes(struct mirror *m, const struct crash_saved *crashes,
    size_t count)
{
	struct state_crash	 row;
	unsigned char		*at = m->at + mirror_crash_at(m);
	size_t			 i;

	/* Where the handler would have put them, so that it goes on there. */
	for (i = 0; i < count; i++) {
		state_crash_write(&row, &crashes[i], sizeof(crashes[i]));
		memcpy(at + crashes[i].nr % CRASHES * sizeof(row), &row,
		    sizeof(row));
	}
}

/* ---- a copy */

static int
write_whole(int fd, const unsigned char *from, size_t len, off_t at)
{
	ssize_t	 n;

	while (len > 0) {
		if ((n = pwrite(fd, from, len, at)) == -1)
			return -1;
		from += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Only what has memory: the rest are holes in both. */
static int
copy_steps(const struct mirror *m, int fd)
{
	size_t	 step;

	for (step = 0; step < m->size / MIRROR_STEP; step++)
		if (m->backed[step] && write_whole(fd, m->at + step * MIRROR_STEP,
		    MIRROR_STEP, (off_t)(step * MIRROR_STEP)) == -1)
			return -1;
	return 0;
}

int
mirror_copy(const struct mirror *m, struct err *err)
{
	int	 fd, saved;

	fd = memfd_create("muster-state-copy", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);
	if (fd == -1)
		return err_sys(err, "cannot copy the state");
	if (ftruncate(fd, (off_t)m->size) == 0 && copy_steps(m, fd) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return err_sys(err, "cannot copy the state");
}
