/* The stop, sections 4 and 6: nothing is lost, and it always ends. */
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(stop, .init = rig_setup, .fini = rig_cleanup, .timeout = 300);

static struct rig r;

static void
stop_under_load(const char *addr, const char *accept, int rounds)
{
	struct crowd_counts counts;
	struct crowd *crowd;
	char set[64];

	snprintf(set, sizeof(set), "listen.accept=%s", accept);
	for (int i = 0; i < rig_soak(rounds); i++) {
		rig_start(&r, "-w", "3", "-b", addr, "-s", set, NULL);
		crowd = crowd_start(r.addr, 16);
		rig_signal(&r, SIGTERM);
		cr_expect_eq(rig_exit_code(&r), 0);
		counts = crowd_stop(crowd);
		cr_expect_eq(counts.lost, 0, "round %d: %d of %d lost, the "
		    "first: %s", i, (int)counts.lost, (int)counts.answered,
		    counts.first);
	}
}

Test(stop, loses_no_connection_under_load)
{
	stop_under_load("127.0.0.1:0", "auto", 8);
}

Test(stop, loses_no_connection_with_a_shared_socket)
{
	stop_under_load("127.0.0.1:0", "shared", 4);
}

Test(stop, loses_no_connection_with_reuseport)
{
	stop_under_load("127.0.0.1:0", "reuseport", 4);
}

Test(stop, loses_no_connection_on_a_unix_socket)
{
	char addr[256];

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	stop_under_load(addr, "auto", 4);
}

Test(stop, loses_no_connection_on_an_abstract_socket)
{
	stop_under_load(rig_abstract(), "auto", 4);
}

Test(stop, answers_every_line_that_has_arrived)
{
	char line[32], want[32];
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = rig_connect(&r);
	client_say(fd, "known\n");
	cr_assert_str_eq(client_hear(fd), "known\n");
	rig_kill_worker(&r, 0, SIGSTOP);
	for (int i = 0; i < 500; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		client_say(fd, line);
	}
	rig_signal(&r, SIGTERM);	/* the worker gets CONT, too */
	for (int i = 0; i < 500; i++) {
		snprintf(want, sizeof(want), "line %d\n", i);
		cr_assert_str_eq(client_hear(fd), want);
	}
	cr_expect(client_ended(fd));
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(stop, serves_what_waits_in_the_queue)
{
	pid_t pids[RIG_MAX];
	int fds[20], count;
	char want[32];

	rig_start(&r, "-w", "2", NULL);
	count = rig_workers(&r, pids);
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGSTOP);
	for (int i = 0; i < 20; i++) {
		snprintf(want, sizeof(want), "queued %d\n", i);
		client_say(fds[i] = rig_connect(&r), want);
	}
	rig_signal(&r, SIGTERM);
	for (int i = 0; i < 20; i++) {
		snprintf(want, sizeof(want), "queued %d\n", i);
		cr_expect_str_eq(client_hear(fds[i]), want);
	}
	cr_expect_eq(rig_exit_code(&r), 0);
}

