#include <criterion/criterion.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/notify.h"

TestSuite(notify, .timeout = 10);

static struct notify
parse(const char *text)
{
	struct notify	 n;

	notify_parse(text, strlen(text), &n);
	return n;
}

Test(notify, nothing_says_nothing)
{
	struct notify	 n;

	memset(&n, 0xff, sizeof(n));
	notify_parse("", 0, &n);
	cr_expect(!n.ready && !n.stopping && !n.retire);
	cr_expect_null(n.log);
	cr_expect_eq(n.log_len, 0);
}

Test(notify, each_key_is_understood)
{
	cr_expect(parse("READY=1").ready);
	cr_expect(parse("READY=1\n").ready);
	cr_expect(parse("STOPPING=1").stopping);
	cr_expect(parse("MUSTER_RETIRE=max_requests").retire);
}

static void
expect_status(const char *text, const char *status)
{
	struct notify	 n = parse(text);

	cr_assert_not_null(n.status, "%s", text);
	cr_assert_eq(n.status_len, strlen(status), "%s", text);
	cr_expect_eq(memcmp(n.status, status, n.status_len), 0, "%s", text);
}

Test(notify, what_programs_say_is_understood)
{
	cr_expect(parse("RELOADING=1\nMONOTONIC_USEC=5").reloading);
	cr_expect(parse("BARRIER=1").barrier);
	cr_expect_eq(parse("WATCHDOG=1").watchdog, NOTIFY_WATCHDOG_ALIVE);
	cr_expect_eq(parse("WATCHDOG=trigger").watchdog,
	    NOTIFY_WATCHDOG_TRIGGER);
	cr_expect_eq(parse("WATCHDOG_USEC=3000000").watchdog_us, 3000000);
	cr_expect_eq(parse("EXTEND_TIMEOUT_USEC=1").extend_us, 1);
	cr_expect_eq(parse("ERRNO=2").error, 2);
	cr_expect_eq(parse("MAINPID=712").main_pid, 712);
	expect_status("STATUS=at it = 50%", "at it = 50%");
	expect_status("READY=1\nSTATUS=", "");
	cr_expect_null(parse("FDSTORE=1\nFDNAME=STATUS=x").status);
}

Test(notify, the_last_value_of_a_key_wins)
{
	expect_status("STATUS=a\nREADY=1\nSTATUS=b", "b");
	cr_expect_eq(parse("WATCHDOG=trigger\nWATCHDOG=1").watchdog,
	    NOTIFY_WATCHDOG_ALIVE);
	cr_expect_eq(parse("ERRNO=1\nERRNO=2\nERRNO=x\nERRNO=").error, 2);
	cr_expect_eq(parse("MAINPID=5\nMAINPID=6").main_pid, 6);
}

Test(notify, numbers_are_bounded)
{
	static const char *const	 none[] = { "", "0", "000", "-1", "+1",
					    " 1", "1 ", "1.5", "0x1", "1s",
					    "infinity" };
	char				 text[100];

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%s", none[i]);
		cr_expect_eq(parse(text).extend_us, 0, "%s", text);
		snprintf(text, sizeof(text), "MAINPID=%s", none[i]);
		cr_expect_eq(parse(text).main_pid, 0, "%s", text);
	}
	cr_expect_eq(parse("WATCHDOG_USEC=1000000000000000").watchdog_us,
	    NOTIFY_US_MAX);
	cr_expect_eq(parse("WATCHDOG_USEC=999999999999999").watchdog_us,
	    NOTIFY_US_MAX - 1);
	cr_expect_eq(parse("EXTEND_TIMEOUT_USEC=18446744073709551615")
	    .extend_us, NOTIFY_US_MAX);
	cr_expect_eq(parse("EXTEND_TIMEOUT_USEC=9999999999999999999999999999"
	    "9999999999999999999999999").extend_us, NOTIFY_US_MAX);
	cr_expect_eq(parse("ERRNO=99999999999").error, INT_MAX);
	cr_expect_eq(parse("EXTEND_TIMEOUT_USEC=00000000000000000000000000007")
	    .extend_us, 7);
}

