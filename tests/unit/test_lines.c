#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "worker/lines.h"

TestSuite(lines, .timeout = 30);

/*
 * A reader as an app has one: it keeps what was left over, and answers with
 * what it kept and what was used.
 */
struct reader {
	struct lines_rule	 rule;
	char			 held[512], answer[512];
	size_t			 nheld, nanswer, count;
	enum lines_end		 end;
};

static struct reader
reader(size_t max, const char *fault)
{
	struct reader	 r = { 0 };

	r.rule.max = max;
	r.rule.fault = fault;
	r.rule.fault_len = fault != NULL ? strlen(fault) : 0;
	return r;
}

/* What is behind data must not be looked at: it is given in its own block. */
static void
feed(struct reader *r, const char *data, size_t len)
{
	struct lines_cut	 cut;
	char			*copy = malloc(len + (len == 0));

	memcpy(copy, data, len);
	lines_cut(&r->rule, r->held, r->nheld, copy, len, &cut);
	if (cut.count > 0) {
		memcpy(r->answer + r->nanswer, r->held, r->nheld);
		r->nanswer += r->nheld;
		memcpy(r->answer + r->nanswer, copy, cut.used);
		r->nanswer += cut.used;
		r->nheld = 0;
	}
	r->count += cut.count;
	r->end = cut.end;
	memcpy(r->held + r->nheld, copy + cut.used, len - cut.used);
	r->nheld += len - cut.used;
	free(copy);
}

static void
feed_text(struct reader *r, const char *text)
{
	feed(r, text, strlen(text));
}

static void
expect(const struct reader *r, const char *answer, size_t len, size_t count,
    enum lines_end end)
{
	cr_expect_eq(r->count, count, "%zu lines, not %zu", r->count, count);
	cr_expect_eq(r->end, end, "ended with %d, not %d", (int)r->end,
	    (int)end);
	cr_expect(r->nanswer == len && memcmp(r->answer, answer, len) == 0,
	    "answered %zu bytes, not %zu, or others", r->nanswer, len);
}

static void
expect_text(const struct reader *r, const char *answer, size_t count,
    enum lines_end end)
{
	expect(r, answer, strlen(answer), count, end);
}

Test(lines, come_back_with_the_ending_they_had)
{
	struct reader	 r = reader(100, NULL);

	feed_text(&r, "a\nb\r\n\n\r\nrest");
	expect_text(&r, "a\nb\r\n\n\r\n", 4, LINES_MORE);
	cr_expect_eq(r.nheld, 4);
}

Test(lines, nothing_is_nothing)
{
	struct reader	 r = reader(100, NULL);

	feed(&r, "", 0);
	expect_text(&r, "", 0, LINES_MORE);
	feed_text(&r, "abc");
	feed(&r, "", 0);
	expect_text(&r, "", 0, LINES_MORE);
	cr_expect_eq(r.nheld, 3);
}

Test(lines, may_hold_any_byte)
{
	static const char	 data[] = "\0\n\0\0\r\n\xff\x80\r\r\nx\0y\n";
	struct reader		 r = reader(100, NULL);

	feed(&r, data, sizeof(data) - 1);
	expect(&r, data, sizeof(data) - 1, 4, LINES_MORE);
}

Test(lines, are_put_together_however_they_were_cut)
{
	static const char	 data[] = "first\r\nsecond\n\r\n\nlast\r\n";
	size_t			 len = sizeof(data) - 1, i, j;
	struct reader		 r;

	for (i = 0; i <= len; i++) {
		for (j = i; j <= len; j++) {
			r = reader(6, NULL);
			feed(&r, data, i);
			feed(&r, data + i, j - i);
			feed(&r, data + j, len - j);
			expect(&r, data, len, 5, LINES_MORE);
		}
	}
}

Test(lines, are_put_together_from_single_bytes)
{
	static const char	 data[] = "first\r\nsecond\n\r\n\nlast\r\n";
	struct reader		 r = reader(6, NULL);
	size_t			 i;

	for (i = 0; i < sizeof(data) - 1; i++)
		feed(&r, data + i, 1);
	expect(&r, data, sizeof(data) - 1, 5, LINES_MORE);
}

Test(lines, of_exactly_max_are_not_too_long)
{
	struct reader	 r = reader(5, NULL);

	feed_text(&r, "12345\n12345\r\n");
	expect_text(&r, "12345\n12345\r\n", 2, LINES_MORE);
}

Test(lines, of_one_more_are_too_long_and_the_earlier_are_answered)
{
	struct reader	 r = reader(5, NULL);

	feed_text(&r, "1234\n123456\n1\n");
	expect_text(&r, "1234\n", 1, LINES_LONG);
	r = reader(5, NULL);
	feed_text(&r, "1234\r\n123456\r\n1\n");
	expect_text(&r, "1234\r\n", 1, LINES_LONG);
}

