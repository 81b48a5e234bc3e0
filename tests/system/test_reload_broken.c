/*
 * A reload to something that does not work: the workers there are stay and
 * serve, the reason is told with what the new one said last, and the next
 * good configuration takes force.
 */
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"
#include "tests/system/reloads.h"

TestSuite(reload_broken, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 90);

static struct rig r;

#define ECHO	"[pool]\nworkers = 2\n"
#define PROGRAM	ECHO "[worker]\nready = notify\ncommand = @MIS@ serve\n"

/* What is told of the failure: the line, and its words. */
static void
is_told(const char *reason)
{
	char line[2048];

	snprintf(line, sizeof(line), "%s", reload_fails(&r));
	cr_expect_not_null(strstr(line, "kept=all"), "%s", line);
	cr_expect_not_null(strstr(line, reason), "no %s: %s", reason, line);
}

/*
 * From good to broken, under load: the same workers go on, nobody else is
 * there, and whoever comes next is as the configuration before said. Then
 * to another good one.
 */
static void
fails(const char *good, const char *broken, const char *reason)
{
	pid_t before[2];
	struct exact *load;

	reload_start(&r, "%s", good);
	rig_await_workers(&r, 2);
	for (int slot = 0; slot < 2; slot++)
		before[slot] = rig_worker(&r, slot);
	load = reload_load(r.addr, false);
	reload_write("%s", broken);
	is_told(reason);
	rig_await_workers(&r, 2);
	for (int slot = 0; slot < 2; slot++)
		cr_expect(look_alive(before[slot]), "slot %d", slot);
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 2);
	kill(before[0], SIGKILL);
	cr_assert(eventually(rig_log_says(&r,
	    "worker.ready slot=0 gen=1") && rig_worker(&r, 0) != before[0]));
	exact_stop(load);	/* that one has cost a request */
	load = reload_load(r.addr, false);
	reload_write("%s\n[env]\nCOLOUR = blue\n", good);
	reload_succeeds(&r);
	cr_expect_eq(reload_generation(&r, 0), 3);
	cr_expect(reload_is_gone(before[1]));
	rig_await_workers(&r, 2);
	reload_unload(load, "the next good one");
	cr_expect_eq(rig_stop(&r), 0);
}

static void
program_fails(const char *broken, const char *reason)
{
	fails(PROGRAM, broken, reason);
}

Test(reload_broken, one_that_exits_at_once)
{
	program_fails(ECHO "[worker]\nready = notify\n"
	    "command = /bin/sh -c 'echo no database here >&2; exit 7'\n",
	    "exit code 7: no database here");
}

Test(reload_broken, one_that_exits_at_once_and_need_not_say_anything)
{
	program_fails(ECHO "[worker]\nready = alive:5s\n"
	    "command = /bin/sh -c 'echo no database here; exit 0'\n",
	    "no database here");
}

Test(reload_broken, one_that_says_that_it_will_never_start)
{
	program_fails(ECHO "[worker]\nready = notify\n"
	    "command = /bin/sh -c 'echo bad settings >&2; exit 78'\n",
	    "exit code 78: bad settings");
	cr_expect(!rig_log_says(&r, "slot.parked"));
}

Test(reload_broken, one_that_crashes)
{
	program_fails(ECHO "[worker]\nready = notify\ncommand = @MIS@ segv\n",
	    "ended by SIGSEGV");
	cr_expect(rig_log_says(&r, "worker.died gen=2 signal=SEGV"));
}

Test(reload_broken, one_that_hangs)
{
	program_fails(ECHO "[worker]\nready = notify\nready_timeout = 300ms\n"
	    "kill_timeout = 100ms\ncommand = /bin/sh -c 'trap \"\" TERM QUIT "
	    "ABRT; echo waiting for a lock; while :; do sleep 1; done'\n",
	    "not ready within ready_timeout: waiting for a lock");
	cr_expect(rig_log_says(&r, "worker.late gen=2 limit=ready_timeout"));
	cr_expect(rig_log_says(&r, "worker.kill slot=0"));
}