Test(notify, one_key_says_nothing_of_the_others)
{
	cr_expect(!parse("READY=1").stopping && !parse("READY=1").retire);
	cr_expect(!parse("STOPPING=1").ready);
	cr_expect(!parse("MUSTER_RETIRE=x").ready);
	cr_expect_null(parse("READY=1").log);
}

Test(notify, several_lines_come_in_one_message)
{
	struct notify	 n = parse("STATUS=fine\nREADY=1\n\nSTOPPING=1\n");

	cr_expect(n.ready);
	cr_expect(n.stopping);
}

Test(notify, what_is_nearly_right_is_skipped)
{
	cr_expect(!parse("READY=0").ready);
	cr_expect(!parse("READY=11").ready);
	cr_expect(!parse("READY=").ready);
	cr_expect(!parse("ready=1").ready);
	cr_expect(!parse(" READY=1").ready);
	cr_expect(!parse("XREADY=1").ready);
	cr_expect(!parse("STOPPING=1 ").stopping);
	cr_expect_eq(parse("WATCHDOG=2").watchdog, NOTIFY_WATCHDOG_NONE);
	cr_expect_eq(parse("WATCHDOG=triggered").watchdog,
	    NOTIFY_WATCHDOG_NONE);
	cr_expect_null(parse("STATUS").status);
	cr_expect_null(parse("MUSTER_LOG=").log);
	cr_expect(!parse("BARRIER=0").barrier);
	cr_expect(!parse("MUSTER_RETIRE=").retire);
	cr_expect(!parse("MUSTER_RETIRE").retire);
}

Test(notify, a_log_line_is_the_rest_of_its_line)
{
	struct notify	 n = parse("MUSTER_LOG=warn a=b READY=1\nREADY=1");

	cr_assert_not_null(n.log);
	cr_assert_eq(n.log_len, strlen("warn a=b READY=1"));
	cr_expect_eq(memcmp(n.log, "warn a=b READY=1", n.log_len), 0);
	cr_expect(n.ready);
	cr_expect(!parse("MUSTER_LOG=info READY=1").ready);
}

Test(notify, nul_bytes_end_nothing)
{
	static const char	 text[] = "a\0b\nMUSTER_LOG=x\0y\nREADY=1";
	struct notify		 n;

	notify_parse(text, sizeof(text) - 1, &n);
	cr_expect(n.ready);
	cr_assert_eq(n.log_len, 3);
	cr_expect_eq(memcmp(n.log, "x\0y", 3), 0);
	notify_parse("READY=1\0", 8, &n);
	cr_expect(!n.ready);
}

/* The message is a copy of its exact size, so that a sanitizer sees a slip. */
static int
parse_copy(const char *text, size_t len)
{
	char		*copy = malloc(len > 0 ? len : 1);
	struct notify	 n;
	int		 wrong;

	memcpy(copy, text, len);
	notify_parse(copy, len, &n);
	wrong = n.log != NULL &&
	    (n.log < copy || n.log + n.log_len > copy + len);
	free(copy);
	return wrong;
}

Test(notify, any_bytes_of_any_length_are_survived)
{
	static const char	 seed[] = "READY=1\nMUSTER_LOG=info x\n"
				    "STOPPING=1\nMUSTER_RETIRE=a";
	char			 text[sizeof(seed)];
	uint32_t		 state = 1;
	int			 round, wrong = 0;
	size_t			 i;

	for (round = 0; round < 20000; round++) {
		memcpy(text, seed, sizeof(seed));
		for (i = 0; i < 3; i++) {
			state = state * 1664525 + 1013904223;
			text[(state >> 8) % (sizeof(seed) - 1)] =
			    (char)(state >> 24);
		}
		wrong += parse_copy(text, state % sizeof(seed));
	}
	cr_expect_eq(wrong, 0);
}