/* It was told that it is connected; the machine is busy, its turn is late. */
Test(stop, hears_the_first_words_of_who_has_just_connected)
{
	char unix_addr[256];
	int fds[2];

	snprintf(unix_addr, sizeof(unix_addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-w", "1", "-b", unix_addr, NULL);
	fds[0] = rig_connect(&r);
	fds[1] = client_connect(unix_addr);
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "worker.stop");
	cr_expect(always_ms(!rig_ended(&r), 400));
	for (int i = 0; i < 2; i++) {
		client_say(fds[i], "late\n");
		cr_expect_str_eq(client_hear(fds[i]), "late\n");
		cr_expect(client_ended(fds[i]));
	}
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(stop, does_not_wait_long_for_who_says_nothing)
{
	int64_t from;
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = rig_connect(&r);
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	cr_expect(client_ended(fd));
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect_lt(rig_now_ms() - from, 8000);
}

Test(stop, closes_idle_connections_at_once)
{
	int64_t from;
	int fds[10];

	rig_start(&r, "-w", "2", NULL);
	for (int i = 0; i < 10; i++) {
		client_say(fds[i] = rig_connect(&r), "here\n");
		cr_assert_str_eq(client_hear(fds[i]), "here\n");
	}
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	for (int i = 0; i < 10; i++)
		cr_expect(client_ended(fds[i]));
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect_lt(rig_now_ms() - from, 5000);
}

Test(stop, closes_unfinished_lines_at_graceful_timeout)
{
	int64_t from;
	int fds[5];

	rig_start(&r, "-w", "2", "-s", "worker.graceful_timeout=600ms", NULL);
	for (int i = 0; i < 5; i++) {
		client_say(fds[i] = rig_connect(&r), "a\nunfinished");
		cr_assert_str_eq(client_hear(fds[i]), "a\n");
	}
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	for (int i = 0; i < 5; i++)
		cr_expect(client_ended(fds[i]));
	cr_expect_geq(rig_now_ms() - from, 300);
	cr_expect_eq(rig_exit_code(&r), 0, "%s",
	    rig_log_line(&r, "worker.kill"));
	cr_expect_lt(rig_now_ms() - from, 3000);
}

/*
 * Held as a debugger does it: what the master sends waits, but KILL. Its end
 * is told to us first, so we have to wait for it, too.
 */
static pid_t
freeze_worker(void)
{
	pid_t pid = rig_worker(&r, 0);

	cr_assert_eq(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0, "%s",
	    strerror(errno));
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	cr_assert_eq(waitpid(pid, NULL, __WALL), pid);
	return pid;
}

static int
exit_code_with_frozen(pid_t pid)
{
	cr_assert(eventually(waitpid(pid, NULL, __WALL | WNOHANG) == pid),
	    "the worker was not killed");
	return rig_exit_code(&r);
}

Test(stop, kills_after_graceful_timeout_and_says_whom)
{
	int64_t from;
	pid_t pid;

	rig_start(&r, "-w", "1", "-s", "worker.graceful_timeout=400ms",
	    NULL);
	pid = freeze_worker();
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	cr_expect_eq(exit_code_with_frozen(pid), 1);
	cr_expect_geq(rig_now_ms() - from, 390);
	cr_expect(rig_log_says(&r, "worker.kill slot=0"));
	cr_expect(rig_log_says(&r, "master.stop code=1"));
}

Test(stop, fast_kills_after_kill_timeout)
{
	int64_t from;
	pid_t pid;

	rig_start(&r, "-w", "1", "-s", "worker.kill_timeout=300ms", NULL);
	pid = freeze_worker();
	from = rig_now_ms();
	rig_signal(&r, SIGQUIT);
	cr_expect_eq(exit_code_with_frozen(pid), 1);
	cr_expect_geq(rig_now_ms() - from, 290);
	cr_expect(rig_log_says(&r, "worker.kill slot=0"));
}

Test(stop, graceful_timeout_0_kills_at_once)
{
	int64_t from;
	int code;

	rig_start(&r, "-w", "1", "-s", "worker.graceful_timeout=0", NULL);
	client_say(rig_connect(&r), "unfinished");
	from = rig_now_ms();
	code = rig_stop(&r);
	cr_expect(code == 0 || code == 1, "%d", code);
	cr_expect_lt(rig_now_ms() - from, 3000);
}

/* Held by a client, on its way out. */
static int
stop_but_hold(void)
{
	int fd = rig_connect(&r);

	client_say(fd, "a\nunfinished");
	cr_assert_str_eq(client_hear(fd), "a\n");
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "worker.stop");
	rig_await_log(&r, "listen.closed");
	return fd;
}

static void
expect_no_new_connections(void)
{
	int fd = stop_but_hold();

	cr_expect(eventually_ms(client_try(r.addr, 300) == -1, 2000));
	cr_expect_eq(client_try(r.addr, 300), -1);
	client_say(fd, "\n");
	cr_expect_str_eq(client_hear(fd), "unfinished\n");
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(stop, takes_no_new_connections)
{
	rig_start(&r, "-w", "1", NULL);
	expect_no_new_connections();
}

Test(stop, takes_no_new_connections_on_a_unix_socket)
{
	char addr[256];

	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	rig_start(&r, "-w", "1", "-b", addr, NULL);
	expect_no_new_connections();
}

/* Held in the middle of a line, a worker on its way out just waits. */
static void
expect_patient_drain(const char *addr)
{
	int64_t cpu;
	int fd;

	rig_start(&r, "-w", "1", "-b", addr, NULL);
	fd = stop_but_hold();
	cpu = look_cpu_ms(rig_worker(&r, 0)) + look_cpu_ms(r.pid);
	cr_expect(always_ms(!rig_ended(&r), 500));
	cpu = look_cpu_ms(rig_worker(&r, 0)) + look_cpu_ms(r.pid) - cpu;
	cr_expect_leq(cpu, 60, "%d ms of CPU", (int)cpu);
	close(fd);
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(stop, draining_burns_no_cpu)
{
	char addr[256];

	expect_patient_drain("127.0.0.1:0");
	expect_patient_drain(rig_abstract());
	snprintf(addr, sizeof(addr), "unix:%s", rig_path("sock"));
	expect_patient_drain(addr);
}

Test(stop, serves_on_during_stop_delay)
{
	int64_t from;

	rig_start(&r, "-w", "2", "-s", "worker.stop_delay=700ms", NULL);
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "pool.stop");
	while (rig_now_ms() < from + 500)
		cr_assert_str_eq(rig_ask(&r, "still\n"), "still\n");
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect_geq(rig_now_ms() - from, 690);
}

Test(stop, a_second_term_cuts_the_stop_delay_short)
{
	int64_t from;

	rig_start(&r, "-w", "2", "-s", "worker.stop_delay=60s", NULL);
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "pool.stop");
	rig_signal(&r, SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect_lt(rig_now_ms() - from, 5000);
}

Test(stop, replaces_workers_that_die_during_stop_delay)
{
	rig_start(&r, "-w", "1", "-s", "worker.stop_delay=1500ms", NULL);
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "pool.stop");
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") == 2));
	cr_expect_str_eq(rig_ask(&r, "still\n"), "still\n");
	rig_exit_code(&r);
}

Test(stop, works_while_workers_are_starting)
{
	for (int i = 0; i < rig_soak(10); i++) {
		rig_launch(&r, "-w", "4", NULL);
		rig_await_log(&r, i % 2 == 0 ? "listen.open" : "worker.start");
		rig_signal(&r, SIGTERM);
		cr_expect_eq(rig_exit_code(&r), 0, "%s",
		    rig_read(&r, r.err));
	}
}

Test(stop, works_while_a_slot_waits)
{
	rig_start(&r, "-w", "1", "-s", "pool.min_uptime=60s", "-s",
	    "pool.backoff_min=60s", NULL);
	rig_kill_worker(&r, 0, SIGKILL);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") == 2));
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_log(&r, "slot.wait");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(stop, takes_stopped_workers_along)
{
	rig_start(&r, "-w", "2", NULL);
	rig_kill_worker(&r, 0, SIGSTOP);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(!rig_log_says(&r, "worker.kill"));
}

Test(stop, leaves_no_process)
{
	pid_t pids[RIG_MAX];

	rig_start(&r, "-w", "4", NULL);
	rig_ask(&r, "x\n");
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(look_descendants(getpid(), pids, RIG_MAX), 0);
}
