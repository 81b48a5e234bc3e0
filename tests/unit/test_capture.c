#include <criterion/criterion.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/capture.h"
#include "tests/unit/log_rig.h"

static struct event_base	*base;
static struct captures		*captures;
static struct capture		*capture;
static int			 out;	/* what the worker writes to */
static char			 seen[1 << 17];

static void
log_at(enum log_level level, enum log_format format)
{
	const struct log_options	 options = { log_rig_path, "muster",
					    level, format };
	struct err			 err;

	cr_assert_eq(log_open(&options, &err), 0);
}

static void
setup(void)
{
	struct err	 err;

	log_rig_setup();
	log_at(LOG_LEVEL_INFO, LOG_TEXT);
	base = event_base_new();
	event_base_priority_init(base, 3);
	captures = captures_new(base, 2, &err);
	cr_assert_not_null(captures, "%s", err.text);
	capture = capture_open(captures, &out, &err);
	cr_assert_not_null(capture, "%s", err.text);
	capture_own(capture, 3, 712, 2);
}

static void
teardown(void)
{
	captures_free(captures);
	event_base_free(base);
	log_rig_teardown();
}

TestSuite(capture, .init = setup, .fini = teardown, .timeout = 60);

static void
turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
print(const char *text)
{
	cr_assert_eq(write(out, text, strlen(text)), (ssize_t)strlen(text));
	turn();
}

/* Does the log have a line that ends like this? */
static void
expect_logged(const char *end)
{
	const char	*log = log_rig_take_file(log_rig_path);
	char		 line[8192];

	snprintf(line, sizeof(line),
	    " info  worker.output slot=3 pid=712 gen=2 %s\n", end);
	cr_expect_not_null(strstr(log, line), "no %s in %.2000s", line, log);
}

static int
logged(void)
{
	return log_rig_count(log_rig_take_file(log_rig_path),
	    "worker.output");
}

static void
on_line(void *arg, const char *line, size_t len)
{
	(void)arg;
	snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%.*s|",
	    (int)len, line);
}

static const char *
last(void)
{
	seen[0] = '\0';
	capture_last(capture, on_line, NULL);
	return seen;
}

/* ---- */

Test(capture, a_line_becomes_an_event)
{
	print("hello, world\n");
	expect_logged("line=\"hello, world\"");
	cr_expect_eq(logged(), 1);
	cr_expect_str_eq(last(), "hello, world|");
}

Test(capture, the_programs_end_blocks_and_ours_does_not)
{
	int	 fd = capture_fd(capture);

	cr_expect_not(fcntl(out, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(out, F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

Test(capture, lines_are_put_together_from_pieces)
{
	print("one\ntw");
	cr_expect_eq(logged(), 1);
	print("");
	print("o");
	print("\nthree\n");
	cr_expect_eq(logged(), 3);
	expect_logged("line=two");
	expect_logged("line=three");
	cr_expect_str_eq(last(), "one|two|three|");
}

Test(capture, all_kinds_of_line_ends)
{
	print("one\r\n\ntwo\r");
	print("\nth\rree\n\r\n");
	cr_expect_eq(logged(), 5);
	expect_logged("line=one");
	expect_logged("line=two");
	expect_logged("line=\"th\\rree\"");
	expect_logged("line=\"\"");
	cr_expect_str_eq(last(), "one||two|th\rree||");
}

Test(capture, binary_output_is_escaped)
{
	static const char	 bytes[] = "a\0b\x1b[2J\xff\xc3\xa4 \xe2\x80\xa8"
				    "\"\\\x7f\n";

	cr_assert_eq(write(out, bytes, sizeof(bytes) - 1),
	    (ssize_t)sizeof(bytes) - 1);
	turn();
	expect_logged("line=\"a\\u0000b\\u001b[2J\\u00ff\xc3\xa4 \\u2028\\\"\\\\"
	    "\\u007f\"");
}

Test(capture, json_has_it_as_a_string)
{
	log_at(LOG_LEVEL_INFO, LOG_JSON);
	print("a\tb\nplain\n");
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path),
	    "\"slot\":3,\"pid\":712,\"gen\":2,\"line\":\"a\\tb\"}\n"));
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path),
	    "\"line\":\"plain\"}\n"));
}

static void
print_long(size_t len, size_t piece)
{
	char	 text[20000];
	size_t	 at, part;

	memset(text, 'x', len);
	for (at = 0; at < len; at += part) {
		part = len - at < piece ? len - at : piece;
		cr_assert_eq(write(out, text + at, part), (ssize_t)part);
		turn();
	}
	print("\n");
}

