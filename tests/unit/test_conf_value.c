#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_value.h"

TestSuite(conf_value, .timeout = 10);

/* The text equals what was expected; it is freed. */
static void
is(char *text, const char *expected)
{
	cr_expect_str_eq(text, expected);
	free(text);
}

static int64_t
duration(const char *text)
{
	int64_t			 ms = -7;
	enum value_result	 r;

	r = value_parse_duration(text, 0, INT64_MAX, &ms);
	return r == VALUE_OK ? ms : r == VALUE_RANGE ? -2 : -1;
}

Test(conf_value, durations_have_units)
{
	cr_expect_eq(duration("0"), 0);
	cr_expect_eq(duration("0s"), 0);
	cr_expect_eq(duration("1ms"), 1);
	cr_expect_eq(duration("20s"), 20000);
	cr_expect_eq(duration("1m30s"), 90000);
	cr_expect_eq(duration("1d2h3m4s5ms"), 93784005);
	cr_expect_eq(duration("1m5ms"), 60005);
}

Test(conf_value, durations_that_are_none_are_bad)
{
	static const char *const	 bad[] = { "", "20", "s", "20x", "1.5s",
		"-1s", "1s1m", "1s1s", "1m 30s", "20S", "1ms1s", "1 s", "00" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(duration(bad[i]), -1, "%s", bad[i]);
}

Test(conf_value, durations_that_overflow_are_out_of_range)
{
	int64_t	 ms;

	cr_expect_eq(duration("99999999999999999999s"), -2);
	cr_expect_eq(duration("9223372036854775807d"), -2);
	cr_expect_eq(duration("106751991167d9223372036854775807ms"), -2);
	/* Wraps around twice: the sum would look like a fair one. */
	cr_expect_eq(duration("106751991167d2562047788015h153722867280912m"),
	    -2);
	cr_expect_eq(value_parse_duration("11s", 0, 10000, &ms), VALUE_RANGE);
}

Test(conf_value, durations_print_as_they_parse)
{
	static const char *const	 texts[] = { "0", "1ms", "20s", "1m30s",
		"1d2h3m4s5ms", "1000d", "1h1ms" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		is(value_print_duration(duration(texts[i])), texts[i]);
	is(value_print_duration(3600000), "1h");
}

static int64_t
size(const char *text)
{
	int64_t			 bytes = -7;
	enum value_result	 r;

	r = value_parse_size(text, 0, INT64_MAX, &bytes);
	return r == VALUE_OK ? bytes : r == VALUE_RANGE ? -2 : -1;
}

Test(conf_value, sizes_have_powers_of_1024)
{
	cr_expect_eq(size("0"), 0);
	cr_expect_eq(size("512"), 512);
	cr_expect_eq(size("64k"), 65536);
	cr_expect_eq(size("64K"), 65536);
	cr_expect_eq(size("2g"), INT64_C(2) << 30);
	cr_expect_eq(size("8589934592g"), -2);
	cr_expect_eq(size("99999999999999999999"), -2);
	cr_expect_eq(size(""), -1);
	cr_expect_eq(size("k"), -1);
	cr_expect_eq(size("1kb"), -1);
	cr_expect_eq(size("-1"), -1);
	is(value_print_size(size("64k")), "64k");
	is(value_print_size(size("1024k")), "1m");
	is(value_print_size(size("1025")), "1025");
	is(value_print_size(0), "0");
}

Test(conf_value, numbers_keep_to_their_range)
{
	int64_t	 n = 7;

	cr_expect_eq(value_parse_number("-20", -20, 19, &n), VALUE_OK);
	cr_expect_eq(n, -20);
	cr_expect_eq(value_parse_number("20", -20, 19, &n), VALUE_RANGE);
	cr_expect_eq(value_parse_number("-21", -20, 19, &n), VALUE_RANGE);
	cr_expect_eq(value_parse_number("9223372036854775808", 0, INT64_MAX,
	    &n), VALUE_RANGE);
	cr_expect_eq(value_parse_number("+1", 0, 9, &n), VALUE_BAD);
	cr_expect_eq(value_parse_number(" 1", 0, 9, &n), VALUE_BAD);
	cr_expect_eq(value_parse_number("1x", 0, 9, &n), VALUE_BAD);
	cr_expect_eq(value_parse_number("0x1", 0, 9, &n), VALUE_BAD);
	cr_expect_eq(value_parse_number("-", 0, 9, &n), VALUE_BAD);
	cr_expect_eq(value_parse_number("", 0, 9, &n), VALUE_BAD);
	cr_expect_eq(n, -20);
}

Test(conf_value, bools_are_words)
{
	bool	 b = false;

	cr_expect_eq(value_parse_bool("on", &b), VALUE_OK);
	cr_expect(b);
	cr_expect_eq(value_parse_bool("false", &b), VALUE_OK);
	cr_expect_not(b);
	cr_expect_eq(value_parse_bool("1", &b), VALUE_BAD);
	cr_expect_eq(value_parse_bool("", &b), VALUE_BAD);
	is(value_print_bool(true), "yes");
	is(value_print_bool(false), "no");
}

Test(conf_value, signals_have_names)
{
	int	 signo = 0;

	cr_expect_eq(value_parse_signal("TERM", &signo), VALUE_OK);
	cr_expect_eq(signo, SIGTERM);
	cr_expect_eq(value_parse_signal("sigusr1", &signo), VALUE_OK);
	cr_expect_eq(signo, SIGUSR1);
	cr_expect_eq(value_parse_signal("15", &signo), VALUE_BAD);
	cr_expect_eq(value_parse_signal("SIG", &signo), VALUE_BAD);
	cr_expect_eq(value_parse_signal("", &signo), VALUE_BAD);
	is(value_print_signal(SIGQUIT), "QUIT");
}

Test(conf_value, modes_are_octal)
{
	int	 mode = 0;

	cr_expect_eq(value_parse_mode("0666", 0777, &mode), VALUE_OK);
	cr_expect_eq(mode, 0666);
	cr_expect_eq(value_parse_mode("27", 0777, &mode), VALUE_OK);
	cr_expect_eq(mode, 027);
	cr_expect_eq(value_parse_mode("1777", 0777, &mode), VALUE_RANGE);
	cr_expect_eq(value_parse_mode("888", 0777, &mode), VALUE_BAD);
	cr_expect_eq(value_parse_mode("", 0777, &mode), VALUE_BAD);
	cr_expect_eq(value_parse_mode("00000000666", 0777, &mode), VALUE_BAD);
	is(value_print_mode(027), "0027");
}

Test(conf_value, exit_codes_are_a_list)
{
	int	*codes = NULL;
	size_t	 count = 9;

	cr_assert_eq(value_parse_codes("78, 100 101", &codes, &count),
	    VALUE_OK);
	cr_expect_eq(count, 3);
	cr_expect_eq(codes[2], 101);
	is(value_print_codes(codes, count), "78, 100, 101");
	free(codes);
	cr_assert_eq(value_parse_codes("none", &codes, &count), VALUE_OK);
	cr_expect_eq(count, 0);
	is(value_print_codes(codes, count), "none");
	free(codes);
	cr_expect_eq(value_parse_codes("256", &codes, &count), VALUE_RANGE);
	cr_expect_eq(value_parse_codes("1,x", &codes, &count), VALUE_BAD);
	cr_expect_eq(value_parse_codes("", &codes, &count), VALUE_BAD);
	cr_expect_eq(value_parse_codes(",", &codes, &count), VALUE_BAD);
}

Test(conf_value, surge_is_a_number_or_a_percent)
{
	struct conf_surge	 surge = { 0 };

	cr_expect_eq(value_parse_surge("25%", &surge), VALUE_OK);
	cr_expect(surge.percent);
	cr_expect_eq(surge.number, 25);
	is(value_print_surge(&surge), "25%");
	cr_expect_eq(value_parse_surge("3", &surge), VALUE_OK);
	cr_expect_not(surge.percent);
	is(value_print_surge(&surge), "3");
	cr_expect_eq(value_parse_surge("0", &surge), VALUE_RANGE);
	cr_expect_eq(value_parse_surge("101%", &surge), VALUE_RANGE);
	cr_expect_eq(value_parse_surge("%", &surge), VALUE_BAD);
	cr_expect_eq(value_parse_surge("", &surge), VALUE_BAD);
}

Test(conf_value, workers_are_a_number_or_auto)
{
	int	 n = 7;

	cr_expect_eq(value_parse_workers("auto", 1, 10000, &n), VALUE_OK);
	cr_expect_eq(n, 0);
	is(value_print_workers(n), "auto");
	cr_expect_eq(value_parse_workers("10000", 1, 10000, &n), VALUE_OK);
	cr_expect_eq(n, 10000);
	is(value_print_workers(n), "10000");
	cr_expect_eq(value_parse_workers("0", 1, 10000, &n), VALUE_RANGE);
	cr_expect_eq(value_parse_workers("10001", 1, 10000, &n), VALUE_RANGE);
	cr_expect_eq(value_parse_workers("x", 1, 10000, &n), VALUE_BAD);
}

Test(conf_value, cpus_are_any_auto_or_ranges)
{
	enum cpus_mode	 mode = CPUS_ANY;
	cpu_set_t	 cpus;

	cr_expect_eq(value_parse_cpus("0-3, 5,4", &mode, &cpus), VALUE_OK);
	cr_expect_eq(mode, CPUS_SET);
	cr_expect_eq(CPU_COUNT(&cpus), 6);
	is(value_print_cpus(mode, &cpus), "0-5");
	cr_expect_eq(value_parse_cpus("1023", &mode, &cpus), VALUE_OK);
	is(value_print_cpus(mode, &cpus), "1023");
	cr_expect_eq(value_parse_cpus("1024", &mode, &cpus), VALUE_RANGE);
	cr_expect_eq(value_parse_cpus("3-1", &mode, &cpus), VALUE_BAD);
	cr_expect_eq(value_parse_cpus("1-", &mode, &cpus), VALUE_BAD);
	cr_expect_eq(value_parse_cpus("1,", &mode, &cpus), VALUE_BAD);
	cr_expect_eq(value_parse_cpus("", &mode, &cpus), VALUE_BAD);
	is(value_print_cpus(mode, &cpus), "1023");
	cr_expect_eq(value_parse_cpus("auto", &mode, &cpus), VALUE_OK);
	is(value_print_cpus(mode, &cpus), "auto");
	cr_expect_eq(value_parse_cpus("any", &mode, &cpus), VALUE_OK);
	is(value_print_cpus(mode, &cpus), "any");
}

Test(conf_value, limits_are_soft_and_hard)
{
	struct conf_limit	 limit = { 0 };

	cr_expect_eq(value_parse_limit("1k:unlimited", &limit), VALUE_OK);
	cr_expect(limit.set);
	cr_expect_eq(limit.soft, 1024);
	cr_expect_eq(limit.hard, RLIM_INFINITY);
	is(value_print_limit(&limit), "1024:unlimited");
	cr_expect_eq(value_parse_limit("64", &limit), VALUE_OK);
	cr_expect_eq(limit.hard, 64);
	is(value_print_limit(&limit), "64");
	cr_expect_eq(value_parse_limit("unlimited", &limit), VALUE_OK);
	is(value_print_limit(&limit), "unlimited");
	cr_expect_eq(value_parse_limit("2:1", &limit), VALUE_RANGE);
	cr_expect_eq(value_parse_limit("unlimited:1", &limit), VALUE_RANGE);
	cr_expect_eq(value_parse_limit("99999999999g", &limit), VALUE_RANGE);
	cr_expect_eq(value_parse_limit("1:", &limit), VALUE_BAD);
	cr_expect_eq(value_parse_limit(":1", &limit), VALUE_BAD);
	cr_expect_eq(value_parse_limit("-1", &limit), VALUE_BAD);
}

Test(conf_value, environment_names_are_plain)
{
	cr_expect(value_env_name_ok("PATH"));
	cr_expect(value_env_name_ok("_a.b-1"));
	cr_expect_not(value_env_name_ok(""));
	cr_expect_not(value_env_name_ok("1A"));
	cr_expect_not(value_env_name_ok("A B"));
	cr_expect_not(value_env_name_ok("A[x]"));
}
