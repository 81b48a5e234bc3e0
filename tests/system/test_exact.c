/*
 * The exact client itself: against a server that fails in one way only, every
 * loss is counted under its name, and under no other.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tests/exact/exact.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

TestSuite(exact, .init = rig_setup, .fini = rig_cleanup, .timeout = 30);

/* What a server does with the text of a request, on a connection it has
 * answered `before` times; false closes it. */
typedef bool	serve(int fd, char *text, size_t len, int before);

static void
say(int fd, const char *text)
{
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* With linger 0, close(2) resets. */
static bool
drop(int fd)
{
	struct linger linger = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return false;
}

static bool
echoes(int fd, char *text, size_t len, int before)
{
	(void)before;
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
resets(int fd, char *text, size_t len, int before)
{
	(void)text;
	(void)len;
	(void)before;
	return drop(fd);
}

static bool
says_nothing(int fd, char *text, size_t len, int before)
{
	(void)fd;
	(void)text;
	(void)len;
	(void)before;
	return false;
}

static bool
says_half(int fd, char *text, size_t len, int before)
{
	(void)before;
	send(fd, text, len / 2, MSG_NOSIGNAL);
	return false;
}

static bool
says_other(int fd, char *text, size_t len, int before)
{
	(void)before;
	text[len - 2] ^= 1;
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
says_twice(int fd, char *text, size_t len, int before)
{
	return echoes(fd, text, len, before) && echoes(fd, text, len, before);
}

static bool
hangs(int fd, char *text, size_t len, int before)
{
	(void)text;
	(void)len;
	(void)before;
	poll(NULL, 0, 700);
	(void)fd;
	return false;
}

static bool
resets_the_third(int fd, char *text, size_t len, int before)
{
	return before == 2 ? drop(fd) : echoes(fd, text, len, before);
}

static bool
ends_before_the_third(int fd, char *text, size_t len, int before)
{
	echoes(fd, text, len, before);
	return before < 1;
}

static bool
half_of_the_third(int fd, char *text, size_t len, int before)
{
	return before == 2 ? says_half(fd, text, len, before) :
	    echoes(fd, text, len, before);
}

static void
serve_one(int fd, serve *how)
{
	char text[4096];
	ssize_t len;

	for (int n = 0; (len = recv(fd, text, sizeof(text) - 1, 0)) > 0; n++) {
		text[len] = '\0';
		if (!how(fd, text, (size_t)len, n))
			break;
	}
	close(fd);
}

/* A process that serves one connection after the other. */
static void
start_server(int listener, serve *how)
{
	pid_t pid = fork();
	int fd;

	cr_assert_neq(pid, -1);
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((fd = accept(listener, NULL, NULL)) != -1)
		serve_one(fd, how);
	_exit(0);
}

static struct exact_plan
plan_for(int port)
{
	struct exact_plan plan = { .clients = 1, .requests = 6,
		.patience_ms = 300, .protocol = EXACT_ECHO };

	snprintf(plan.addr, sizeof(plan.addr), "127.0.0.1:%d", port);
	return plan;
}

static struct exact_counts
run(const struct exact_plan *plan)
{
	struct exact_counts counts = { 0 };
	static volatile bool stop;

	cr_assert_eq(exact_run(plan, &counts, &stop), 0);
	return counts;
}

static struct exact_counts
ask(serve *how, bool keep_alive, enum exact_protocol protocol)
{
	int listener = net_listen(64);
	struct exact_plan plan = plan_for(net_port(listener));

	start_server(listener, how);
	plan.keep_alive = keep_alive;
	plan.protocol = protocol;
	return run(&plan);
}

/* All of six requests under one name. */
#define expect_all(counts, name) do {					\
	cr_expect_eq((counts).name, 6, "%s", exact_line(&(counts)));	\
	cr_expect_eq((counts).ok + (counts).refused +			\
	    exact_lost(&(counts)), 6, "%s", exact_line(&(counts)));	\
} while (0)

Test(exact, counts_what_is_answered)
{
	struct exact_counts counts = ask(echoes, false, EXACT_ECHO);

	expect_all(counts, ok);
	cr_expect_eq(counts.connections, 6);
	cr_expect_str_eq(counts.first, "");
}

Test(exact, keeps_a_connection_alive)
{
	struct exact_counts counts = ask(echoes, true, EXACT_ECHO);

	expect_all(counts, ok);
	cr_expect_eq(counts.connections, 1);
}

Test(exact, counts_refusals)
{
	struct exact_plan plan = plan_for(net_port(net_bind()));
	struct exact_counts counts;

	plan.requests = 0;
	plan.for_ms = 50;
	counts = run(&plan);
	cr_expect_gt(counts.refused, 1);
	cr_expect_eq(counts.connections, 0);
	cr_expect_eq(exact_lost(&counts), 0);
	cr_expect(strstr(counts.first, "refused") != NULL, "%s",
	    counts.first);
}

Test(exact, counts_resets)
{
	struct exact_counts counts = ask(resets, false, EXACT_ECHO);

	expect_all(counts, reset);
	cr_expect(strstr(counts.first, "request 1: ") != NULL &&
	    strstr(counts.first, "reset") != NULL, "%s", counts.first);
}

Test(exact, forgives_no_reset_on_a_fresh_connection)
{
	struct exact_counts counts = ask(resets, true, EXACT_ECHO);

	expect_all(counts, reset);
	cr_expect_eq(counts.raced, 0);
}

Test(exact, counts_ends_without_an_answer)
{
	struct exact_counts counts = ask(says_nothing, false, EXACT_ECHO);

	expect_all(counts, unanswered);
}

Test(exact, counts_half_answers)
{
	struct exact_counts counts = ask(says_half, false, EXACT_ECHO);

	expect_all(counts, unanswered);
}

Test(exact, counts_wrong_answers)
{
	struct exact_counts counts = ask(says_other, false, EXACT_ECHO);

	expect_all(counts, wrong);
}

Test(exact, counts_answers_that_are_too_long)
{
	struct exact_counts counts = ask(says_twice, true, EXACT_ECHO);

	cr_expect_gt(counts.wrong, 0, "%s", exact_line(&counts));
	cr_expect_eq(exact_lost(&counts), counts.wrong);
}

Test(exact, counts_answers_that_do_not_come)
{
	int listener = net_listen(64);
	struct exact_plan plan = plan_for(net_port(listener));
	struct exact_counts counts;

	start_server(listener, hangs);
	plan.clients = 6;
	counts = run(&plan);
	expect_all(counts, late);
}

/* The race of keep-alive: each is asked again, and then answered. */
Test(exact, asks_again_what_raced_with_the_close)
{
	struct exact_counts counts = ask(resets_the_third, true, EXACT_ECHO);

	expect_all(counts, ok);
	cr_expect_eq(counts.raced, 2, "%s", exact_line(&counts));
	cr_expect_eq(counts.connections, 3);
}

Test(exact, forgives_no_half_answer_on_a_used_connection)
{
	struct exact_counts counts = ask(half_of_the_third, true, EXACT_ECHO);

	cr_expect_eq(counts.unanswered, 2, "%s", exact_line(&counts));
	cr_expect_eq(counts.ok, 4);
	cr_expect_eq(counts.raced, 0);
}

Test(exact, minds_no_close_between_two_requests)
{
	int listener = net_listen(64);
	struct exact_plan plan = plan_for(net_port(listener));
	struct exact_counts counts;

	start_server(listener, ends_before_the_third);
	plan.keep_alive = true;
	plan.think_ms = 20;
	counts = run(&plan);
	expect_all(counts, ok);
	cr_expect_eq(counts.connections, 3);
	cr_expect_eq(counts.raced, 0);
}

/* ---- HTTP: the answer is judged whatever its shape */

/* "GET /x HTTP/1.1": keeps "/x". */
static const char *
path_in(char *text)
{
	char *path = text + strlen("GET ");

	path[strcspn(path, " ")] = '\0';
	return path;
}

/* The answer with the path's length and the path put in. */
#define http(fd, fmt, text) do {					\
	const char *path_ = path_in(text);				\
	char answer_[512];						\
									\
	snprintf(answer_, sizeof(answer_), fmt, (int)strlen(path_), path_); \
	say(fd, answer_);						\
} while (0)

static bool
by_length(int fd, char *text, size_t len, int before)
{
	(void)len;
	(void)before;
	http(fd, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", text);
	return true;
}

static bool
by_chunks(int fd, char *text, size_t len, int before)
{
	(void)len;
	(void)before;
	http(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "%x\r\n%s\r\n0\r\n\r\n", text);
	return true;
}

static bool
by_the_end(int fd, char *text, size_t len, int before)
{
	(void)len;
	(void)before;
	http(fd, "HTTP/1.0 200 OK\r\nX-Length: %d\r\n\r\n%s", text);
	return false;
}

static bool
too_short(int fd, char *text, size_t len, int before)
{
	(void)len;
	(void)before;
	http(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9%d\r\n\r\n%s", text);
	return false;
}

static bool
unavailable(int fd, char *text, size_t len, int before)
{
	(void)len;
	(void)before;
	http(fd, "HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n%s", text);
	return true;
}

static bool
lacks_its_last_chunk(int fd, char *text, size_t len, int before)
{
	(void)len;
	(void)before;
	http(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "%x\r\n%s\r\n", text);
	return false;
}

Test(exact, reads_http_by_its_length)
{
	struct exact_counts counts = ask(by_length, true, EXACT_HTTP);

	expect_all(counts, ok);
	cr_expect_eq(counts.connections, 1);
}

Test(exact, reads_http_by_its_chunks)
{
	struct exact_counts counts = ask(by_chunks, true, EXACT_HTTP);

	expect_all(counts, ok);
	cr_expect_eq(counts.connections, 1);
}

Test(exact, reads_http_by_the_connections_end)
{
	struct exact_counts counts = ask(by_the_end, true, EXACT_HTTP);

	expect_all(counts, ok);
	cr_expect_eq(counts.connections, 6);
}

Test(exact, counts_a_body_that_is_cut_as_unanswered)
{
	struct exact_counts counts = ask(too_short, false, EXACT_HTTP);

	expect_all(counts, unanswered);
	counts = ask(lacks_its_last_chunk, false, EXACT_HTTP);
	expect_all(counts, unanswered);
}

Test(exact, takes_no_other_status_for_an_answer)
{
	struct exact_counts counts = ask(unavailable, false, EXACT_HTTP);

	expect_all(counts, wrong);
}

/* ---- as a process of its own */

Test(exact, runs_beside_the_test_until_it_is_stopped)
{
	int listener = net_listen(64);
	struct exact_plan plan = plan_for(net_port(listener));
	struct exact_counts counts;
	struct exact *exact;

	plan.requests = 0;
	start_server(listener, echoes);
	cr_assert_not_null(exact = exact_start(&plan));
	cr_assert(eventually(exact_now(exact).ok > 50));
	counts = exact_stop(exact);
	cr_expect_eq(exact_lost(&counts) + counts.refused, 0, "%s",
	    exact_line(&counts));
	cr_expect_eq(counts.connections, counts.ok);
}

Test(exact, asks_on_a_unix_socket)
{
	struct exact_plan plan = plan_for(0);
	struct exact_counts counts;
	struct rig r = { 0 };

	rig_start(&r, "-w", "2", "-b", rig_abstract(), NULL);
	snprintf(plan.addr, sizeof(plan.addr), "%s", r.addr);
	plan.clients = 4;
	plan.requests = 500;
	counts = run(&plan);
	cr_expect_eq(counts.ok, 500, "%s", exact_line(&counts));
	cr_expect_eq(rig_stop(&r), 0);
}
