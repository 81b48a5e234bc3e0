#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "master/tail.h"

TestSuite(tail, .timeout = 10);

static struct tail	 tail;
static char		 seen[1 << 17];

static void
on_line(void *arg, const char *line, size_t len)
{
	(void)arg;
	snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%.*s|",
	    (int)len, line);
}

/* The lines, each with a "|" behind it. */
static const char *
lines(size_t count, size_t max)
{
	size_t	 n, bars = 0;

	seen[0] = '\0';
	n = tail_lines(&tail, count, max, on_line, NULL);
	for (const char *p = seen; (p = strchr(p, '|')) != NULL; p++)
		bars++;
	cr_expect_eq(n, bars);
	return seen;
}

static void
add(const char *text)
{
	tail_add(&tail, text, strlen(text));
}

Test(tail, nothing_has_no_lines_and_takes_no_memory)
{
	cr_expect_str_eq(lines(50, 100), "");
	add("");
	cr_expect_str_eq(lines(50, 100), "");
	cr_expect_eq(tail.size, 0);
}

Test(tail, lines_come_oldest_first)
{
	add("one\ntwo\n");
	add("three\n");
	cr_expect_str_eq(lines(50, 100), "one|two|three|");
	cr_expect_str_eq(lines(2, 100), "two|three|");
	cr_expect_str_eq(lines(1, 100), "three|");
	tail_free(&tail);
	cr_expect_str_eq(lines(1, 100), "");
}

Test(tail, an_unfinished_line_is_one)
{
	add("one\ntw");
	cr_expect_str_eq(lines(50, 100), "one|tw|");
	cr_expect_str_eq(lines(1, 100), "tw|");
	add("o");
	cr_expect_str_eq(lines(1, 100), "two|");
	tail_free(&tail);
}

Test(tail, line_ends_of_all_kinds_and_empty_lines)
{
	add("one\r\n\r\n\n\rtwo\r\r\nthree\r");
	cr_expect_str_eq(lines(50, 100), "one|||\rtwo\r|three\r|");
	tail_free(&tail);
}

Test(tail, a_long_line_is_cut)
{
	add("abcdefgh\r\nx\n");
	cr_expect_str_eq(lines(50, 3), "abc|x|");
	cr_expect_str_eq(lines(50, 8), "abcdefgh|x|");
	tail_free(&tail);
}

Test(tail, only_the_end_is_kept_and_no_half_line)
{
	char	 line[32], want[32];
	int	 i;

	for (i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		add(line);
		cr_assert_leq(tail.size, (size_t)TAIL_MAX);
	}
	cr_expect_str_eq(lines(2, 100), "line 99998|line 99999|");
	lines(100000, 100);
	cr_expect_eq(strncmp(seen, "line ", 5), 0, "%.20s", seen);
	i = 100000 - TAIL_MAX / 11;	/* "line 99999\n" */
	snprintf(want, sizeof(want), "line %d|", i);
	cr_expect_eq(strncmp(seen, want, strlen(want)), 0, "%.20s", seen);
	tail_free(&tail);
}

Test(tail, of_a_line_longer_than_memory_the_end_is_left)
{
	static char	 big[3 * TAIL_MAX];

	memset(big, 'x', sizeof(big));
	tail_add(&tail, big, sizeof(big));
	tail_add(&tail, big, 5);
	cr_expect_eq(strlen(lines(50, TAIL_MAX)), TAIL_MAX + 1);
	cr_expect_str_eq(lines(50, 4), "xxxx|");
	add("\n");
	cr_expect_str_eq(lines(50, 4), "xxxx|");
	add("y\n");
	cr_expect_str_eq(lines(50, 4), "y|");
	tail_free(&tail);
}

Test(tail, any_cutting_into_pieces_gives_the_same)
{
	static char	 text[40000], once[1 << 17];
	size_t		 i, step, len;

	for (i = 0; i < sizeof(text); i++)
		text[i] = i * i % 37 == 0 ? '\n' : (char)('a' + i % 26);
	tail_add(&tail, text, sizeof(text));
	strcpy(once, lines(100000, TAIL_MAX));
	tail_free(&tail);
	for (step = 1; step < sizeof(text); step = step * 3 + 1) {
		for (i = 0; i < sizeof(text); i += len) {
			len = sizeof(text) - i < step ? sizeof(text) - i :
			    step;
			tail_add(&tail, text + i, len);
		}
		cr_expect_str_eq(lines(100000, TAIL_MAX), once, "%zu", step);
		tail_free(&tail);
	}
}
