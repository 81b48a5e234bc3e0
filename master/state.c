#include "master/state.h"

#include <string.h>

#define ALIGN8(n)	(((n) + 7) & ~(size_t)7)

/* FNV-1a, eight bytes at a time: against accidents, not against forgers. */
uint32_t
state_sum(const void *data, size_t len, uint32_t seed)
{
	const unsigned char	*at = data;
	uint64_t		 sum = UINT64_C(14695981039346656037) ^ seed;
	uint64_t		 word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum = (sum ^ word) * UINT64_C(1099511628211);
		sum ^= sum >> 29;
	}
	for (; len > 0; at++, len--)
		sum = (sum ^ *at) * UINT64_C(1099511628211);
	return (uint32_t)(sum ^ sum >> 32);
}

size_t
state_half_size(size_t first, size_t second)
{
	return sizeof(struct state_half) + ALIGN8(first) + ALIGN8(second);
}

const unsigned char *
state_half_part(const struct state_half *half, int nr)
{
	return (const unsigned char *)(half + 1) +
	    (nr == 0 ? 0 : ALIGN8((size_t)half->len[0]));
}

static uint32_t
half_sum(const struct state_half *half)
{
	struct state_half	 head = *half;

	head.sum = 0;
	return state_sum(half + 1, ALIGN8((size_t)half->len[0]) +
	    half->len[1], state_sum(&head, sizeof(head), 0));
}

void
state_half_write(struct state_half *half, uint64_t seq,
    const struct state_bytes parts[2])
{
	unsigned char	*at = (unsigned char *)(half + 1);
	size_t		 gap = ALIGN8(parts[0].len) - parts[0].len;

	/* In any order: until the sum fits, the other half is the newest. */
	half->seq = seq;
	half->spare = 0;
	half->len[0] = (uint32_t)parts[0].len;
	half->len[1] = (uint32_t)parts[1].len;
	if (parts[0].len > 0)
		memcpy(at, parts[0].data, parts[0].len);
	memset(at + parts[0].len, 0, gap);
	if (parts[1].len > 0)
		memcpy(at + parts[0].len + gap, parts[1].data, parts[1].len);
	half->sum = half_sum(half);
}

const struct state_half *
state_half(const unsigned char *row, size_t len, int nr)
{
	return (const struct state_half *)(const void *)(row +
	    (nr == 0 ? 0 : len / 2));
}

static bool
whole(const struct state_half *half, size_t size)
{
	size_t	 room = size - sizeof(*half);

	if (half->seq == 0 || half->len[0] > room || half->len[1] > room)
		return false;
	/* Both are below the size of a row now: nothing overflows. */
	if (ALIGN8((size_t)half->len[0]) + half->len[1] > room)
		return false;
	return half->sum == half_sum(half);
}

static bool
untouched(const struct state_half *half)
{
	return half->seq == 0 && half->sum == 0 && half->len[0] == 0 &&
	    half->len[1] == 0;
}

int
state_newest(const unsigned char *row, size_t len, uint64_t most,
    unsigned *torn)
{
	const struct state_half	*half;
	uint64_t		 seq = 0;
	int			 nr, newest = -1;

	for (nr = 0; nr < 2; nr++) {
		half = state_half(row, len, nr);
		if (!whole(half, len / 2))
			*torn += untouched(half) ? 0 : 1;
		else if (half->seq > seq && half->seq <= most) {
			seq = half->seq;
			newest = nr;
		}
	}
	return newest;
}

void
state_fit(void *to, size_t size, const void *from, size_t len)
{
	size_t	 common = len < size ? len : size;

	if (common > 0)
		memcpy(to, from, common);
	memset((unsigned char *)to + common, 0, size - common);
}

void
state_crash_write(struct state_crash *row, const void *data, size_t len)
{
	memset(row, 0, sizeof(*row));
	memcpy(row->data, data, len);
	row->len = (uint32_t)len;
	row->sum = state_sum(row->data, sizeof(row->data), row->len);
}

bool
state_crash_whole(const struct state_crash *row)
{
	return row->len > 0 && row->len <= sizeof(row->data) &&
	    row->sum == state_sum(row->data, sizeof(row->data), row->len);
}

/* ---- the head */

/* Of the fixed beginning and as many regions as the head says it has. */
static uint32_t
head_sum(const struct state_head *head, const void *regions, size_t len)
{
	struct state_head	 copy = *head;

	copy.sum = 0;
	return state_sum(regions, len, state_sum(&copy,
	    offsetof(struct state_head, regions), 0));
}

void
state_head_seal(struct state_head *head)
{
	head->sum = head_sum(head, head->regions,
	    head->nregions * sizeof(head->regions[0]));
}

static int
check_region(const struct state_region *region, int nr, uint64_t size,
    struct err *err)
{
	uint64_t	 bytes = (uint64_t)region->row * region->count;
	bool		 halves = nr == STATE_POOL || nr == STATE_SETUP ||
			    nr == STATE_SLOTS || nr == STATE_CHILDREN;

	if (region->count == 0)		/* of a version that lacks it */
		return 0;
	if (region->at > size || bytes > size - region->at)
		return err_set(err, "region %d of the state is outside it", nr);
	/* Rows, and halves of them, are read where they lie: aligned. */
	if (region->at % 16 != 0 || region->row % (halves ? 16 : 8) != 0 ||
	    (halves && region->row < 2 * sizeof(struct state_half)))
		return err_set(err, "rows of region %d of the state are odd",
		    nr);
	return 0;
}

static int
check_regions(const struct state_head *head, struct err *err)
{
	int	 nr;

	for (nr = 0; nr < STATE_PARTS; nr++)
		if (check_region(&head->regions[nr], nr, head->size, err) ==
		    -1)
			return -1;
	return 0;
}

int
state_head_read(struct state_head *out, const void *data, size_t len,
    uint64_t size, struct err *err)
{
	const size_t		 fixed = offsetof(struct state_head, regions);
	const unsigned char	*regions = (const unsigned char *)data + fixed;
	size_t			 bytes;

	memset(out, 0, sizeof(*out));
	if (len < fixed)
		return err_set(err, "the state is too short");
	memcpy(out, data, fixed);
	if (out->magic != STATE_MAGIC)
		return err_set(err, "it is no state of a master");
	if (out->version < STATE_OLDEST || out->version > STATE_NEWEST)
		return err_set(err, "the state is of version %u, not %d to %d",
		    out->version, STATE_OLDEST, STATE_NEWEST);
	if (out->nregions > STATE_REGIONS_MAX || out->size != size ||
	    size > STATE_SIZE_MAX)
		return err_set(err, "the state's head makes no sense");
	bytes = out->nregions * sizeof(out->regions[0]);
	if (out->len != fixed + bytes || out->len > len)
		return err_set(err, "the state's head is cut off");
	if (out->sum != head_sum(out, regions, bytes))
		return err_set(err, "the state's head is damaged");
	state_fit(out->regions, sizeof(out->regions), regions, bytes);
	out->program[sizeof(out->program) - 1] = '\0';
	return check_regions(out, err);
}
