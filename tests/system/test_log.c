/* The log, section 10. */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(log, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

static bool
digits(const char *text, const char *shape)
{
	for (; *shape != '\0'; shape++, text++)
		if (*shape == '9' ? !isdigit((unsigned char)*text) :
		    *shape != *text)
			return false;
	return true;
}

/* "2026-11-21T10:15:02.123Z info  worker.ready slot=1 ..." */
static bool
good_line(const char *line)
{
	const char *const levels[] = { " error ", " warn  ", " info  ",
		" debug " };

	if (!digits(line, "9999-99-99T99:99:99.999Z"))
		return false;
	line += strlen("9999-99-99T99:99:99.999Z");
	for (int i = 0; i < 4; i++)
		if (strncmp(line, levels[i], strlen(levels[i])) == 0)
			return islower((unsigned char)line[7]);
	return false;
}

static void
expect_good_lines(const char *path)
{
	const char *text = rig_read(&r, path);
	char line[2048];

	cr_expect_gt(strlen(text), 0);
	for (size_t len; *text != '\0'; text += len + 1) {
		len = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		cr_expect(good_line(line), "not a log line: %s", line);
		if (text[len] == '\0')
			break;
	}
}

Test(log, text_has_one_event_a_line)
{
	rig_start(&r, "-v", "-w", "2", NULL);
	rig_ask(&r, "x\n");
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_log(&r, "worker.died");
	cr_expect_eq(rig_stop(&r), 0);
	expect_good_lines(r.err);
	cr_expect(rig_log_says(&r, "master.start"));
	cr_expect(rig_log_says(&r, "master.stop code=0"));
}

/* Enough of a JSON reader to know that a flat object is one. */
static const char *
skip_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at == '\\' && strchr("\"\\/bfnrtu", *++at) == NULL)
			return NULL;
	}
	return at + 1;
}

static const char *
skip_value(const char *at)
{
	char *end;

	if (*at == '"')
		return skip_string(at);
	strtod(at, &end);
	return end != at ? end : NULL;
}

static bool
good_object(const char *at)
{
	if (*at++ != '{')
		return false;
	for (;; at++) {
		at += strspn(at, " ");
		if ((at = skip_string(at)) == NULL || *at++ != ':')
			return false;
		at += strspn(at, " ");
		if ((at = skip_value(at)) == NULL)
			return false;
		if (*at == '}')
			return at[1] == '\0';
		if (*at != ',')
			return false;
	}
}

Test(log, json_is_one_object_a_line)
{
	char line[2048];
	const char *text;
	size_t len;
	int count = 0;

	rig_start(&r, "-v", "-w", "2", "-s", "master.log_format=json", "-n",
	    "json", NULL);
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	rig_signal(&r, SIGTTIN);
	rig_await_text(&r, "SIGTTIN from");
	cr_expect_eq(rig_stop(&r), 0);
	text = rig_read(&r, r.err);
	for (; *text != '\0'; text += len + 1, count++) {
		len = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		cr_expect(good_object(line), "not JSON: %s", line);
	}
	cr_expect_gt(count, 8);
	cr_expect(rig_log_has(&r, "\"worker.ready\""));
}

Test(log, hostile_bytes_are_escaped)
{
	rig_start(&r, "-w", "1", NULL);
	prctl(PR_SET_NAME, "e\033vil \"x=1");
	rig_signal(&r, SIGUSR1);
	rig_await_text(&r, "SIGUSR1 from");
	cr_expect(rig_log_has(&r, "e\\u001bvil"), "%s", rig_read(&r, r.err));
	cr_expect(rig_log_has(&r, "\\\"x=1"));
	expect_good_lines(r.err);
}

Test(log, goes_to_a_file)
{
	char set[300], path[256];

	snprintf(path, sizeof(path), "%s", rig_path("muster.log"));
	snprintf(set, sizeof(set), "master.log=%s", path);
	r.log = path;
	rig_start(&r, "-w", "2", "-s", set, NULL);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(rig_log_says(&r, "worker.ready"));
	expect_good_lines(path);
	cr_expect_str_eq(rig_read(&r, r.err), "");
}

Test(log, usr1_opens_the_file_anew_after_a_rename)
{
	char set[300], path[256], old[256];

	snprintf(path, sizeof(path), "%s", rig_path("muster.log"));
	snprintf(old, sizeof(old), "%s", rig_path("muster.log.1"));
	snprintf(set, sizeof(set), "master.log=%s", path);
	r.log = path;
	rig_start(&r, "-w", "1", "-s", set, NULL);
	cr_assert_eq(rename(path, old), 0);
	rig_signal(&r, SIGUSR1);
	rig_await_log(&r, "log.reopened");
	rig_signal(&r, SIGTTIN);
	rig_await_log(&r, "worker.ready slot=1");
	cr_expect(strstr(rig_read(&r, old), "pool.ready") != NULL);
	cr_expect(strstr(rig_read(&r, old), "slot=1") == NULL);
	expect_good_lines(path);
}

