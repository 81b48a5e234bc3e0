#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/keep.h"
#include "master/pack.h"
#include "master/saved.h"
#include "tests/unit/state_rig.h"

TestSuite(saved, .timeout = 60);

static struct err	 err;

static struct saved *
read_bytes(const void *bytes, size_t len)
{
	int		 fd = state_rig_fd(bytes, len);
	struct saved	*saved = saved_read(fd, 0, &err);

	close(fd);
	return saved;
}

static struct saved *
read_mirror(struct mirror *mirror)
{
	struct saved	*saved = saved_read(mirror_fd(mirror), getpid(), &err);

	cr_assert_not_null(saved, "%s", err.text);
	return saved;
}

static void
expect_rows(const struct saved *saved)
{
	int	 i;

	cr_assert(saved->has_pool);
	cr_expect_eq(saved->pool.target, 5);
	cr_expect_eq(saved->pool.generation, 2);
	cr_assert_eq(saved->nslots, 3);
	cr_assert_eq(saved->nchildren, 3);
	for (i = 0; i < 3; i++) {
		cr_expect_eq(saved->slots[i].nr, 2 * i);
		cr_expect_eq(saved->children[i].pool.cell, i);
		cr_expect_eq(saved->children[i].pool.pid, 100 + i);
		cr_expect_eq(saved->children[i].pool.slot, i);
		cr_expect_eq(saved->children[i].born_us, 1000 + i);
		cr_expect_eq(saved->children[i].mail_fd, 7);
		cr_expect_eq(saved->children[i].uid, 65534);
		cr_expect_eq(saved->children[i].program, 1);
	}
	cr_assert_eq(saved->nbirths, 1);
	cr_expect_eq(saved->births[0].cell, 5);
	cr_expect_eq(saved->births[0].slot, 4);
}

static void
expect_setup(const struct setup_saved *setup)
{
	cr_assert_not_null(setup);
	cr_expect_str_eq(setup->name, "web");
	cr_expect_str_eq(setup->path, "/usr/sbin/muster");
	cr_expect_str_eq(setup->folder, "/srv/site");
	cr_expect_eq(setup->master.exec_ms, 123456789);
	cr_expect_eq(setup->master.generation, 2);
	cr_expect_eq(setup->master.life_fds[1], 11);
	cr_assert_eq(setup->ngenerations, 2);
	cr_expect_str_eq(setup->generations[0].conf, "[pool]\nworkers = 2\n");
	cr_expect_eq(setup->generations[0].conf_len, 19);
	cr_assert_eq(setup->generations[0].nmembers, 2);
	cr_expect_eq(setup->generations[0].members[0].id, 4);
	cr_expect_str_eq(setup->generations[0].members[0].name, "web");
	cr_expect_str_empty(setup->generations[1].conf);
	cr_expect_eq(setup->generations[1].nmembers, 1);
	cr_assert_eq(setup->nlisteners, 2);
	cr_assert_eq(setup->listeners[0].nfds, 2);
	cr_expect_eq(setup->listeners[0].fds[1], 6);
	cr_expect_eq(setup->listeners[1].saved.id, 9);
}

Test(saved, is_what_was_mirrored)
{
	struct mirror	*mirror = state_rig_mirror();
	struct saved	*saved = read_mirror(mirror);

	expect_rows(saved);
	expect_setup(saved->setup);
	cr_expect_eq(saved->torn, 0);
	cr_expect_eq(saved->ncrashes, 0);
	saved_free(saved);
	mirror_free(mirror);
}

Test(saved, of_a_mirror_that_nothing_was_put_into_is_empty)
{
	struct mirror	*mirror = mirror_new(&err);
	struct saved	*saved = read_mirror(mirror);

	cr_expect_not(saved->has_pool);
	cr_expect_null(saved->setup);
	cr_expect_eq(saved->nslots + saved->nchildren + saved->nkeeps, 0);
	cr_expect_eq(saved->torn, 0);
	saved_free(saved);
	mirror_free(mirror);
}

Test(saved, a_state_of_another_process_is_refused)
{
	struct mirror	*mirror = state_rig_mirror();

	cr_expect_null(saved_read(mirror_fd(mirror), getppid(), &err));
	cr_expect_not_null(strstr(err.text, "of pid"), "%s", err.text);
	mirror_free(mirror);
}

