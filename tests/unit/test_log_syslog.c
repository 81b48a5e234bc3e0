#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_sink.h"
#include "tests/unit/log_rig.h"

static struct err	 err;

TestSuite(log_syslog, .timeout = 10, .init = log_rig_setup,
    .fini = log_rig_teardown);

static int
syslog_listen(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", log_rig_other);
	unlink(log_rig_other);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	log_sink_syslog_path(log_rig_other);
	return fd;
}

Test(log_syslog, syslog_gets_the_event_with_priority_and_tag)
{
	char	 want[64];
	int	 fd = syslog_listen();
	const char *text;

	cr_assert_eq(log_rig_open("syslog", &err), 0, "%s", err.text);
	log_rig_say(1);
	text = log_rig_take(fd);
	snprintf(want, sizeof(want), " muster[%d]: reload.done gen=1",
	    (int)getpid());
	cr_expect_eq(strncmp(text, "<30>", 4), 0, "%s", text);
	cr_assert_gt(strlen(text), 19);
	cr_expect_str_eq(text + 19, want);
	log_event(EV_POOL_FAILED, log_int("slot", 1));
	cr_expect_eq(strncmp(log_rig_take(fd), "<27>", 4), 0);
	log_relay("debug x", 7);
	cr_expect_str_eq(log_rig_take(fd), "");
	log_relay("warn 2026-11-21T10:15:02.123Z warn  w.x a=1", 43);
	text = log_rig_take(fd);
	cr_expect_eq(strncmp(text, "<28>", 4), 0, "%s", text);
	cr_expect_not_null(strstr(text, "]: w.x a=1"));
}

Test(log_syslog, syslog_may_be_started_anew)
{
	int	 fd = syslog_listen();

	cr_assert_eq(log_rig_open("syslog", &err), 0);
	log_rig_say(1);
	close(fd);
	log_rig_say(2);
	cr_expect(log_lossy());
	unlink(log_rig_other);
	log_rig_say(3);
	fd = syslog_listen();
	log_rig_say(4);
	cr_expect_not_null(strstr(log_rig_take(fd), "log.lost lines=2"));
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=4"));
	close(fd);
	fd = syslog_listen();
	log_rig_say(5);
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=5"), "this one was not lost");
}

Test(log_syslog, syslog_that_does_not_read_does_not_block)
{
	int	 fd = syslog_listen(), i;

	cr_assert_eq(log_rig_open("syslog", &err), 0);
	for (i = 0; i < 5000; i++)
		log_rig_say(i);
	cr_expect(log_lossy());
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=0"));
	cr_expect_eq(log_reopen(&err), 0);
}

Test(log_syslog, syslog_that_is_not_there_may_come_later)
{
	int	 fd;

	log_sink_syslog_path(log_rig_other);
	cr_assert_eq(log_rig_open("syslog", &err), 0);
	cr_expect_eq(log_fd(), -1);
	log_rig_say(1);
	cr_expect(log_lossy());
	fd = syslog_listen();
	log_rig_say(2);
	cr_expect_not_null(strstr(log_rig_take(fd), "log.lost lines=1"));
	cr_expect_not_null(strstr(log_rig_take(fd), "gen=2"));
	close(fd);
}

