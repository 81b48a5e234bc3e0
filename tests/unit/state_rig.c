#include "tests/unit/state_rig.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/keep.h"
#include "master/sigq.h"

struct child_row
state_rig_child(int cell, int pid)
{
	struct child_row	 row = { .born_us = 1000 + cell, .mail_fd = 7,
				    .out_fd = -1, .uid = 65534, .program = 1 };

	row.pool.pid = pid;
	row.pool.slot = cell;
	row.pool.generation = 2;
	row.pool.cell = cell;
	row.pool.since_ms = INT64_C(1) << 40;
	return row;
}

static void
put_setup(struct mirror *mirror)
{
	struct setup_member	 members[] = { { 4, "web" }, { 9, "" } };
	struct setup_generation	 generations[] = {
		{ 1, (char *)"[pool]\nworkers = 2\n", 19, members, 2 },
		{ 2, (char *)"", 0, members, 1 },
	};
	int32_t			 fds[] = { 5, 6 };
	struct setup_listener	 listeners[2] = {
		{ .fds = fds, .nfds = 2 }, { .nfds = 0 },
	};
	struct setup_saved	 setup = { .name = (char *)"web",
		.path = (char *)"/usr/sbin/muster",
		.folder = (char *)"/srv/site",
		.generations = generations, .ngenerations = 2,
		.listeners = listeners, .nlisteners = 2 };

	listeners[0].saved.id = 4;
	listeners[0].saved.nfds = 2;
	listeners[1].saved.id = 9;
	setup.master.exec_ms = 123456789;
	setup.master.generation = 2;
	setup.master.life_fds[1] = 11;
	mirror_setup(mirror, &setup);
}

struct mirror *
state_rig_mirror(void)
{
	struct err		 err;
	struct mirror		*mirror = mirror_new(&err);
	struct pool_saved	 pool = { .target = 5, .generation = 2 };
	struct slot_saved	 slot = { .failures = 3 };
	struct child_row	 child;
	int			 i;

	cr_assert_not_null(mirror, "%s", err.text);
	for (i = 0; i < 3; i++) {
		slot.nr = 2 * i;
		mirror_slot(mirror, &slot);
		child = state_rig_child(i, 100 + i);
		mirror_child(mirror, &child);
	}
	mirror_birth(mirror, 5, 4, 2, 0);
	put_setup(mirror);
	mirror_pool(mirror, &pool);
	cr_assert_eq(mirror_lost(mirror), 0);
	return mirror;
}

unsigned char *
state_rig_bytes(const struct mirror *mirror, size_t *len)
{
	struct stat	 st;
	unsigned char	*bytes;

	cr_assert_eq(fstat(mirror_fd(mirror), &st), 0);
	*len = (size_t)st.st_size;
	bytes = xcalloc(*len, 1);
	cr_assert_eq(pread(mirror_fd(mirror), bytes, *len, 0), (ssize_t)*len);
	return bytes;
}

int
state_rig_fd(const void *bytes, size_t len)
{
	int	 fd = memfd_create("state-test", MFD_CLOEXEC);

	cr_assert_neq(fd, -1);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

/* ---- rows of another version */

/* A half with its last part longer or shorter. */
static void
resize_half(unsigned char *to, const struct state_half *from, int by)
{
	unsigned char		 last[4096];
	struct state_bytes	 parts[2];
	int			 nr = from->len[1] > 0 ? 1 : 0;
	size_t			 len = from->len[nr];

	if (from->seq == 0)
		return;
	parts[0] = (struct state_bytes){ state_half_part(from, 0),
	    from->len[0] };
	parts[1] = (struct state_bytes){ state_half_part(from, 1),
	    from->len[1] };
	cr_assert_leq(len + 64, sizeof(last));
	memset(last, 0xee, sizeof(last));
	memcpy(last, parts[nr].data, len);
	/* A birth has but these two words, in every version. */
	if (len > 2 * sizeof(int32_t))
		parts[nr] = (struct state_bytes){ last,
		    (size_t)((long)len + by) };
	state_half_write((void *)to, from->seq, parts);
}

static void
resize_row(unsigned char *to, size_t to_row, const unsigned char *from,
    size_t from_row, bool halves, int by)
{
	int	 i;

	if (!halves) {
		memset(to, 0xee, to_row);
		memcpy(to, from, to_row < from_row ? to_row : from_row);
		return;
	}
	for (i = 0; i < 2; i++)
		resize_half(to + (size_t)i * to_row / 2,
		    state_half(from, from_row, i), by);
}

unsigned char *
state_rig_resize(const unsigned char *bytes, int by, size_t *len)
{
	struct state_head	 head;
	const struct state_head	*old = (const void *)bytes;
	unsigned char		*out;
	const unsigned char	*from;
	uint64_t		 at = STATE_HEAD_MAX, to;
	uint32_t		 i;
	int			 nr;

	head = *old;
	for (nr = 0; nr < STATE_PARTS; nr++) {
		bool	 resized = nr == STATE_POOL || nr >= STATE_KEEPS;

		if (nr == STATE_SETUP)
			head.regions[nr] = (struct state_region){ 0 };
		if (head.regions[nr].count > 64)
			head.regions[nr].count = 64;
		if (resized)
			head.regions[nr].row = (uint32_t)((long)
			    head.regions[nr].row + (nr == STATE_KEEPS ? by :
			    2 * by));
		head.regions[nr].at = at;
		at += (uint64_t)head.regions[nr].row *
		    head.regions[nr].count;
		at = (at + 15) / 16 * 16;
	}
	head.size = at;
	state_head_seal(&head);
	out = xcalloc(at, 1);
	memcpy(out, &head, sizeof(head));
	for (nr = 0; nr < STATE_PARTS; nr++)
		for (i = 0; i < head.regions[nr].count; i++) {
			from = bytes + old->regions[nr].at +
			    (size_t)i * old->regions[nr].row;
			to = head.regions[nr].at +
			    (uint64_t)i * head.regions[nr].row;
			resize_row(out + to, head.regions[nr].row, from,
			    old->regions[nr].row, nr == STATE_POOL ||
			    nr == STATE_SLOTS || nr == STATE_CHILDREN, by);
		}
	*len = at;
	return out;
}
