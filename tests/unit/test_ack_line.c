#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "master/ack_line.h"

TestSuite(ack_line, .timeout = 10);

static bool
ready(const char *line)
{
	return ack_line(line, strlen(line));
}

Test(ack_line, json_is_understood_however_it_is_spaced)
{
	static const char *const	 lines[] = {
		"{\"command\":\"worker:ack\",\"pid\":712}",
		"{\"pid\":712,\"command\":\"worker:ack\"}",
		"  { \"command\" : \"worker:ack\" ,\t\"pid\" : 712 } \r",
		"{\"command\":\"worker:ack\",\"pid\":1,\"v\":-1.5e3}",
		"{\"id\":\"x\",\"t\":true,\"pid\":1,\"command\":\"worker:ack\"}",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect(ready(lines[i]), "%s", lines[i]);
}

Test(ack_line, what_einhorns_library_sends_is_understood)
{
	cr_expect(ready("---%0Acommand: worker:ack%0Apid: 712%0A"));
	cr_expect(ready("--- %0Apid: 712%0Acommand: worker:ack%0A"));
	cr_expect(ready("---%0Acommand: worker:ack%0Apid: 712"));
}

Test(ack_line, what_is_nearly_right_is_not)
{
	static const char *const	 lines[] = { "", "{", "{}", "---", "%0A",
		"{\"command\":\"worker:ack\"}", "{\"pid\":712}",
		"{\"command\":\"worker:ack\",\"pid\":\"712\"}",
		"{\"command\":\"worker:ack\",\"pid\":-712}",
		"{\"command\":\"worker:ack\",\"pid\":7.5}",
		"{\"command\":\"worker:ack\",\"pid\":}",
		"{\"command\":\"worker:ack\",\"pid\":12345678901}",
		"{\"command\":worker,\"pid\":712}",
		"{\"command\":\"worker:ack\",\"pid\":712",
		"{\"command\":\"worker:ack\",\"pid\":712},",
		"{\"command\":\"worker:ack\",\"pid\":712}}",
		"{\"command\":\"worker:ack\",\"pid\":712,}",
		"{\"command\":\"worker:ack\" \"pid\":712}",
		"{\"command\":\"worker:ack\",\"command\":\"x\",\"pid\":712}",
		"{\"command\":\"worker:ac\\u006b\",\"pid\":712}",
		"{\"command\":\"worker:ackk\",\"pid\":712}",
		"{\"x\":{\"command\":\"worker:ack\",\"pid\":712}}",
		"[\"command\",\"worker:ack\",\"pid\",712]",
		"\"command\":\"worker:ack\",\"pid\":712",
		"command: worker:ack%0Apid: 712%0A",
		"---%0Acommand: worker:ack%0Apid: x%0A",
		"---%0Acommand: worker:ack%0A", "---%0Apid: 712%0A",
		"---%0Acommand:worker:ack%0Apid:712%0A",
		"---%0A- command: worker:ack%0A  pid: 712%0A" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_not(ready(lines[i]), "%s", lines[i]);
}

Test(ack_line, nul_bytes_end_nothing)
{
	static const char	 line[] = "{\"command\":\"worker:ack\",\"pid\":7}\0";

	cr_expect(ack_line(line, sizeof(line) - 2));
	cr_expect_not(ack_line(line, sizeof(line) - 1));
	cr_expect_not(ack_line("{\0\"command\":\"worker:ack\",\"pid\":7}", 34));
}

/* Copies of the exact size, so that a sanitizer sees a slip. */
Test(ack_line, any_bytes_of_any_length_are_survived)
{
	static const char	 seeds[2][48] = {
		"{\"command\":\"worker:ack\",\"pid\":712}",
		"---%0Acommand: worker:ack%0Apid: 712%0A" };
	uint32_t		 state = 1;
	int			 round, i;
	size_t			 len;
	char			*copy;

	for (round = 0; round < 20000; round++) {
		len = (size_t)round % 41;
		copy = malloc(len + (len == 0));
		memcpy(copy, seeds[round & 1], len);
		for (i = 0; i < round % 3 && len > 0; i++) {
			state = state * 1664525 + 1013904223;
			copy[(state >> 8) % len] = (char)(state >> 24);
		}
		ack_line(copy, len);
		free(copy);
	}
}
