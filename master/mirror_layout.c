#include <string.h>
#include <unistd.h>

#include "master/crash.h"
#include "master/keep.h"
#include "master/mirror_priv.h"
#include "master/options.h"
#include "master/sigq.h"

#define SETUP_MAX	((size_t)4 << 20)

static uint32_t
row_of(size_t first, size_t second)
{
	return (uint32_t)(2 * state_half_size(first, second));
}

static size_t
to_step(size_t at)
{
	return (at + MIRROR_STEP - 1) / MIRROR_STEP * MIRROR_STEP;
}

static void
lay_out(struct state_head *head)
{
	const struct state_region	 parts[STATE_PARTS] = {
		[STATE_POOL] = { 0, row_of(sizeof(struct pool_saved),
		    sizeof(struct sigq_noted)), 1 },
		[STATE_SIGNALS] = { 0, sizeof(struct sigq_counters), 1 },
		[STATE_CRASHES] = { 0, STATE_CRASH_ROW, CRASHES },
		[STATE_SETUP] = { 0, row_of(SETUP_MAX, 0), 1 },
		[STATE_KEEPS] = { 0, sizeof(struct keep_row), KEEP_MAX },
		[STATE_SLOTS] = { 0, row_of(sizeof(struct slot_saved), 0),
		    MIRROR_SLOTS },
		[STATE_CHILDREN] = { 0, row_of(MIRROR_SHELL,
		    sizeof(struct child_saved)), MIRROR_CELLS },
	};
	size_t		 end = STATE_HEAD_MAX;
	int		 nr;

	for (nr = 0; nr < STATE_PARTS; nr++) {
		/* The small ones share the first step with the head. */
		if (nr >= STATE_SETUP)
			end = to_step(end);
		head->regions[nr] = parts[nr];
		head->regions[nr].at = end;
		end += (size_t)parts[nr].row * parts[nr].count;
	}
	head->size = to_step(end);
}

void
mirror_layout(struct state_head *head)
{
	memset(head, 0, sizeof(*head));
	head->magic = STATE_MAGIC;
	head->version = STATE_VERSION;
	head->len = sizeof(*head);
	head->pid = getpid();
	head->nregions = STATE_PARTS;
	strncpy(head->program, MUSTER_VERSION, sizeof(head->program) - 1);
	lay_out(head);
	state_head_seal(head);
}

_Static_assert(sizeof(struct keep_row) % 8 == 0 &&
    sizeof(struct sigq_counters) % 8 == 0, "rows have to be aligned");