/* ---- a crash in the middle of a store */

static struct state_half *
half_at(unsigned char *bytes, enum state_part part, int row, int half)
{
	const struct state_head		*head = (const void *)bytes;
	const struct state_region	*region = &head->regions[part];

	return (void *)(bytes + region->at + (size_t)row * region->row +
	    (size_t)half * region->row / 2);
}

Test(saved, of_a_torn_half_the_other_counts)
{
	struct mirror		*mirror = state_rig_mirror();
	struct pool_saved	 pool = { .target = 6 };
	unsigned char		*bytes;
	struct state_half	*half;
	struct saved		*saved;
	size_t			 len, at;
	int			 newer;

	mirror_pool(mirror, &pool);
	bytes = state_rig_bytes(mirror, &len);
	newer = half_at(bytes, STATE_POOL, 0, 0)->seq <
	    half_at(bytes, STATE_POOL, 0, 1)->seq;
	half = half_at(bytes, STATE_POOL, 0, newer);
	saved = read_bytes(bytes, len);
	cr_expect_eq(saved->pool.target, 6);
	saved_free(saved);
	/* Whichever byte of it was not written. */
	for (at = 0; at < sizeof(*half) + sizeof(pool); at++) {
		((unsigned char *)half)[at] ^= 0x55;
		saved = read_bytes(bytes, len);
		cr_assert_not_null(saved, "%s", err.text);
		cr_assert_eq(saved->pool.target, 5, "byte %zu", at);
		cr_assert_eq(saved->torn, 1, "byte %zu", at);
		saved_free(saved);
		((unsigned char *)half)[at] ^= 0x55;
	}
	free(bytes);
	mirror_free(mirror);
}

Test(saved, a_row_with_both_halves_torn_is_not_there)
{
	struct mirror	*mirror = state_rig_mirror();
	size_t		 len;
	unsigned char	*bytes = state_rig_bytes(mirror, &len);
	struct saved	*saved;

	half_at(bytes, STATE_CHILDREN, 1, 0)->sum ^= 1;
	saved = read_bytes(bytes, len);
	cr_assert_not_null(saved, "%s", err.text);
	cr_expect_eq(saved->nchildren, 2);
	cr_expect_eq(saved->torn, 1);
	saved_free(saved);
	free(bytes);
	mirror_free(mirror);
}

/* ---- other versions */

Test(saved, rows_of_a_newer_version_are_longer)
{
	struct mirror	*mirror = state_rig_mirror();
	size_t		 len, longer_len;
	unsigned char	*bytes = state_rig_bytes(mirror, &len);
	unsigned char	*longer = state_rig_resize(bytes, 24, &longer_len);
	struct saved	*saved = read_bytes(longer, longer_len);

	cr_assert_not_null(saved, "%s", err.text);
	expect_rows(saved);
	cr_expect_eq(saved->children[2].pool.since_ms, INT64_C(1) << 40);
	cr_expect_eq(saved->torn, 0);
	saved_free(saved);
	free(bytes);
	free(longer);
	mirror_free(mirror);
}

Test(saved, what_rows_of_an_older_version_lack_is_zero)
{
	struct mirror		*mirror = state_rig_mirror();
	struct child_row	 child = state_rig_child(0, 100);
	struct saved		*saved;
	unsigned char		*bytes, *shorter;
	size_t			 len, shorter_len;

	memset((char *)(&child.pool + 1) - 8, 0x77, 8);
	mirror_child(mirror, &child);
	bytes = state_rig_bytes(mirror, &len);
	shorter = state_rig_resize(bytes, -8, &shorter_len);
	saved = read_bytes(shorter, shorter_len);
	cr_assert_not_null(saved, "%s", err.text);
	expect_rows(saved);
	cr_expect_eq(memcmp((char *)(&saved->pool_children[0] + 1) - 8,
	    "\0\0\0\0\0\0\0\0", 8), 0);
	cr_expect_eq(saved->torn, 0);
	saved_free(saved);
	free(bytes);
	free(shorter);
	mirror_free(mirror);
}

