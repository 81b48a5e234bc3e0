/* Signals to the master, section 3. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(signals, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

Test(signals, ttin_adds_one_worker)
{
	rig_start(&r, "-w", "1", NULL);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 2);
	cr_expect(rig_log_says(&r, "pool.scale from=1 to=2"));
}

Test(signals, ttou_removes_one_worker_gracefully)
{
	rig_start(&r, "-w", "3", NULL);
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, 2);
	rig_await_log(&r, "worker.exit code=0");
	cr_expect(!rig_log_says(&r, "worker.kill"));
}

Test(signals, ttou_lets_a_line_in_the_middle_finish)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = rig_connect(&r);
	client_say(fd, "half");
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "worker.stop");
	client_say(fd, " and half\n");
	cr_expect_str_eq(client_hear(fd), "half and half\n");
	rig_await_workers(&r, 1);
}

Test(signals, ttou_never_goes_below_one)
{
	rig_start(&r, "-w", "1", NULL);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "pool.scale");
	cr_expect(always_ms(rig_count(&r) == 1, 200));
}

Test(signals, limits_narrow_the_scaling_and_say_so)
{
	rig_start(&r, "-w", "3", "-s", "pool.min_workers=3", "-s",
	    "pool.max_workers=4", NULL);
	rig_signal(&r, SIGTTOU);
	rig_await_log(&r, "pool.scale from=3 to=3");
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 4);
	rig_signal(&r, SIGTTIN);
	rig_await_log(&r, "pool.scale from=4 to=4");
	cr_expect(rig_log_line(&r, "pool.scale from=4 to=4") != NULL &&
	    strstr(rig_log_line(&r, "pool.scale from=4 to=4"), "max_workers")
	    != NULL, "%s", rig_log_line(&r, "pool.scale from=4 to=4"));
	cr_expect_eq(rig_count(&r), 4);
}

Test(signals, every_delivered_ttin_counts)
{
	rig_start(&r, "-w", "1", NULL);
	for (int i = 1; i <= 12; i++) {	/* the kernel would merge them */
		rig_signal(&r, SIGTTIN);
		cr_assert(eventually(rig_log_count(&r, "signal.received") ==
		    i));
	}
	rig_await_workers(&r, 13);
}

Test(signals, the_log_says_who_sent_it)
{
	char text[128], comm[32];

	rig_start(&r, "-w", "1", NULL);
	snprintf(comm, sizeof(comm), "%s", look_file(getpid(), "comm"));
	comm[strcspn(comm, "\n")] = '\0';
	snprintf(text, sizeof(text), "SIGTERM from pid %d (%s) uid %d",
	    (int)getpid(), comm, (int)getuid());
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(rig_log_has(&r, text), "no \"%s\" in: %s", text,
	    rig_log_line(&r, "signal.received"));
}

Test(signals, queued_values_scale_exactly)
{
	rig_start(&r, "-w", "2", NULL);
	rig_queue(&r, 5);
	rig_await_workers(&r, 7);
	rig_queue(&r, -4);
	rig_await_workers(&r, 3);
}

Test(signals, queued_values_are_exact_at_any_speed)
{
	rig_start(&r, "-w", "2", NULL);
	rig_queue(&r, 8);
	for (int i = 0; i < 50; i++) {
		rig_queue(&r, 1);
		rig_queue(&r, -1);
	}
	for (int i = 0; i < 4; i++)
		rig_queue(&r, -1);
	rig_await_workers(&r, 6);
	cr_expect(always_ms(rig_count(&r) == 6, 100));
}

Test(signals, a_value_is_needed)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGRTMIN + 1);
	rig_await_log(&r, "signal.ignored");
	cr_expect(always_ms(rig_count(&r) == 2, 100));
	cr_expect(!rig_log_says(&r, "pool.scale"));
}