Test(log, a_file_that_cannot_be_opened_anew_leaves_the_old_one)
{
	char set[300], path[256], folder[256];

	snprintf(folder, sizeof(folder), "%s", rig_path("logs"));
	snprintf(path, sizeof(path), "%s", rig_path("logs/muster.log"));
	snprintf(set, sizeof(set), "master.log=%s", path);
	mkdir(folder, 0755);
	r.log = path;
	rig_start(&r, "-w", "1", "-s", set, NULL);
	cr_assert_eq(rename(folder, rig_path("away")), 0);
	rig_signal(&r, SIGUSR1);
	cr_assert(eventually(strstr(rig_read(&r, rig_path("away/muster.log")),
	    "log.failed") != NULL));
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
}

Test(log, a_log_that_cannot_be_opened_ends_the_start)
{
	int code = rig_run(&r, "-b", "127.0.0.1:0", "-s",
	    "master.log=/nowhere/at/all.log", NULL);

	cr_expect(code == 71 || code == 78, "exit %d", code);
	cr_expect(rig_log_has(&r, "/nowhere/at/all.log"));
}

/* ---- a log that cannot be written */

/* Served, scaled and stopped, as if nothing was wrong. */
static void
expect_normal_life(const char *addr)
{
	cr_assert(eventually(client_try(addr, 1000) != -1));
	for (int i = 0; i < 20; i++)
		cr_assert_str_eq(client_ask(addr, "x\n"), "x\n");
	rig_signal(&r, SIGTTIN);
	cr_assert(eventually(rig_count(&r) == 3));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(log, a_full_pipe_that_nobody_reads_blocks_nothing)
{
	int ends[2];
	char byte = 'x';

	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], &byte, 1) == 1)
		;
	fcntl(ends[1], F_SETFL, 0);	/* as a shell would leave it */
	r.stderr_fd = ends[1];
	rig_launch(&r, "-v", "-b", rig_abstract(), NULL);
	expect_normal_life(rig_abstract());
	cr_expect_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0,
	    "others share this pipe, and may not know O_NONBLOCK");
}

/* What came out of the pipe, from the first byte on. */
static bool
pipe_shows(int fd, const char *text)
{
	static char all[1 << 18];
	static size_t len;
	ssize_t got;

	while (len < sizeof(all) - 1 &&
	    (got = read(fd, all + len, sizeof(all) - 1 - len)) > 0)
		len += (size_t)got;
	all[len] = '\0';
	return strstr(all, text) != NULL;
}

Test(log, lost_lines_are_counted_and_told)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], "filler\n", 7) == 7)
		;
	r.stderr_fd = ends[1];
	rig_launch(&r, "-b", rig_abstract(), NULL);
	cr_assert(eventually(client_try(rig_abstract(), 1000) != -1));
	pipe_shows(ends[0], "");
	rig_signal(&r, SIGTTIN);
	cr_assert(eventually(rig_count(&r) == 3));
	cr_expect(eventually(pipe_shows(ends[0], "log.lost lines=")));
}

Test(log, a_pipe_whose_reader_left_ends_nothing)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	r.stderr_fd = ends[1];
	rig_launch(&r, "-b", rig_abstract(), NULL);
	close(ends[1]);
	close(ends[0]);
	expect_normal_life(rig_abstract());
}

Test(log, a_full_disk_ends_nothing)
{
	rig_launch(&r, "-b", rig_abstract(), "-s", "master.log=/dev/full",
	    NULL);
	expect_normal_life(rig_abstract());
}

Test(log, stderr_on_a_full_device_ends_nothing)
{
	r.stderr_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	rig_launch(&r, "-b", rig_abstract(), NULL);
	expect_normal_life(rig_abstract());
}

static void
close_all(void *arg)
{
	(void)arg;
	close(0);
	close(1);
	close(2);
}

Test(log, without_any_standard_descriptor_it_still_serves)
{
	r.child = close_all;
	rig_launch(&r, "-b", rig_abstract(), NULL);
	expect_normal_life(rig_abstract());
}

Test(log, syslog)
{
	if (access("/dev/log", W_OK) == -1)
		rig_skip("no /dev/log here");
	rig_launch(&r, "-b", rig_abstract(), "-s", "master.log=syslog", NULL);
	expect_normal_life(rig_abstract());
}

Test(log, a_missing_syslog_is_told_and_does_not_end_the_start)
{
	if (access("/dev/log", F_OK) == 0)
		rig_skip("there is a /dev/log here");
	rig_launch(&r, "-b", rig_abstract(), "-s", "master.log=syslog", NULL);
	expect_normal_life(rig_abstract());
	cr_expect(rig_log_has(&r, "syslog"));
}

Test(log, a_workers_lines_name_its_slot)
{
	int fd;

	rig_start(&r, "-w", "1", "-s", "app echo.fault_word=boom", NULL);
	fd = rig_connect(&r);
	client_say(fd, "boom\n");
	rig_await_log(&r, "conn.failed slot=0");
	expect_good_lines(r.err);
}