Test(reload_broken, one_that_serves_but_never_says_so)
{
	program_fails(ECHO "[worker]\nready = notify\nready_timeout = 300ms\n"
	    "command = @MIS@ silent\n", "not ready within ready_timeout");
	cr_expect(rig_log_says(&r, "worker.late gen=2 limit=ready_timeout"));
}

Test(reload_broken, one_that_is_not_there)
{
	program_fails(ECHO "[worker]\ncommand = /no/such/program\n",
	    "No such file");
}

Test(reload_broken, one_that_is_no_program)
{
	program_fails(ECHO "[worker]\ncommand = /etc/passwd\n",
	    "Permission denied");
}

/* It opens a port of its own in place of what it was given. */
Test(reload_broken, one_that_listens_elsewhere)
{
	program_fails(ECHO "[worker]\nready = notify\n"
	    "command = @MIS@ own-port\n", "127.0.0.1:");
}

Test(reload_broken, one_that_listens_elsewhere_and_says_nothing)
{
	program_fails(ECHO "[worker]\nready = alive:100ms\n"
	    "command = @MIS@ own-port\n", "127.0.0.1:");
}

/* It has lived for long enough to count as ready, but still loads. */
Test(reload_broken, one_that_dies_while_it_loads)
{
	program_fails(ECHO "[worker]\nready = alive:100ms\ncommand = /bin/sh "
	    "-c 'sleep 0.6; echo no such module >&2; exit 3'\n",
	    "exit code 3: no such module");
}

Test(reload_broken, one_that_never_takes_its_sockets)
{
	program_fails(ECHO "[worker]\nready = alive:100ms\n"
	    "ready_timeout = 900ms\ncommand = /usr/bin/python3 -c "
	    "'import signal; signal.pause()'\n",
	    "it does not use the sockets that it was given");
}