Test(signals, a_value_beyond_the_limits_is_cut_and_logged)
{
	rig_start(&r, "-w", "2", "-s", "pool.max_workers=3", NULL);
	rig_queue(&r, 10000);
	rig_await_workers(&r, 3);
	cr_expect(rig_log_says(&r, "pool.scale from=2 to=3"));
	rig_queue(&r, -10000);
	rig_await_workers(&r, 1);
}

/* A worker that cannot leave yet: its client is in the middle of a line. */
static int
hold_worker(void)
{
	int fd = rig_connect(&r);

	client_say(fd, "first\nin the middle");
	cr_assert_str_eq(client_hear(fd), "first\n");
	return fd;
}

static void
expect_graceful(int signo)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = hold_worker();
	rig_signal(&r, signo);
	rig_await_log(&r, "pool.stop mode=graceful");
	cr_expect(always_ms(!rig_ended(&r), 100));
	client_say(fd, " no more\n");
	cr_expect_str_eq(client_hear(fd), "in the middle no more\n");
	cr_expect(client_ended(fd));
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(signals, term_is_a_graceful_stop)
{
	expect_graceful(SIGTERM);
}

Test(signals, int_is_a_graceful_stop)
{
	expect_graceful(SIGINT);
}

Test(signals, quit_is_a_fast_stop)
{
	int64_t from;

	rig_start(&r, "-w", "2", NULL);
	hold_worker();
	from = rig_now_ms();
	rig_signal(&r, SIGQUIT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect_lt(rig_now_ms() - from, 4000);
	cr_expect(rig_log_says(&r, "pool.stop mode=fast"));
	cr_expect(rig_log_says(&r, "worker.stop signal=QUIT"), "%s",
	    rig_log_line(&r, "worker.stop"));
	cr_expect(!rig_log_says(&r, "worker.kill"));
}

Test(signals, fast_signal_is_term_where_stop_signal_is_quit)
{
	rig_start(&r, "-w", "1", "-s", "worker.stop_signal=QUIT", NULL);
	hold_worker();
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "worker.stop signal=QUIT");
	rig_signal(&r, SIGQUIT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "worker.stop signal=TERM"));
}

static void
expect_second_is_fast(int first, int second)
{
	rig_start(&r, "-w", "2", NULL);
	hold_worker();
	rig_signal(&r, first);
	rig_await_log(&r, "pool.stop mode=graceful");
	rig_signal(&r, second);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "pool.stop mode=fast"));
}

Test(signals, a_second_term_is_a_fast_stop)
{
	expect_second_is_fast(SIGTERM, SIGTERM);
}

Test(signals, a_second_int_is_a_fast_stop)
{
	expect_second_is_fast(SIGINT, SIGINT);
}

Test(signals, two_stops_in_one_turn_are_two)
{
	rig_start(&r, "-w", "2", NULL);
	hold_worker();
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	rig_signal(&r, SIGINT);
	rig_signal(&r, SIGTERM);
	rig_signal(&r, SIGCONT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "pool.stop mode=fast"));
}

Test(signals, the_most_immediate_of_one_turn_comes_first)
{
	rig_start(&r, "-w", "2", NULL);
	hold_worker();
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	rig_signal(&r, SIGTTIN);
	rig_signal(&r, SIGINT);
	rig_signal(&r, SIGTERM);
	rig_signal(&r, SIGQUIT);
	rig_signal(&r, SIGCONT);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "pool.stop mode=fast"));
	cr_expect(!rig_log_says(&r, "pool.stop mode=graceful"));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
}

Test(signals, up_and_down_in_one_turn_is_nothing)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGSTOP);
	cr_assert(eventually(look_state(r.pid) == 'T'));
	rig_signal(&r, SIGTTIN);
	rig_signal(&r, SIGTTOU);
	rig_signal(&r, SIGUSR1);
	rig_signal(&r, SIGCONT);
	rig_await_text(&r, "SIGUSR1 from");
	cr_expect(always_ms(rig_count(&r) == 2, 100));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect(!rig_log_says(&r, "worker.stop"));
}

