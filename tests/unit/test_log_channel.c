#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_line.h"
#include "common/notify.h"
#include "tests/unit/log_rig.h"

static struct err	 err;

TestSuite(log_channel, .timeout = 10, .init = log_rig_setup,
    .fini = log_rig_teardown);

/* ---- from a worker to the master */

static int
worker_channel(void)
{
	int	 ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	log_to_master(ends[1]);
	cr_assert_eq(log_fd(), ends[1]);
	return ends[0];
}

Test(log_channel, a_worker_sends_each_line_to_the_master)
{
	int		 fd = worker_channel();
	const char	*text;

	log_event(EV_LOOP_NOTE, log_str("msg", "a\nb"));
	log_rig_say(1);
	text = log_rig_take(fd);
	cr_expect_eq(strncmp(text, "MUSTER_LOG=warn 2", 17), 0, "%s", text);
	cr_expect_not_null(strstr(text, "Z warn  loop.note msg=\"a\\nb\""));
	cr_expect_null(strchr(text, '\n'));
	cr_expect_eq(strncmp(log_rig_take(fd), "MUSTER_LOG=info 2", 17), 0);
}

Test(log_channel, a_long_line_of_a_worker_fits_into_one_message)
{
	const struct log_options options = { "/dev/null", "muster",
	    LOG_LEVEL_INFO, LOG_JSON };
	static char	 value[8000];
	struct notify	 n;
	const char	*text;
	int		 fd;

	memset(value, 'a', sizeof(value) - 1);
	cr_assert_eq(log_open(&options, &err), 0);
	fd = worker_channel();
	log_event(EV_POOL_FAILED, log_str("msg", value));
	text = log_rig_take(fd);
	cr_expect_leq(strlen(text), NOTIFY_MAX);
	cr_expect_gt(strlen(text), NOTIFY_MAX - 20);
	notify_parse(text, strlen(text), &n);
	cr_assert_gt(n.log_len, 20);
	cr_expect_eq(memcmp(n.log, "error {\"time\"", 13), 0);
	cr_expect_eq(memcmp(n.log + n.log_len - 5, "...\"}", 5), 0);
}

Test(log_channel, a_worker_does_not_wait_for_a_busy_master)
{
	int	 fd = worker_channel(), i;

	for (i = 0; i < 5000; i++)
		log_rig_say(i);
	cr_expect(log_lossy());
	while (*log_rig_take(fd) != '\0')
		;
	log_rig_say(1);
	cr_expect_not_null(strstr(log_rig_take(fd), "warn  log.lost lines="));
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=1"));
}

Test(log_channel, without_a_master_a_worker_writes_to_stderr)
{
	int		 fd = log_rig_stderr(), master = worker_channel();
	const char	*text;

	close(master);
	log_rig_say(1);
	log_rig_say(2);
	cr_expect(!log_lossy());
	text = log_rig_take(fd);
	cr_expect_eq(text[0], '2');
	cr_expect_not_null(strstr(text, "info  reload.done gen=1\n"));
	cr_expect_not_null(strstr(text, "info  reload.done gen=2\n"));
}

Test(log_channel, what_the_master_lost_the_worker_does_not_tell)
{
	int	 fd;

	cr_assert_eq(log_rig_open("/dev/full", &err), 0);
	log_rig_say(1);
	cr_assert(log_lossy());
	fd = worker_channel();
	cr_expect(!log_lossy());
	log_rig_say(2);
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=2"));
}

/* ---- the master writes a worker's line */

static const char *
relay(const char *text, size_t len)
{
	unlink(log_rig_path);
	cr_assert_eq(log_rig_open(log_rig_path, &err), 0);
	log_relay(text, len);
	return log_rig_take_file(log_rig_path);
}

#define RELAY(text)	relay(text, sizeof(text) - 1)

Test(log_channel, a_relayed_line_is_written_without_its_level_word)
{
	cr_expect_str_eq(RELAY("warn 2026 w.x a=\"b c\" \\u0007"),
	    "2026 w.x a=\"b c\" \\u0007\n");
	cr_expect_str_eq(RELAY("info {\"a\":\"\xc3\xbc\"}"),
	    "{\"a\":\"\xc3\xbc\"}\n");
	cr_expect_str_eq(RELAY("debug below the level"), "");
	cr_expect_str_eq(RELAY("error "), "");
	cr_expect_str_eq(RELAY(""), "");
}

Test(log_channel, a_relayed_line_cannot_forge_lines_or_steer_terminals)
{
	cr_expect_str_eq(RELAY("info a\n2026 error b\r\033[2J\0c\x7f"),
	    "a\\n2026 error b\\r\\u001b[2J\\u0000c\\u007f\n");
	cr_expect_str_eq(RELAY("info \xff\xc2\x9b\xe2\x80\xa8"),
	    "\\u00ff\\u009b\\u2028\n");
}

Test(log_channel, a_relayed_line_without_a_level_is_shown_as_it_is)
{
	cr_expect_str_eq(RELAY("fatal x"), "fatal x\n");
	cr_expect_str_eq(RELAY("warn"), "warn\n");
	cr_expect_str_eq(RELAY(" x"), " x\n");
}

Test(log_channel, a_relayed_line_is_bounded)
{
	static char	 text[100000];
	const char	*got;

	memset(text, '\n', sizeof(text));
	got = relay(text, sizeof(text));
	cr_expect_leq(strlen(got), LOG_LINE_MAX);
	cr_expect_gt(strlen(got), LOG_LINE_MAX - 10);
	cr_expect_eq(log_rig_count(got, "\n"), 1);
	cr_expect_not_null(strstr(got, "...\n"));
}

Test(log_channel, losses_are_told_before_a_relayed_line_too)
{
	int	 fd = log_rig_stderr();

	cr_assert_eq(log_rig_open("/dev/full", &err), 0, "%s", err.text);
	log_relay("info first", 10);
	cr_expect(log_lossy());
	cr_assert_eq(log_rig_open("stderr", &err), 0);
	log_relay("info second", 11);
	cr_expect_str_eq(strstr(log_rig_take(fd), "log.lost"),
	    "log.lost lines=1\nsecond\n");
}