Test(capture, of_a_long_line_the_beginning_is_logged)
{
	print_long(4096, 4096);
	cr_expect_null(strstr(log_rig_take_file(log_rig_path), "cut="));
	print_long(4097, 4097);
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path),
	    "x... cut=1\n"));
	print_long(9096, 100);
	cr_expect_not_null(strstr(log_rig_take_file(log_rig_path),
	    "x... cut=5000\n"));
	print("short\n");
	expect_logged("line=short");
	cr_expect_eq(logged(), 4);
}

Test(capture, an_unfinished_line_is_logged_at_the_end)
{
	print("first\nlast words");
	cr_expect_eq(logged(), 1);
	capture_finish(capture);
	expect_logged("line=\"last words\"");
	cr_expect_str_eq(last(), "first|last words|");
	capture_finish(capture);
	cr_expect_eq(logged(), 2);
}

Test(capture, what_a_dead_worker_left_in_the_pipe_is_read)
{
	char	 text[100];
	int	 i;

	for (i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "line %d of a worker's end\n", i);
		cr_assert_gt(write(out, text, strlen(text)), 0);
	}
	close(out);
	capture_finish(capture);
	expect_logged("line=\"line 499 of a worker's end\"");
	cr_expect_eq(strncmp(last(), "line 450", 8), 0, "%.20s", seen);
}

