/*
 * A worker that calls shutdown(2) on its listener shuts everybody's. Clients
 * are served all the same, and it is said who did that.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/exec.h"

static void
setup(void)
{
	rig_setup();
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
}

TestSuite(listen_shut, .init = setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

#define NOTE	"listen.note msg=\"a worker has shut it down: it is " \
		"listened on again\""

/* It stays after its shutdown(2) as long as the gate is there; or NULL. */
static void
start(const char *addr, const char *accept, const char *gate)
{
	r.as_is = true;
	rig_start(&r, "-b", addr, "-w", "3", NOTIFY, SET(accept), "--",
	    exec_mis(), "shut", gate, NULL);
	rig_await_workers(&r, 3);
}

static const char *
unix_address(void)
{
	static char text[256];

	snprintf(text, sizeof(text), "unix:%s", rig_path("shut.sock"));
	return text;
}

static void
serves(void)
{
	for (int i = 0; i < 20; i++)
		if (strcmp(rig_ask(&r, "served\n"), "served\n") != 0)
			rig_fail(&r, "not served, at time %d", i);
}

static bool
is_refused(void)
{
	int fd = client_try(r.addr, 200);

	if (fd != -1)
		close(fd);
	return fd == -1;
}

/* ---- one that ends */

static void
one_ends(const char *addr, const char *accept)
{
	start(addr, accept, NULL);
	serves();
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, NOTE);
	rig_await_workers(&r, 2);
	serves();
}

Test(listen_shut, tcp_listens_again)
{
	one_ends("127.0.0.1:0", "listen.accept=shared");
	cr_expect(!rig_log_says(&r, "reload.start"));
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(is_refused());
}

Test(listen_shut, a_unix_socket_is_another_one_for_new_workers)
{
	one_ends(unix_address(), "listen.accept=shared");
	rig_await_log(&r, "reload.start why=listener");
	rig_await_log(&r, "reload.done");
	rig_await_workers(&r, 2);
	serves();
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_neq(access(rig_path("shut.sock"), F_OK), 0);
}

Test(listen_shut, a_group_keeps_its_order)
{
	one_ends("127.0.0.1:0", "listen.accept=reuseport");
	/* Nothing came to who is not there. */
	cr_expect_eq(rig_log_count(&r, "worker.start"), 3);
	rig_kill_worker(&r, 1, SIGTERM);
	cr_expect(eventually(rig_log_count(&r, NOTE) == 2));
	rig_await_workers(&r, 2);
	serves();
	cr_expect_eq(rig_log_count(&r, "worker.start"), 4);
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- one that stays */

Test(listen_shut, one_that_stops_slowly_is_not_waited_for)
{
	const char *gate = rig_file("gate", "");

	start("127.0.0.1:0", "listen.accept=shared", gate);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, NOTE);
	serves();
	cr_expect(!rig_log_says(&r, "worker.exit"));
	unlink(gate);
	cr_expect_eq(rig_stop(&r), 0);
}

/* The master does not know that one of its workers was told to stop. */
static void
is_dead(const char *addr, const char *accept)
{
	start(addr, accept, rig_file("gate", ""));
	for (int slot = 0; slot < 3; slot++)
		rig_kill_worker(&r, slot, SIGTERM);
	cr_expect(eventually(is_refused()));
	cr_expect(!rig_log_says(&r, "listen.note"));
}

static void
is_well(void)
{
	rig_await_log(&r, NOTE);
	cr_expect(eventually(!is_refused()));
	unlink(rig_path("gate"));
	/* Those that were told end, one by one. */
	cr_expect(eventually(rig_log_count(&r, "worker.exit") >= 3));
	rig_await_workers(&r, 3);
	serves();
	cr_expect_eq(rig_stop(&r), 0);
}

Test(listen_shut, a_crash_of_the_master_makes_tcp_listen_again)
{
	is_dead("127.0.0.1:0", "listen.accept=shared");
	anew_crash(&r, SIGSEGV);
	is_well();
}

Test(listen_shut, a_crash_of_the_master_makes_a_group_listen_again)
{
	is_dead("127.0.0.1:0", "listen.accept=reuseport");
	anew_crash(&r, SIGSEGV);
	is_well();
}

Test(listen_shut, a_crash_of_the_master_makes_a_unix_socket_anew)
{
	is_dead(unix_address(), "listen.accept=shared");
	anew_crash(&r, SIGSEGV);
	is_well();
}

Test(listen_shut, an_upgrade_makes_tcp_listen_again)
{
	is_dead("127.0.0.1:0", "listen.accept=shared");
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.done");
	is_well();
}
