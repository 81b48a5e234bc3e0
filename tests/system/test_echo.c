/* The echo app, section 8. */
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(echo, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

static int
fresh(void)
{
	int on = 1, fd = rig_connect(&r);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

Test(echo, lines_come_back_with_their_ending)
{
	int fd;

	rig_start(&r, NULL);
	fd = fresh();
	client_say(fd, "unix\n");
	cr_expect_str_eq(client_hear(fd), "unix\n");
	client_say(fd, "network\r\n");
	cr_expect_str_eq(client_hear(fd), "network\r\n");
	client_say(fd, "\n\r\n\r\r\n");
	cr_expect_str_eq(client_hear(fd), "\n");
	cr_expect_str_eq(client_hear(fd), "\r\n");
	cr_expect_str_eq(client_hear(fd), "\r\r\n");
}

Test(echo, any_bytes_come_back)
{
	char out[257], in[257];
	size_t got = 0;
	int fd;

	rig_start(&r, NULL);
	fd = fresh();
	for (int i = 0; i < 256; i++)
		out[i] = (char)(i == '\n' ? 0 : i);
	out[256] = '\n';
	cr_assert_eq(send(fd, out, 257, 0), 257);
	while (got < 257) {
		ssize_t n = recv(fd, in + got, 257 - got, 0);

		cr_assert_gt(n, 0);
		got += (size_t)n;
	}
	cr_expect_eq(memcmp(in, out, 257), 0);
}

Test(echo, a_line_cut_over_several_reads_is_put_together)
{
	const char *line = "byte by byte\r\n";
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = fresh();
	for (const char *at = line; *at != '\0'; at++) {
		char byte[2] = { *at, '\0' };

		client_say(fd, byte);
		rig_nap();
	}
	cr_expect_str_eq(client_hear(fd), line);
}

Test(echo, nothing_is_answered_before_the_line_is_whole)
{
	char byte;
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = fresh();
	client_say(fd, "no end yet");
	cr_expect(always_ms(recv(fd, &byte, 1, MSG_DONTWAIT) == -1, 100));
	client_say(fd, "\n");
	cr_expect_str_eq(client_hear(fd), "no end yet\n");
}

Test(echo, many_lines_in_one_go_are_answered_in_order)
{
	static char out[60000], want[32];
	size_t len = 0;
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = fresh();
	for (int i = 0; i < 4000; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len,
		    "line %d\n", i);
	client_say(fd, out);
	for (int i = 0; i < 4000; i++) {
		snprintf(want, sizeof(want), "line %d\n", i);
		cr_assert_str_eq(client_hear(fd), want);
	}
}

Test(echo, a_line_of_max_line_is_answered)
{
	int fd;

	rig_start(&r, "-s", "app echo.max_line=10", NULL);
	fd = fresh();
	client_say(fd, "0123456789\n");
	cr_expect_str_eq(client_hear(fd), "0123456789\n");
	client_say(fd, "0123456789\r\n");
	cr_expect_str_eq(client_hear(fd), "0123456789\r\n");
}

Test(echo, a_longer_line_is_refused_and_the_connection_closed)
{
	int fd, other;

	rig_start(&r, "-w", "1", "-s", "app echo.max_line=10", NULL);
	other = fresh();
	fd = fresh();
	client_say(fd, "fine\n0123456789X\n");
	cr_expect_str_eq(client_hear(fd), "fine\n");
	cr_expect_eq(strncmp(client_hear(fd), "ERR line too long", 17), 0);
	cr_expect(client_ended(fd));
	client_say(other, "untouched\n");
	cr_expect_str_eq(client_hear(other), "untouched\n");
}

Test(echo, a_longer_line_is_refused_before_its_end_comes)
{
	int fd;

	rig_start(&r, "-w", "1", "-s", "app echo.max_line=10", NULL);
	fd = fresh();
	client_say(fd, "0123456789ABCDEF");
	cr_expect_eq(strncmp(client_hear(fd), "ERR line too long", 17), 0);
	cr_expect(client_ended(fd));
}

Test(echo, the_refusal_arrives_even_when_much_was_sent)
{
	static char flood[200001];
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = fresh();
	memset(flood, 'x', sizeof(flood) - 1);
	client_say(fd, flood);
	cr_expect_eq(strncmp(client_hear(fd), "ERR line too long", 17), 0);
}

Test(echo, a_line_of_64k_is_answered)
{
	static char line[65538];
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = fresh();
	memset(line, 'x', 65536);
	line[65536] = '\n';
	client_say(fd, line);
	cr_expect_str_eq(client_hear(fd), line);
}

Test(echo, unfinished_text_at_the_end_is_dropped)
{
	int fd;

	rig_start(&r, NULL);
	fd = fresh();
	client_say(fd, "whole\nunfinished");
	shutdown(fd, SHUT_WR);
	cr_expect_str_eq(client_hear(fd), "whole\n");
	cr_expect(client_ended(fd));
}

Test(echo, the_lines_before_the_end_of_input_are_answered)
{
	int fd;

	rig_start(&r, NULL);
	fd = fresh();
	client_say(fd, "a\nb\nc\n");
	shutdown(fd, SHUT_WR);
	cr_expect_str_eq(client_hear(fd), "a\n");
	cr_expect_str_eq(client_hear(fd), "b\n");
	cr_expect_str_eq(client_hear(fd), "c\n");
	cr_expect(client_ended(fd));
}

Test(echo, many_clients_at_once)
{
	int fds[200];
	char want[32];

	rig_start(&r, "-w", "2", NULL);
	for (int i = 0; i < 200; i++)
		fds[i] = fresh();
	for (int i = 199; i >= 0; i--) {
		snprintf(want, sizeof(want), "client %d\n", i);
		client_say(fds[i], want);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(want, sizeof(want), "client %d\n", i);
		cr_expect_str_eq(client_hear(fds[i]), want);
	}
}

Test(echo, one_connections_failure_closes_that_one_alone)
{
	int bad, good;

	rig_start(&r, "-w", "1", "-s", "app echo.fault_word=boom", NULL);
	good = fresh();
	bad = fresh();
	client_say(bad, "boom boom\n");
	cr_expect_str_eq(client_hear(bad), "boom boom\n");
	client_say(bad, "boom\n");
	cr_expect(eventually(rig_log_says(&r, "conn.failed slot=0")));
	cr_expect_neq(recv(bad, (char[1]){ 0 }, 1, 0), 1);
	client_say(good, "alive\n");
	cr_expect_str_eq(client_hear(good), "alive\n");
	cr_expect_eq(rig_log_count(&r, "worker.start"), 1);
}

Test(echo, a_reset_by_the_client_harms_nobody)
{
	struct linger hard = { 1, 0 };
	int fd;

	rig_start(&r, "-w", "1", NULL);
	for (int i = 0; i < 20; i++) {
		fd = fresh();
		client_say(fd, "answer me\n and");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
	}
	cr_expect_str_eq(rig_ask(&r, "alive\n"), "alive\n");
	cr_expect_eq(rig_log_count(&r, "worker.start"), 1);
}

Test(echo, a_client_that_never_reads_holds_up_nobody)
{
	static char block[65537];
	int64_t until;
	int fd;

	rig_start(&r, "-w", "1", "-s", "app echo.max_line=1m", NULL);
	memset(block, 'y', sizeof(block) - 1);
	block[sizeof(block) - 2] = '\n';
	fd = fresh();
	until = rig_now_ms() + 300;
	while (rig_now_ms() < until)
		if (send(fd, block, sizeof(block) - 1, MSG_DONTWAIT) == -1)
			rig_nap();
	cr_expect_str_eq(rig_ask(&r, "next\n"), "next\n");
	cr_expect_lt(look_rss_kb(rig_worker(&r, 0)), 300 * 1024);
}

Test(echo, idle_timeout_closes_silent_connections)
{
	int64_t from;
	int fd;

	rig_start(&r, "-s", "app echo.idle_timeout=300ms", NULL);
	fd = fresh();
	client_say(fd, "x\n");
	cr_expect_str_eq(client_hear(fd), "x\n");
	from = rig_now_ms();
	cr_expect(client_ended(fd));
	cr_expect_geq(rig_now_ms() - from, 250);
	cr_expect_lt(rig_now_ms() - from, 3000);
}

Test(echo, without_idle_timeout_they_stay)
{
	char byte;
	int fd;

	rig_start(&r, NULL);
	fd = fresh();
	cr_expect(always_ms(recv(fd, &byte, 1, MSG_DONTWAIT) == -1, 500));
	client_say(fd, "x\n");
	cr_expect_str_eq(client_hear(fd), "x\n");
}