Test(saved, regions_of_a_newer_version_are_left_alone)
{
	struct mirror		*mirror = state_rig_mirror();
	size_t			 len;
	unsigned char		*bytes = state_rig_bytes(mirror, &len);
	struct state_head	*head = (void *)bytes;
	struct state_region	*more = &head->regions[STATE_PARTS];
	struct saved		*saved;

	*more = (struct state_region){ UINT64_MAX, UINT32_MAX, UINT32_MAX };
	head->nregions++;
	head->len += (uint32_t)sizeof(*more);
	state_head_seal(head);
	saved = read_bytes(bytes, len);
	cr_assert_not_null(saved, "%s", err.text);
	expect_rows(saved);
	saved_free(saved);
	free(bytes);
	mirror_free(mirror);
}

Test(saved, regions_that_an_older_version_lacks_are_empty)
{
	struct mirror		*mirror = state_rig_mirror();
	size_t			 len;
	unsigned char		*bytes = state_rig_bytes(mirror, &len);
	struct state_head	*head = (void *)bytes;
	struct saved		*saved;

	head->nregions--;
	head->len -= (uint32_t)sizeof(head->regions[0]);
	state_head_seal(head);
	saved = read_bytes(bytes, len);
	cr_assert_not_null(saved, "%s", err.text);
	cr_expect_eq(saved->nchildren, 0);
	cr_expect_eq(saved->nslots, 3);
	saved_free(saved);
	free(bytes);
	mirror_free(mirror);
}

Test(saved, another_format_is_refused)
{
	struct mirror		*mirror = state_rig_mirror();
	size_t			 len;
	unsigned char		*bytes = state_rig_bytes(mirror, &len);
	struct state_head	*head = (void *)bytes;

	head->version = STATE_NEWEST + 1;
	state_head_seal(head);
	cr_expect_null(read_bytes(bytes, len));
	cr_expect_str_eq(err.text, "the state is of version 2, not 1 to 1");
	free(bytes);
	mirror_free(mirror);
}

/* ---- hostile bytes */

static void
expect_refused(unsigned char *bytes, size_t len, const char *what)
{
	state_head_seal((void *)bytes);
	cr_expect_null(read_bytes(bytes, len), "%s", what);
	cr_expect_str_not_empty(err.text);
}

Test(saved, a_head_that_lies_is_refused)
{
	struct mirror		*mirror = state_rig_mirror();
	size_t			 len;
	unsigned char		*bytes = state_rig_bytes(mirror, &len);
	struct state_head	*head = (void *)bytes, good = *head;
	int			 nr;

	for (nr = 0; nr < STATE_PARTS; nr++) {
		head->regions[nr].at = UINT64_MAX - 15;
		expect_refused(bytes, len, "far outside");
		*head = good;
		head->regions[nr].at += 4;
		expect_refused(bytes, len, "not aligned");
		*head = good;
		head->regions[nr].count = UINT32_MAX;
		expect_refused(bytes, len, "too many rows");
		*head = good;
		head->regions[nr].row += 4;
		expect_refused(bytes, len, "odd rows");
		*head = good;
	}
	head->size *= 2;
	expect_refused(bytes, len, "larger than the file");
	*head = good;
	head->len = 8;
	expect_refused(bytes, len, "a short head");
	*head = good;
	head->pid++;		/* without a new sum */
	cr_expect_null(read_bytes(bytes, len));
	*head = good;
	for (len = 0; len < sizeof(*head); len += 13)
		cr_expect_null(read_bytes(bytes, len));
	free(bytes);
	mirror_free(mirror);
}

Test(saved, what_is_no_file_is_refused)
{
	int	 ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_expect_null(saved_read(ends[0], 0, &err));
	cr_expect_null(saved_read(-1, 0, &err));
	close(ends[0]);
	cr_expect_null(saved_read(ends[0], 0, &err));
}

/*
 * A smaller state, sums mended: what gets past them must still be in range.
 */