/* Each is waited for, not the first alone. */
Test(reload_broken, one_that_loads_for_long_is_good)
{
	struct exact *load;

	reload_start(&r, PROGRAM);
	rig_await_workers(&r, 2);
	load = reload_load(r.addr, false);
	reload_write(ECHO "[worker]\nready = alive:100ms\n"
	    "command = /bin/sh -c 'sleep 0.5; exec @MIS@ silent'\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 2);
	cr_expect_geq(rig_log_ms(&r, "reload.done", "took"), 900);
	reload_unload(load, "from one to the other");
	cr_expect_eq(rig_stop(&r), 0);
}

/* A port of its own is no fault: it is waited for. */
Test(reload_broken, one_that_comes_to_its_socket_later_is_good)
{
	struct exact *load;

	reload_start(&r, PROGRAM);
	rig_await_workers(&r, 2);
	load = reload_load(r.addr, false);
	reload_write(ECHO "[worker]\nready = notify\n"
	    "command = @MIS@ port-first 700\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 2);
	cr_expect_geq(rig_log_ms(&r, "reload.done", "took"), 600);
	cr_expect(!rig_log_says(&r, "worker.unused"));
	reload_unload(load, "from one to the other");
	cr_expect_eq(rig_stop(&r), 0);
}

/* Nobody needs its socket: as it has been all the time. */
Test(reload_broken, one_that_never_used_its_socket_is_good)
{
	reload_start(&r, ECHO "[worker]\nready = notify\n"
	    "command = @MIS@ own-port\n");
	rig_await_workers(&r, 2);
	reload_succeeds(&r);
	rig_await_workers(&r, 2);
	cr_expect_lt(rig_log_ms(&r, "reload.done", "took"), 3000);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Words are those of who failed, not of who failed before. */
Test(reload_broken, reasons_are_each_ones_own)
{
	reload_start(&r, PROGRAM);
	rig_await_workers(&r, 2);
	reload_write(ECHO "[worker]\nready = notify\n"
	    "command = /bin/sh -c 'echo no database here >&2; exit 7'\n");
	is_told("exit code 7: no database here");
	reload_write(ECHO "[worker]\nready = notify\ncapture_output = no\n"
	    "command = @MIS@ exit 3\n");
	is_told("exit code 3");
	cr_expect_null(strstr(rig_log_line(&r, "reload.failed"), "database"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload_broken, a_program_in_the_place_of_an_app)
{
	fails(ECHO, ECHO "[worker]\nready = notify\n"
	    "command = /bin/sh -c 'echo no database here >&2; exit 7'\n",
	    "exit code 7: no database here");
}

/* Too few descriptors for an event loop. */
Test(reload_broken, an_app_that_cannot_start)
{
	fails(ECHO, ECHO "[limits]\nnofile = 4\n", "");
	cr_expect(rig_log_says(&r, "worker.died gen=2"));
}

/* The old ones' place is given back entirely, address and number too. */
Test(reload_broken, new_addresses_and_numbers_are_taken_back)
{
	struct exact *load;

	reload_start(&r, "[listen]\nbind = 127.0.0.1:0\n" PROGRAM);
	rig_await_workers(&r, 2);
	load = reload_load(r.addr, false);
	reload_write("[listen]\nbind = unix:%s\n[pool]\nworkers = 6\n"
	    "max_workers = 6\nsurge = 3\n"
	    "[worker]\nready = notify\ncommand = @MIS@ exit 3\n",
	    rig_path("sock"));
	is_told("exit code 3");
	rig_await_workers(&r, 2);
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 2);
	cr_expect(eventually(access(rig_path("sock"), F_OK) != 0));
	cr_expect(rig_log_says(&r, "listen.closed"));
	reload_unload(load, "an address that came and went");
	rig_queue(&r, 6);	/* more than the other one let be */
	rig_await_workers(&r, 8);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Once one of them was ready the new configuration stays. */
Test(reload_broken, half_of_the_way_the_new_one_stays)
{
	struct exact *load;

	reload_start(&r, "[pool]\nworkers = 3\n[worker]\nready = notify\n"
	    "command = @MIS@ serve\n");
	load = reload_load(r.addr, false);
	reload_write("[pool]\nworkers = 3\nbackoff_min = 10ms\n"
	    "[worker]\nready = notify\ncommand = /bin/sh -c "
	    "'test $MUSTER_SLOT != 0 && exit 3; exec @MIS@ serve'\n");
	cr_expect_not_null(strstr(reload_fails(&r), "kept=workers"));
	rig_await_workers(&r, 3);
	cr_expect_eq(reload_generation(&r, 0), 2);
	for (int slot = 1; slot < 3; slot++)
		cr_expect_eq(reload_generation(&r, slot), 1);
	reload_write("[pool]\nworkers = 3\n[worker]\nready = notify\n"
	    "command = @MIS@ serve\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 3);
	reload_unload(load, "half of a reload");
	cr_expect_eq(rig_stop(&r), 0);
}

/* Many failures in a row leave nothing behind. */
Test(reload_broken, failures_cost_no_descriptor)
{
	int fds = 0;

	reload_start(&r, PROGRAM);
	rig_await_workers(&r, 2);
	reload_write("[listen]\nbind = unix:%s\n" ECHO
	    "[worker]\nready = notify\ncommand = @MIS@ exit 3\n",
	    rig_path("sock"));
	for (int i = 0; i < rig_soak(12); i++) {
		is_told("");
		if (i == 3)
			fds = look_fds(r.pid);
	}
	cr_expect(eventually(look_fds(r.pid) <= fds), "%d, then %d", fds,
	    look_fds(r.pid));
	rig_await_workers(&r, 2);
	reload_serves(&r);
	cr_expect_eq(rig_stop(&r), 0);
}