Test(lines, are_too_long_before_their_end_is_seen)
{
	struct reader	 r = reader(5, NULL);

	feed_text(&r, "12345");
	expect_text(&r, "", 0, LINES_MORE);
	feed_text(&r, "6");
	expect_text(&r, "", 0, LINES_LONG);
}

/* At the limit a CR may be the ending's: only the next byte tells. */
Test(lines, a_cr_at_the_limit_waits_for_what_follows)
{
	struct reader	 r = reader(5, NULL);

	feed_text(&r, "12345\r");
	expect_text(&r, "", 0, LINES_MORE);
	feed_text(&r, "\n");
	expect_text(&r, "12345\r\n", 1, LINES_MORE);
	feed_text(&r, "12345\r");
	cr_expect_eq(r.end, LINES_MORE);
	feed_text(&r, "x");
	cr_expect_eq(r.end, LINES_LONG);
	r = reader(5, NULL);
	feed_text(&r, "12345\r");
	feed_text(&r, "\r");
	cr_expect_eq(r.end, LINES_LONG);
}

Test(lines, a_cr_inside_or_twice_is_text)
{
	struct reader	 r = reader(5, NULL);

	feed_text(&r, "1\r3\r5\n1234\r\r\n");
	expect_text(&r, "1\r3\r5\n1234\r\r\n", 2, LINES_MORE);
	feed_text(&r, "12345\r\r\n");
	cr_expect_eq(r.end, LINES_LONG);
}

Test(lines, the_fault_word_must_be_the_whole_line)
{
	struct reader	 r = reader(100, "boom");

	feed_text(&r, "boo\nbooms\n boom\nBOOM\nboom \n\nboom\r\r\n");
	expect_text(&r, "boo\nbooms\n boom\nBOOM\nboom \n\nboom\r\r\n", 7,
	    LINES_MORE);
	feed_text(&r, "boom");
	cr_expect_eq(r.end, LINES_MORE);
	feed_text(&r, "s\n");
	cr_expect_eq(r.end, LINES_MORE);
}

Test(lines, the_fault_word_is_found_however_it_was_cut)
{
	static const char *const data[] = { "ok\nboom\n", "ok\nboom\r\n" };
	size_t			 i, k, len;
	struct reader		 r;

	for (k = 0; k < 2; k++) {
		len = strlen(data[k]);
		for (i = 0; i < len; i++) {
			r = reader(100, "boom");
			feed(&r, data[k], i);
			cr_expect_eq(r.end, LINES_MORE);
			feed(&r, data[k] + i, len - i);
			expect_text(&r, "ok\n", 1, LINES_FAULT);
		}
	}
}

Test(lines, too_long_is_judged_before_the_fault_word)
{
	struct reader	 r = reader(3, "boom");

	feed_text(&r, "boom\n");
	expect_text(&r, "", 0, LINES_LONG);
}

/* The same by the book, a byte at a time, over the whole input. */
static void
model(const char *data, size_t len, size_t max, struct reader *out)
{
	size_t	 i, start = 0, text;

	*out = reader(max, NULL);
	for (i = 0; i < len; i++) {
		text = i - start;
		if (data[i] != '\n') {
			if (text + 1 - (data[i] == '\r') > max)
				out->end = LINES_LONG;
			if (out->end == LINES_LONG)
				return;
			continue;
		}
		memcpy(out->answer + start, data + start, i + 1 - start);
		out->nanswer = i + 1;
		out->count++;
		start = i + 1;
	}
}

static bool
agrees(const char *data, size_t len, size_t cut, const struct reader *want)
{
	struct reader	 got = reader(want->rule.max, NULL);

	feed(&got, data, cut);
	if (got.end == LINES_MORE)
		feed(&got, data + cut, len - cut);
	return got.end == want->end && got.count == want->count &&
	    got.nanswer == want->nanswer &&
	    memcmp(got.answer, want->answer, want->nanswer) == 0;
}

/* Every text of up to seven of these bytes, cut in two at every position. */
Test(lines, agree_with_the_book)
{
	static const char	 bytes[] = { 'a', '\r', '\n', '\0' };
	char			 data[7];
	struct reader		 want;
	size_t			 len, n, i, max, cut, wrong = 0;

	for (len = 0; len <= 7; len++) {
		for (n = 0; n < (size_t)1 << 2 * len; n++) {
			for (i = 0; i < len; i++)
				data[i] = bytes[n >> 2 * i & 3];
			max = 1 + n % 3;
			model(data, len, max, &want);
			for (cut = 0; cut <= len; cut++)
				wrong += !agrees(data, len, cut, &want);
		}
	}
	cr_expect_eq(wrong, 0, "%zu texts were cut wrongly", wrong);
}