static void
check_range(const struct saved *saved)
{
	size_t	 i;

	for (i = 0; i < saved->nchildren; i++)
		cr_assert(saved->children[i].pool.pid > 0 &&
		    saved->children[i].pool.cell >= 0 &&
		    saved->children[i].pool.cell < MIRROR_CELLS);
	for (i = 0; i < saved->nslots; i++)
		cr_assert(saved->slots[i].nr >= 0 &&
		    saved->slots[i].nr < MIRROR_SLOTS);
	for (i = 0; i < saved->nkeeps; i++)
		cr_assert(saved->keeps[i].fd < KEEP_MAX &&
		    saved->keeps[i].kind < KEEP_KINDS);
	for (i = 0; i < saved->ncrashes; i++)
		cr_assert_leq(saved->crashes[i].nframes, CRASH_FRAMES);
}

Test(saved, random_damage_never_hurts)
{
	struct mirror	*mirror = state_rig_mirror();
	size_t		 len, small_len, at;
	unsigned char	*bytes = state_rig_bytes(mirror, &len);
	unsigned char	*small = state_rig_resize(bytes, 0, &small_len), *hurt;
	struct saved	*saved;
	unsigned	 round, n, read = 0;

	hurt = xcalloc(small_len, 1);
	srandom(4711);
	for (round = 0; round < 5000; round++) {
		memcpy(hurt, small, small_len);
		for (n = 1 + (unsigned)random() % 8; n > 0; n--) {
			at = (size_t)random() % (round % 2 == 0 ? small_len :
			    sizeof(struct state_head));
			hurt[at] = (unsigned char)random();
		}
		if (round % 3 != 0 && ((struct state_head *)(void *)
		    hurt)->nregions == STATE_PARTS)
			state_head_seal((void *)hurt);
		if ((saved = read_bytes(hurt, small_len)) == NULL)
			continue;
		read++;
		check_range(saved);
		saved_free(saved);
	}
	cr_expect_gt(read, 500, "the damage has to get past the head");
	free(hurt);
	free(small);
	free(bytes);
	mirror_free(mirror);
}

/* ---- the setup */

static unsigned char *
some_setup(size_t *len)
{
	struct mirror		*mirror = state_rig_mirror();
	struct saved		*saved = read_mirror(mirror);
	unsigned char		*bytes = setup_write(saved->setup, len);

	saved_free(saved);
	mirror_free(mirror);
	return bytes;
}

Test(saved, a_setup_cut_off_anywhere_is_refused_or_whole)
{
	size_t			 len, cut;
	unsigned char		*bytes = some_setup(&len), *exact;
	struct setup_saved	*setup;

	for (cut = 0; cut < len; cut++) {
		exact = xcalloc(cut + 1, 1);
		memcpy(exact, bytes, cut);
		setup = setup_read(exact, cut, &err);
		setup_free(setup);
		free(exact);
	}
	setup = setup_read(bytes, len, &err);
	cr_assert_not_null(setup, "%s", err.text);
	expect_setup(setup);
	setup_free(setup);
	free(bytes);
}

Test(saved, fields_that_are_not_known_are_skipped)
{
	size_t			 len;
	struct pack		 pack = { 0 };
	struct setup_saved	*setup;

	pack.data = some_setup(&len);
	pack.len = pack.room = len;
	pack_put(&pack, 4000, "new", 3);
	pack_text(&pack, 4001, "newer");
	setup = setup_read(pack.data, pack.len, &err);
	cr_assert_not_null(setup, "%s", err.text);
	expect_setup(setup);
	setup_free(setup);
	free(pack.data);
}

Test(saved, a_setup_that_contradicts_itself_is_refused)
{
	struct setup_member	 member = { 5, "x" };
	struct setup_generation	 generations[2] = {
		{ 1, (char *)"", 0, &member, 1 }, { 1, (char *)"", 0, NULL, 0 },
	};
	struct setup_saved	 setup = { .generations = generations,
				    .ngenerations = 1 };
	unsigned char		*bytes;
	size_t			 len;

	bytes = setup_write(&setup, &len);
	cr_expect_null(setup_read(bytes, len, &err));
	cr_expect_str_eq(err.text, "generation 1 of the setup names a "
	    "listener that is not there");
	free(bytes);
	generations[0].nmembers = 0;
	setup.ngenerations = 2;
	bytes = setup_write(&setup, &len);
	cr_expect_null(setup_read(bytes, len, &err));
	cr_expect_str_eq(err.text, "the setup has generation 1 twice");
	free(bytes);
}