Test(signals, hup_replaces_all_workers_one_by_one)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=2");
	cr_expect_eq(rig_log_count(&r, "worker.start gen=2 why=renew"), 2);
	cr_assert(eventually(rig_count(&r) == 2));
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(signals, hup_with_a_bad_configuration_changes_nothing)
{
	const char	*file = rig_file("m.ini", "[pool]\nworkers = 2\n");

	rig_start(&r, "-c", file, NULL);
	rig_file("m.ini", "[pool]\nworkers = 2x\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed");
	cr_expect(rig_log_has(&r, "m.ini:2: [pool] workers"));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	rig_file("m.ini", "[pool]\nworkers = 3\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=2");
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(signals, usr2_goes_on_in_the_same_process_with_the_same_sockets)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.done");
	rig_await_log(&r, "reload.done");
	cr_expect_eq(rig_log_int(&r, "upgrade.done", "pid"), r.pid);
	cr_assert(eventually(rig_count(&r) == 3), "its scale is kept");
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	rig_signal(&r, SIGTTOU);
	cr_assert(eventually(rig_count(&r) == 2), "signals work as before");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(signals, pipe_and_its_like_do_nothing)
{
	rig_start(&r, "-w", "1", NULL);
	rig_signal(&r, SIGPIPE);
	rig_signal(&r, SIGURG);
	rig_signal(&r, SIGTSTP);
	rig_signal(&r, SIGCONT);
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
	cr_expect_eq(rig_stop(&r), 0);
}

Test(signals, winch_detached_drains_and_ttin_restores_plus_one)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGWINCH);
	rig_await_log(&r, "pool.drain");
	cr_assert(eventually(rig_count(&r) == 0));
	cr_expect_neq(client_try(r.addr, 1000), -1, "its socket is gone");
	rig_signal(&r, SIGTTOU);
	cr_expect(always_ms(rig_count(&r) == 0, 100));
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect_str_eq(rig_ask(&r, "back\n"), "back\n");
}

Test(signals, winch_drains_gracefully)
{
	int fd;

	rig_start(&r, "-w", "1", NULL);
	fd = hold_worker();
	rig_signal(&r, SIGWINCH);
	rig_await_log(&r, "worker.stop");
	client_say(fd, " ended\n");
	cr_expect_str_eq(client_hear(fd), "in the middle ended\n");
	cr_expect(eventually(rig_count(&r) == 0));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(signals, a_drained_master_stops_as_any_other)
{
	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGWINCH);
	rig_await_log(&r, "pool.drain");
	cr_assert(eventually(rig_count(&r) == 0));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(signals, what_waits_for_a_drained_master_is_served_by_the_next)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	rig_signal(&r, SIGWINCH);
	cr_assert(eventually(rig_count(&r) == 0));
	client_say(fd = rig_connect(&r), "I can wait\n");
	rig_signal(&r, SIGTTIN);
	cr_expect_str_eq(client_hear(fd), "I can wait\n");
}

Test(signals, they_can_be_mapped_to_other_effects)
{
	rig_start(&r, "-w", "2", "-s", "signals.QUIT=stop", "-s",
	    "signals.USR2=ignore", "-s", "signals.HUP=scale-up", "-s",
	    "signals.USR1=scale-down", "-s", "signals.TERM=fast-stop", NULL);
	rig_signal(&r, SIGUSR2);
	rig_signal(&r, SIGHUP);
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGUSR1);
	rig_await_workers(&r, 2);
	hold_worker();
	rig_signal(&r, SIGQUIT);
	rig_await_log(&r, "pool.stop mode=graceful");
	rig_signal(&r, SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "pool.stop mode=fast"));
}

Test(signals, drain_and_reopen_can_be_mapped_too)
{
	rig_start(&r, "-w", "2", "-s", "signals.USR2=drain", "-s",
	    "signals.WINCH=reopen", NULL);
	rig_signal(&r, SIGWINCH);
	cr_expect(always_ms(rig_count(&r) == 2, 50));
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "pool.drain");
	cr_expect(eventually(rig_count(&r) == 0));
}
