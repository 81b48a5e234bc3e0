/* Workers that have done enough, section 6: the successor comes first. */
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(retire, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* Where in the log is the first line with this text? */
static long
place(const char *text)
{
	const char *log = rig_read(&r, r.err), *at = strstr(log, text);

	if (at == NULL)
		rig_fail(&r, "no %s", text);
	return at - log;
}

static void
await_exits(int count)
{
	if (!eventually(rig_log_count(&r, "worker.exit") >= count))
		rig_fail(&r, "not %d exits", count);
}

static void
ask_until_exits(int count)
{
	int64_t until = rig_now_ms() + WAIT_MS;

	while (rig_log_count(&r, "worker.exit") < count &&
	    rig_now_ms() < until)
		cr_assert_str_eq(rig_ask(&r, "one\n"), "one\n");
	await_exits(count);
}

Test(retire, max_requests_brings_a_successor_first)
{
	rig_start(&r, "-w", "1", "-s", "worker.max_requests=5", NULL);
	for (int i = 0; i < 5; i++)
		cr_expect_str_eq(rig_ask(&r, "one more\n"), "one more\n");
	rig_await_log(&r, "worker.retire slot=0 why=max_requests");
	rig_await_log(&r, "worker.stop slot=0");
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 2);
	rig_await_log(&r, "worker.exit slot=0 code=0");
	cr_expect_lt(place("worker.retire"), place("worker.stop"));
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	rig_await_workers(&r, 1);
}

Test(retire, one_line_is_one_request)
{
	int fd;

	rig_start(&r, "-w", "1", "-s", "worker.max_requests=5", NULL);
	fd = rig_connect(&r);
	client_say(fd, "1\n2\n3\n4\n");
	for (int i = 0; i < 4; i++)
		cr_assert_not_null(client_hear(fd));
	cr_expect(always_ms(!rig_log_says(&r, "worker.retire"), 50));
	client_say(fd, "5\n");
	cr_expect_str_eq(client_hear(fd), "5\n");
	rig_await_log(&r, "worker.retire slot=0");
}

Test(retire, max_requests_under_load_loses_no_connection)
{
	struct crowd_counts counts;
	struct crowd *crowd;

	rig_start(&r, "-w", "2", "-s", "worker.max_requests=200", "-s",
	    "worker.max_requests_jitter=100", NULL);
	crowd = crowd_start(r.addr, 8);
	cr_assert(eventually(rig_log_count(&r, "worker.retire") >= 6));
	counts = crowd_stop(crowd);
	cr_expect_eq(counts.lost, 0, "%d of %d lost, the first: %s",
	    (int)counts.lost, (int)counts.answered, counts.first);
	cr_expect_eq(counts.refused, 0);
	cr_expect(!rig_log_says(&r, "worker.died"));
	cr_expect(!rig_log_says(&r, "slot.wait"));
}

Test(retire, a_short_life_by_max_requests_is_no_failure)
{
	rig_start(&r, "-w", "1", "-s", "worker.max_requests=1", "-s",
	    "pool.min_uptime=60s", NULL);
	ask_until_exits(4);
	cr_expect(!rig_log_says(&r, "slot.wait"));
}

Test(retire, max_age)
{
	rig_start(&r, "-w", "2", "-s", "worker.max_age=400ms", "-s",
	    "worker.max_age_jitter=100ms", NULL);
	rig_await_log(&r, "worker.retire slot=0 why=max_age");
	rig_await_log(&r, "worker.retire slot=1 why=max_age");
	await_exits(2);
	cr_expect(!rig_log_says(&r, "worker.died"));
}

/* An unfinished line of so many MiB, which the worker keeps while it may. */
static int
fatten(int mib)
{
	static char block[1 << 20];
	int fd = rig_connect(&r);

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < mib; i++)
		if (send(fd, block, sizeof(block), MSG_NOSIGNAL) == -1)
			break;
	return fd;
}

Test(retire, max_rss)
{
	int fd;

	rig_start(&r, "-w", "1", "-s", "worker.max_rss=160m", "-s",
	    "app echo.max_line=900m", "-s", "worker.graceful_timeout=500ms",
	    "-s", "worker.watchdog=600ms", NULL);
	cr_expect(always_ms(!rig_log_says(&r, "worker.retire"), 300));
	fd = fatten(200);
	rig_await_log(&r, "worker.retire slot=0 why=max_rss");
	rig_await_log(&r, "worker.stop slot=0");
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 2);
	close(fd);
	rig_await_workers(&r, 1);
}

/* The most successors that ever stood beside those they are to replace. */
static int
most_at_once(void)
{
	const char *at = rig_read(&r, r.err);
	int now = 0, most = 0, starts = 0;

	for (; (at = strstr(at, "worker.")) != NULL; at++) {
		now -= strncmp(at, "worker.stop ", 12) == 0;
		now += strncmp(at, "worker.start ", 13) == 0 && ++starts > 4;
		if (now > most)
			most = now;
	}
	return most;
}

Test(retire, surge_bounds_how_many_go_at_once)
{
	rig_start(&r, "-w", "4", "-s", "worker.max_age=300ms", "-s",
	    "pool.surge=1", NULL);
	await_exits(6);
	cr_expect_eq(most_at_once(), 1, "%d at once", most_at_once());
}

Test(retire, a_greater_surge_lets_more_go_at_once)
{
	rig_start(&r, "-w", "4", "-s", "worker.max_age=300ms", "-s",
	    "pool.surge=50%", NULL);
	await_exits(6);
	cr_expect_eq(most_at_once(), 2, "%d at once", most_at_once());
}

Test(retire, the_slot_keeps_its_number)
{
	rig_start(&r, "-w", "2", "-s", "worker.max_requests=3", NULL);
	ask_until_exits(3);
	cr_expect_eq(rig_log_count(&r, "worker.start slot=2"), 0);
	rig_await_workers(&r, 2);
}
