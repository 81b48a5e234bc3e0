/* How connections reach the workers, section 5: accept, max_connections. */
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(accept, .init = rig_setup, .fini = rig_cleanup, .timeout = 300);

static struct rig r;

#define LONG	256
#define SPREAD	8

/* 256 connections that stay, one after the other, over 8 workers. */
static void
expect_spread(int least, int most)
{
	int before[SPREAD], fd, n;

	rig_await_log(&r, "pool.ready");
	for (int i = 0; i < SPREAD; i++)
		before[i] = look_sockets(rig_worker(&r, i));
	for (int i = 0; i < LONG; i++) {
		fd = rig_connect(&r);
		client_say(fd, "x\n");
		cr_assert_str_eq(client_hear(fd), "x\n");
	}
	for (int i = 0; i < SPREAD; i++) {
		n = look_sockets(rig_worker(&r, i)) - before[i];
		cr_expect(n >= least && n <= most, "slot %d has %d", i, n);
	}
}

Test(accept, long_connections_spread_evenly)
{
	rig_start(&r, "-w", "8", NULL);
	cr_expect(!rig_log_says(&r, "accept.mode"));
	expect_spread(24, 40);
}

Test(accept, reuseport_spreads_by_chance)
{
	rig_start(&r, "-w", "8", "-s", "listen.accept=reuseport", NULL);
	expect_spread(8, 80);
}

static void
expect_lossless_scaling(const char *mode)
{
	struct crowd_counts counts;
	struct crowd *crowd;
	char set[64];

	snprintf(set, sizeof(set), "listen.accept=%s", mode);
	rig_start(&r, "-w", "4", "-s", set, NULL);
	crowd = crowd_start(r.addr, 16);
	for (int i = 0; i < rig_soak(6); i++) {
		rig_queue(&r, 3);
		rig_await_workers(&r, 7);
		rig_queue(&r, -4);
		rig_await_workers(&r, 3);
		rig_queue(&r, 1);
		rig_await_workers(&r, 4);
	}
	counts = crowd_stop(crowd);
	cr_expect_eq(counts.lost, 0, "%d of %d lost, the first: %s",
	    (int)counts.lost, (int)counts.answered, counts.first);
	cr_expect_eq(counts.refused, 0);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(accept, scaling_under_load_loses_nothing)
{
	expect_lossless_scaling("auto");
}

Test(accept, scaling_under_load_loses_nothing_shared)
{
	expect_lossless_scaling("shared");
}

Test(accept, scaling_under_load_loses_nothing_with_reuseport)
{
	expect_lossless_scaling("reuseport");
}

Test(accept, reuseport_on_a_unix_socket_is_shared_and_says_so)
{
	rig_start(&r, "-w", "2", "-b", rig_abstract(), "-s",
	    "listen.accept=reuseport", NULL);
	cr_expect(rig_log_says(&r, "listen.note"), "nothing is said");
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, 1);
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
}

Test(accept, every_mode_serves)
{
	const char *const modes[] = { "auto", "shared", "exclusive",
		"reuseport" };
	char set[64];

	for (int i = 0; i < 4; i++) {
		snprintf(set, sizeof(set), "listen.accept=%s", modes[i]);
		rig_start(&r, "-w", "2", "-s", set, NULL);
		for (int n = 0; n < 10; n++)
			cr_expect_str_eq(rig_ask(&r, "m\n"), "m\n");
		cr_expect_eq(rig_stop(&r), 0);
	}
}

Test(accept, a_worker_takes_max_connections_and_no_more)
{
	int first, second, third;
	char byte;

	rig_start(&r, "-w", "1", "-s", "worker.max_connections=2", NULL);
	first = rig_connect(&r);
	second = rig_connect(&r);
	client_say(first, "1\n");
	client_say(second, "2\n");
	cr_expect_str_eq(client_hear(first), "1\n");
	cr_expect_str_eq(client_hear(second), "2\n");
	third = rig_connect(&r);
	client_say(third, "3\n");
	cr_expect(always_ms(recv(third, &byte, 1, MSG_DONTWAIT) == -1, 200));
	close(first);
	cr_expect_str_eq(client_hear(third), "3\n");
}

/* More clients than the worker has descriptors: wait, do not spin. */
static void
expect_patience(void)
{
	int fds[60], served = 0;
	int64_t cpu;
	char byte;

	for (int i = 0; i < 60; i++) {
		fds[i] = rig_connect(&r);
		client_say(fds[i], "x\n");
	}
	cr_assert(eventually(recv(fds[0], &byte, 1, MSG_DONTWAIT) == 1));
	cpu = look_cpu_ms(rig_worker(&r, 0));
	cr_assert(always_ms(look_alive(rig_worker(&r, 0)), 800));
	cpu = look_cpu_ms(rig_worker(&r, 0)) - cpu;
	cr_expect_leq(cpu, 200, "%d ms of CPU", (int)cpu);
	for (int i = 0; i < 60; i++) {
		served += recv(fds[i], &byte, 1, 0) == 1;
		close(fds[i]);
	}
	cr_expect_eq(served, 60, "%d of 60 served", served);
}

Test(accept, without_descriptors_it_waits_and_does_not_spin)
{
	rig_start(&r, "-w", "1", "-s", "limits.nofile=40", "-s",
	    "worker.max_connections=1000", NULL);
	expect_patience();
	cr_expect(rig_log_says(&r, "accept.paused"));
	cr_expect_leq(rig_log_count(&r, "accept.paused"), 60);
}

Test(accept, by_default_nofile_bounds_the_connections)
{
	rig_start(&r, "-w", "1", "-s", "limits.nofile=40", NULL);
	expect_patience();
	cr_expect(!rig_log_says(&r, "accept.paused"), "%s",
	    rig_log_line(&r, "accept.paused"));
}

Test(accept, stopped_workers_leave_the_connections_to_the_others)
{
	rig_start(&r, "-w", "4", NULL);
	rig_await_workers(&r, 4);
	for (int i = 0; i < 3; i++) {
		rig_kill_worker(&r, i, SIGSTOP);
		cr_assert(eventually(look_state(rig_worker(&r, i)) == 'T'));
	}
	for (int i = 0; i < 40; i++)
		cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
}

Test(accept, an_idle_pool_does_not_burn_cpu)
{
	int64_t cpu;

	rig_start(&r, "-w", "4", NULL);
	rig_await_workers(&r, 4);
	cpu = look_cpu_ms(r.pid);
	for (int i = 0; i < 4; i++)
		cpu += look_cpu_ms(rig_worker(&r, i));
	cr_assert(always_ms(!rig_ended(&r), 1000));
	cpu = -cpu + look_cpu_ms(r.pid);
	for (int i = 0; i < 4; i++)
		cpu += look_cpu_ms(rig_worker(&r, i));
	cr_expect_leq(cpu, 50, "%d ms of CPU", (int)cpu);
}
