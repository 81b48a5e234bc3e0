/*
 * A master that was started without some of its standard streams: none of
 * those numbers may become that of what another image needs.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/look.h"

static void
setup(void)
{
	rig_setup();
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
}

TestSuite(heal_streams, .init = setup, .fini = rig_cleanup, .timeout = 120);

static struct rig r;
static char log_path[256], set_log[300];

#define SET(text)	"-s", text

static void
name_files(void)
{
	snprintf(log_path, sizeof(log_path), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log_path);
	r.log = log_path;
}

/* Bit n: descriptor n. In the child, its last step before exec. */
static void
close_streams(void *arg)
{
	const unsigned *which = arg;
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (*which & 1U << fd)
			close(fd);
}

static void
starts_without(unsigned *which)
{
	r.child = close_streams;
	r.arg = which;
	unlink(log_path);
}

/* By wish, and by the crash handler. */
static void
goes_on(void)
{
	pid_t workers[RIG_MAX];
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		cr_expect_str_neq(look_fd(r.pid, fd), "");
	anew_upgrade(&r, "9.9.9");
	anew_expect_well(&r, 1);
	anew_crash(&r, SIGSEGV);
	anew_expect_well(&r, 1);
	rig_workers(&r, workers);
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		cr_expect_str_neq(look_fd(workers[0], fd), "");
}

Test(heal_streams, whichever_are_closed)
{
	unsigned which;

	name_files();
	for (which = 1; which <= 7; which++) {
		anew_install(NULL);
		starts_without(&which);
		rig_start(&r, "-w", "1", SET(set_log), NULL);
		anew_install(ANEW_NEXT);
		goes_on();
		cr_expect_eq(rig_stop(&r), 0);
	}
}

Test(heal_streams, whichever_are_closed_to_a_daemon)
{
	unsigned masks[] = { 1, 7 };
	char path[256];
	size_t i;

	name_files();
	snprintf(path, sizeof(path), "%s", rig_path("muster.pid"));
	for (i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		anew_install(NULL);
		starts_without(&masks[i]);
		cr_assert_eq(rig_run(&r, "-d", "-p", path, "-w", "1", "-b",
		    "127.0.0.1:0", SET(set_log), NULL), 0);
		r.pid = (pid_t)atoi(rig_read(&r, path));
		r.ended = false;
		rig_await_ready(&r);
		anew_install(ANEW_NEXT);
		goes_on();
		cr_expect_eq(rig_stop(&r), 0);
	}
}