Test(capture, a_grandchild_that_holds_the_pipe_is_not_waited_for)
{
	pid_t	 pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	print("bye\n");
	close(out);
	capture_finish(capture);
	cr_expect_eq(logged(), 1);
	turn();
	capture_close(capture);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
write_for_ever(void)
{
	char	 text[8192];
	size_t	 i;

	signal(SIGPIPE, SIG_DFL);
	close(capture_fd(capture));
	for (i = 0; i < sizeof(text); i++)
		text[i] = i % 80 == 79 ? '\n' : 'x';
	while (write(out, text, sizeof(text)) > 0)
		;
	_exit(0);
}

Test(capture, a_grandchild_that_writes_without_end_does_not_hold_the_end_up)
{
	pid_t	 pid = fork();
	int64_t	 begin;
	int	 i;

	if (pid == 0)
		write_for_ever();
	close(out);
	for (i = 0; i < 10; i++)
		turn();
	begin = clock_now_ms();
	capture_finish(capture);
	cr_expect_lt(clock_now_ms() - begin, 2000);
	i = logged();
	turn();
	cr_expect_eq(logged(), i);
	capture_close(capture);
	waitpid(pid, &i, 0);
	cr_expect(WIFSIGNALED(i) && WTERMSIG(i) == SIGPIPE);
}

Test(capture, a_closed_output_is_no_reason_to_spin)
{
	int	 turns;

	close(out);
	turn();
	for (turns = 0; turns < 3; turns++)
		cr_expect_eq(event_base_loop(base, EVLOOP_ONCE |
		    EVLOOP_NONBLOCK), 0);
	capture_finish(capture);
	cr_expect_eq(logged(), 0);
	cr_expect_str_eq(last(), "");
}

Test(capture, quiet_hides_lines_and_keeps_them)
{
	log_at(LOG_LEVEL_WARN, LOG_TEXT);
	print("one\ntw");
	log_at(LOG_LEVEL_INFO, LOG_TEXT);
	print("o\n");
	cr_expect_eq(logged(), 1);
	expect_logged("line=two");
	cr_expect_str_eq(last(), "one|two|");
}

/* ---- much */

static size_t
heap(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

Test(capture, an_idle_one_costs_next_to_nothing)
{
	struct err	 err;
	size_t		 before = heap();
	int		 i, end;

	for (i = 0; i < 100; i++) {
		capture_own(capture_open(captures, &end, &err), i, 1000 + i,
		    1);
		close(end);
	}
	cr_expect_lt(heap() - before, 100 * 256);
}

/* 64 MiB, with lines and without, to a log that takes nothing. */
static void
take_in_much(char filler, size_t width)
{
	static char	 text[65536];
	size_t		 i, before;
	long		 left = 1024;
	pid_t		 pid;

	log_rig_open("/dev/null", &(struct err){ 0 });
	for (i = 0; i < sizeof(text); i++)
		text[i] = i % width == width - 1 ? '\n' : filler;
	if ((pid = fork()) == 0) {
		while (left-- > 0 && write(out, text, sizeof(text)) > 0)
			;
		_exit(left > 0);
	}
	close(out);
	before = heap();
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		turn();
		cr_assert_lt(heap() - before, 32768);
	}
	capture_finish(capture);
}

Test(capture, much_output_takes_little_memory)
{
	take_in_much('x', 64);
	cr_expect_eq(capture_last(capture, on_line, NULL),
	    (size_t)CAPTURE_KEEP_LINES);
}

Test(capture, much_binary_output_takes_little_memory)
{
	take_in_much('\0', 1000);
	cr_expect_eq(capture_last(capture, on_line, NULL),
	    CAPTURE_KEEP / 1000);
}

Test(capture, much_output_without_a_line_takes_little_memory)
{
	take_in_much('x', 1 << 20);
	cr_expect_eq(capture_last(capture, on_line, NULL), 1);
	cr_expect_eq(strlen(seen), CAPTURE_LINE + 1);
}

Test(capture, a_flood_starves_nobody)
{
	struct err	 err;
	struct capture	*soft;
	pid_t		 pid = fork();
	int		 end, i;
	int64_t		 begin, worst = 0;

	if (pid == 0)
		write_for_ever();
	log_rig_open("/dev/null", &err);
	soft = capture_open(captures, &end, &err);
	capture_own(soft, 4, 713, 1);
	for (i = 0; i < 200; i++) {
		cr_assert_eq(write(end, "x\n", 2), 2);
		begin = clock_now_us();
		turn();
		worst = clock_now_us() - begin > worst ? clock_now_us() - begin :
		    worst;
	}
	cr_expect_eq(capture_last(soft, on_line, NULL), 50);
	cr_expect_lt(worst, 200000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(end);
}

/* A log that takes nothing costs lines, and the worker no time. */
Test(capture, a_log_that_is_full_does_not_hold_the_worker_up)
{
	int	 reader = log_rig_stderr(), status;
	pid_t	 pid;
	long	 left = 1024;
	char	 text[8192];

	log_rig_open("stderr", &(struct err){ 0 });
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = text[100] = '\n';
	if ((pid = fork()) == 0) {
		while (left-- > 0 && write(out, text, sizeof(text)) > 0)
			;
		_exit(left > 0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		turn();
	cr_expect_eq(status, 0);
	cr_expect(log_lossy());
	while (*log_rig_take(reader) != '\0')
		;
	log_retry();
	cr_expect_not(log_lossy());
	cr_expect_not_null(strstr(log_rig_take(reader), "log.lost lines="));
}

/* Lines are written many at once: those lost and those there make all. */
Test(capture, lost_lines_are_counted)
{
	int		 reader = log_rig_stderr(), there = 0, lost = 0, i;
	const char	*text, *p;

	log_rig_open("stderr", &(struct err){ 0 });
	for (i = 0; i < 5000; i++)
		cr_assert_eq(write(out, "a line of output\n", 17), 17);
	while (capture_finish(capture), log_lossy()) {
		text = log_rig_take(reader);
		there += log_rig_count(text, "worker.output");
		log_retry();
		if ((p = strstr(text, "lines=")) != NULL)
			lost += atoi(p + 6);
	}
	text = log_rig_take(reader);
	there += log_rig_count(text, "worker.output");
	if ((p = strstr(text, "lines=")) != NULL)
		lost += atoi(p + 6);
	cr_expect_gt(there, 100);
	cr_expect_gt(lost, 100);
	cr_expect_eq(there + lost, 5000, "%d %d", there, lost);
}

/* ---- across an exec */

Test(capture, it_outlives_an_exec_with_what_was_printed_meanwhile)
{
	struct err	 err;
	int		 fd = dup(capture_fd(capture));

	capture_close(capture);
	fd_nonblock(fd, false);
	cr_assert_eq(write(out, "meanwhile\n", 10), 10);
	capture = capture_restore(captures, fd, 3, 712, 2, &err);
	cr_assert_not_null(capture, "%s", err.text);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	turn();
	expect_logged("line=meanwhile");
}

Test(capture, only_a_pipe_that_can_be_read_is_taken_over)
{
	struct err	 err;
	int		 file = open(log_rig_path, O_RDONLY | O_CLOEXEC);

	cr_expect_null(capture_restore(captures, -1, 3, 712, 2, &err));
	cr_expect_null(capture_restore(captures, 9999, 3, 712, 2, &err));
	cr_expect_null(capture_restore(captures, file, 3, 712, 2, &err));
	cr_expect_null(capture_restore(captures, out, 3, 712, 2, &err));
	cr_expect_null(capture_restore(captures, capture_fd(capture), 3, 712,
	    2, &err));
}
