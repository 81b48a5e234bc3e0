#include <criterion/criterion.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "master/steer.h"

TestSuite(steer, .timeout = 20);

#define NO_SOCKET	UINT32_MAX

static struct sock_filter	code[STEER_PROGRAM_MAX];

/*
 * The kernel's classic BPF, as far as a steering program uses it; anything
 * else, a jump out of the program included, picks no socket.
 */
static uint32_t
run(size_t len, uint32_t random)
{
	uint32_t	 a = 0;

	for (size_t pc = 0; pc < len; pc++) {
		const struct sock_filter	*f = &code[pc];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f->k != (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM))
				return NO_SOCKET;
			a = random;
			break;
		case BPF_ALU | BPF_MOD | BPF_K:
			if (f->k == 0)
				return NO_SOCKET;
			a %= f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_RET | BPF_A:
			return a;
		default:
			return NO_SOCKET;
		}
	}
	return NO_SOCKET;
}

static int
ready_count(const bool *ready, int count)
{
	int	 n = 0;

	for (int i = 0; i < count; i++)
		n += ready[i];
	return n;
}

/* Each ready slot is drawn once in n numbers in a row, and no other one is. */
static void
expect_even(const bool *ready, int count)
{
	int		 n = ready_count(ready, count);
	size_t		 len = steer_program(ready, count, code,
			    STEER_PROGRAM_MAX);
	int		*hits = calloc((size_t)count, sizeof(*hits));
	uint32_t	 base, slot;

	cr_assert_gt(len, 0);
	base = UINT32_MAX / (uint32_t)n / 2 * (uint32_t)n;
	for (int i = 0; i < n; i++) {
		slot = run(len, base + (uint32_t)i);
		cr_assert_lt(slot, (uint32_t)count);
		cr_assert(ready[slot], "slot %u is not ready", slot);
		hits[slot]++;
	}
	for (int i = 0; i < count; i++)
		cr_assert_eq(hits[i], ready[i]);
	free(hits);
}

Test(steer, picks_every_ready_slot_evenly_whatever_the_holes)
{
	bool	 ready[10];

	for (unsigned int set = 1; set < 1U << 10; set++) {
		for (int i = 0; i < 10; i++)
			ready[i] = set >> i & 1;
		expect_even(ready, 10);
	}
}

Test(steer, picks_a_ready_slot_for_any_random_value)
{
	const bool	 ready[] = { false, true, false, true, true };
	size_t		 len = steer_program(ready, 5, code, STEER_PROGRAM_MAX);
	uint32_t	 edge[] = { 0, 1, 2, 3, INT32_MAX, UINT32_MAX,
			    UINT32_MAX - 1, UINT32_MAX - 2 };

	for (size_t i = 0; i < sizeof(edge) / sizeof(edge[0]); i++)
		cr_expect(ready[run(len, edge[i])]);
	for (uint32_t i = 0; i < 100000; i++)
		cr_assert(ready[run(len, i * 2654435761U)]);
}

Test(steer, needs_no_jump_when_the_first_slots_are_the_ready_ones)
{
	const bool	 ready[] = { true, true, true, false, false };

	cr_expect_eq(steer_program(ready, 5, code, STEER_PROGRAM_MAX), 3);
	expect_even(ready, 5);
}

Test(steer, makes_no_program_when_nobody_is_ready)
{
	const bool	 ready[] = { false, false };

	cr_expect_eq(steer_program(ready, 2, code, STEER_PROGRAM_MAX), 0);
	cr_expect_eq(steer_program(ready, 0, code, STEER_PROGRAM_MAX), 0);
	cr_expect_eq(steer_attach(-1, ready, 2), 0);
}

Test(steer, stays_within_the_room_it_is_given)
{
	const bool	 ready[] = { false, true, false, true };

	/* one hole: 0 stands for 3, and 1 for itself */
	cr_expect_eq(steer_program(ready, 4, code, 5), 5);
	cr_expect_eq(steer_program(ready, 4, code, 4), 0);
	cr_expect_eq(steer_program(ready, 4, code, 2), 0);
}

Test(steer, takes_as_many_holes_as_the_kernel_allows)
{
	int	 holes = STEER_HOLES_MAX;
	bool	*ready = calloc((size_t)holes * 2 + 2, sizeof(*ready));

	memset(ready + holes, true, (size_t)holes);
	cr_expect_eq(steer_program(ready, 2 * holes, code, STEER_PROGRAM_MAX),
	    STEER_PROGRAM_MAX);
	cr_expect_leq(STEER_PROGRAM_MAX, BPF_MAXINSNS);
	expect_even(ready, 2 * holes);

	memset(ready, false, (size_t)holes * 2);
	memset(ready + holes + 1, true, (size_t)holes + 1);
	cr_expect_eq(steer_program(ready, 2 * holes + 2, code,
	    STEER_PROGRAM_MAX), 0);
	errno = 0;
	cr_expect_eq(steer_attach(-1, ready, 2 * holes + 2), -1);
	cr_expect_eq(errno, E2BIG);
	free(ready);
}

Test(steer, never_meets_that_limit_with_2000_slots)
{
	bool	*ready = calloc(2000, sizeof(*ready));

	memset(ready + 1000, true, 1000);
	expect_even(ready, 2000);
	for (int i = 0; i < 2000; i++)
		ready[i] = i % 2;
	expect_even(ready, 2000);
	free(ready);
}
