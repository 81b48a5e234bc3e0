#include <sys/mman.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/saved.h"
#include "master/state.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t	LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t	LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
	    unsigned seed);
int	LLVMFuzzerInitialize(int *argc, char ***argv);

/*
 * The input is a state of few rows. Sums are mended after each mutation, as
 * otherwise nothing but they would be tested.
 */
#define ROWS	4

static void
mend_halves(uint8_t *data, size_t size, const struct state_region *region)
{
	struct state_half	*half;
	struct state_bytes	 parts[2];
	uint64_t		 i, len = region->row / 2, at = region->at;
	static uint8_t		 copy[1 << 16];

	for (i = 0; i < 2 * (uint64_t)region->count; i++, at += len) {
		if (at > size || len > size - at || at % 8 != 0 ||
		    len < sizeof(*half) || len > sizeof(copy))
			return;
		half = (void *)(data + at);
		len = region->row / 2;
		if (half->seq == 0 || half->len[0] > len ||
		    half->len[1] > len || state_half_size(half->len[0],
		    half->len[1]) > len)
			continue;
		memcpy(copy, half, len);
		half = (void *)copy;
		parts[0] = (struct state_bytes){ state_half_part(half, 0),
		    half->len[0] };
		parts[1] = (struct state_bytes){ state_half_part(half, 1),
		    half->len[1] };
		state_half_write((void *)(data + at), half->seq, parts);
	}
}

static void
mend(uint8_t *data, size_t size)
{
	static const int	 halves[] = { STATE_POOL, STATE_SETUP,
				    STATE_SLOTS, STATE_CHILDREN };
	struct state_head	*head = (void *)data;
	size_t			 i;

	if (size < sizeof(*head))
		return;
	head->magic = STATE_MAGIC;
	head->size = size;
	if (head->nregions <= STATE_PARTS) {
		head->len = (uint32_t)(offsetof(struct state_head, regions) +
		    head->nregions * sizeof(head->regions[0]));
		state_head_seal(head);
	}
	for (i = 0; i < sizeof(halves) / sizeof(halves[0]); i++)
		mend_halves(data, size, &head->regions[halves[i]]);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	/* Some stay torn. */
	if (seed % 8 != 0)
		mend(data, size);
	return size;
}

static void
check(const struct saved *saved)
{
	size_t	 i;

	for (i = 0; i < saved->nchildren; i++)
		if (saved->children[i].pool.pid <= 0 ||
		    saved->children[i].pool.cell < 0)
			abort();
	for (i = 0; i < saved->nkeeps; i++)
		if (saved->keeps[i].kind <= KEEP_NONE ||
		    saved->keeps[i].kind >= KEEP_KINDS)
			abort();
	for (i = 0; i < saved->ncrashes; i++)
		if (saved->crashes[i].nframes > CRASH_FRAMES)
			abort();
}

/* A setup that can be read can be written, and is the same then. */
static void
check_setup(const struct setup_saved *setup)
{
	struct setup_saved	*again;
	struct err		 err;
	unsigned char		*first, *second;
	size_t			 len, len2;

	first = setup_write(setup, &len);
	if ((again = setup_read(first, len, &err)) == NULL)
		abort();
	second = setup_write(again, &len2);
	if (len != len2 || memcmp(first, second, len) != 0)
		abort();
	setup_free(again);
	free(first);
	free(second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct saved	*saved;
	struct err	 err;
	int		 fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	err.text[0] = '\0';
	saved = saved_read(fd, 0, &err);
	close(fd);
	if (saved == NULL) {
		if (*err.text == '\0' || strchr(err.text, '\n') != NULL)
			abort();
		return 0;
	}
	check(saved);
	if (saved->setup != NULL)
		check_setup(saved->setup);
	saved_free(saved);
	return 0;
}

/* ---- the first input: a mirror with its regions cut to a few rows */

static void
fill(struct mirror *mirror)
{
	int32_t			 fds[2] = { 5, 6 };
	struct setup_member	 members[] = { { 4, "web" } };
	struct setup_generation	 generation = { 1,
				    (char *)"[pool]\nworkers = 2\n", 19,
				    members, 1 };
	struct setup_listener	 listener = { .fds = fds, .nfds = 2 };
	struct setup_saved	 setup = { .name = (char *)"web",
		.generations = &generation, .ngenerations = 1,
		.listeners = &listener, .nlisteners = 1 };
	struct pool_saved	 pool = { .target = 2 };
	struct slot_saved	 slot = { .nr = 1 };
	struct child_row	 child = { .born_us = 1 };
	struct crash_saved	 crash = { .nr = 1, .signal = 11 };

	listener.saved.id = 4;
	listener.saved.nfds = 2;
	child.pool.pid = 100;
	child.pool.cell = 1;
	mirror_pool(mirror, &pool);
	mirror_slot(mirror, &slot);
	mirror_child(mirror, &child);
	mirror_birth(mirror, 2, 0, 1, 0);
	mirror_setup(mirror, &setup);
	mirror_crashes(mirror, &crash, 1);
}

static size_t
cut(uint8_t *out, size_t room, const uint8_t *in)
{
	const struct state_head	*old = (const void *)in;
	struct state_head	 head = *old;
	size_t			 at = (sizeof(head) + 15) / 16 * 16, bytes;
	int			 nr;

	memset(out, 0, room);
	for (nr = 0; nr < STATE_PARTS; nr++) {
		if (head.regions[nr].count > ROWS)
			head.regions[nr].count = ROWS;
		/* Its halves are large: the first one is the whole row here. */
		if (nr == STATE_SETUP)
			head.regions[nr].row = 2 * 2048;
		bytes = (size_t)head.regions[nr].row * head.regions[nr].count;
		if (at + bytes > room)
			abort();
		memcpy(out + at, in + old->regions[nr].at,
		    nr == STATE_SETUP ? bytes / 2 : bytes);
		head.regions[nr].at = at;
		at = (at + bytes + 15) / 16 * 16;
	}
	head.size = at;
	state_head_seal(&head);
	memcpy(out, &head, sizeof(head));
	return at;
}

/* FUZZ_SEED=FILE writes that, as a corpus to begin with. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static uint8_t	 seed[65536];
	const char	*path = getenv("FUZZ_SEED");
	struct mirror	*mirror;
	struct err	 err;
	uint8_t		*at;
	FILE		*f;
	size_t		 len;

	(void)argc;
	(void)argv;
	if (path == NULL)
		return 0;
	if ((mirror = mirror_new(&err)) == NULL)
		abort();
	fill(mirror);
	at = mmap(NULL, STATE_SIZE_MAX, PROT_READ, MAP_SHARED,
	    mirror_fd(mirror), 0);
	len = cut(seed, sizeof(seed), at);
	if (LLVMFuzzerTestOneInput(seed, len) != 0 ||
	    (f = fopen(path, "w")) == NULL || fwrite(seed, len, 1, f) != 1)
		abort();
	fclose(f);
	mirror_free(mirror);
	return 0;
}
