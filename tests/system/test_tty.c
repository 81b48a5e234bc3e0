/* On a terminal: section 3. */
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(tty, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r = { .tty = true };

static int
hold_worker(void)
{
	int fd = rig_connect(&r);

	client_say(fd, "first\nin the middle");
	cr_assert_str_eq(client_hear(fd), "first\n");
	return fd;
}

Test(tty, ctrl_c_is_one_graceful_stop)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = hold_worker();
	cr_assert_eq(write(r.tty_fd, "\003", 1), 1);
	rig_await_log(&r, "pool.stop mode=graceful");
	client_say(fd, " of it\n");
	cr_expect_str_eq(client_hear(fd), "in the middle of it\n");
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect_eq(rig_log_count(&r, "signal.received"), 1);
	cr_expect(!rig_log_says(&r, "worker.died"));
	cr_expect(!rig_log_says(&r, "pool.stop mode=fast"));
}

Test(tty, a_second_ctrl_c_is_a_fast_stop)
{
	rig_start(&r, "-w", "2", NULL);
	hold_worker();
	cr_assert_eq(write(r.tty_fd, "\003", 1), 1);
	rig_await_log(&r, "pool.stop mode=graceful");
	cr_assert_eq(write(r.tty_fd, "\003", 1), 1);
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(rig_log_says(&r, "pool.stop mode=fast"));
}

Test(tty, a_resize_is_ignored)
{
	struct winsize size = { .ws_row = 50, .ws_col = 132 };

	rig_start(&r, "-w", "2", NULL);
	cr_assert_eq(ioctl(r.tty_fd, TIOCSWINSZ, &size), 0);
	cr_expect(always_ms(rig_count(&r) == 2, 150));
	rig_signal(&r, SIGWINCH);
	cr_expect(always_ms(rig_count(&r) == 2, 150));
	cr_expect(!rig_log_says(&r, "pool.drain"));
	cr_expect_str_eq(rig_ask(&r, "x\n"), "x\n");
}

Test(tty, a_hang_up_is_a_graceful_stop)
{
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = hold_worker();
	close(r.tty_fd);
	rig_await_log(&r, "pool.stop mode=graceful");
	client_say(fd, " of it\n");
	cr_expect_str_eq(client_hear(fd), "in the middle of it\n");
	cr_expect_eq(rig_exit_code(&r), 0);
}

/* ---- as a job in the background of a shell */

/* In the shell's process: the master runs on in a child, in a group of its
 * own, behind a terminal that stops those who write from the background. */
static void
job(void *arg)
{
	struct termios tio;
	int status;
	pid_t pid;

	(void)arg;
	tcgetattr(STDIN_FILENO, &tio);
	tio.c_lflag |= TOSTOP;
	tcsetattr(STDIN_FILENO, TCSANOW, &tio);
	signal(SIGHUP, SIG_IGN);
	if ((pid = fork()) == 0) {
		signal(SIGHUP, SIG_DFL);
		setpgid(0, 0);
		return;
	}
	setpgid(pid, pid);
	while (waitpid(pid, &status, 0) != pid)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static struct rig master;	/* as r, but the job's pid */

static void
find_master(void)
{
	pid_t pid = 0;

	cr_assert(eventually(look_children(r.pid, &pid, 1) == 1 &&
	    getpgid(pid) == pid));
	master = r;
	master.pid = pid;
}

/* What the terminal showed, all of it. */
static bool
shows(const char *text)
{
	static char screen[65536];
	static size_t len;
	ssize_t got;

	fcntl(r.tty_fd, F_SETFL, O_NONBLOCK);
	while (len < sizeof(screen) - 1 && (got = read(r.tty_fd, screen + len,
	    sizeof(screen) - 1 - len)) > 0)
		len += (size_t)got;
	screen[len] = '\0';
	return strstr(screen, text) != NULL;
}

Test(tty, in_the_background_it_neither_hangs_nor_scales)
{
	r.child = job;
	r.log = "the terminal";
	rig_launch(&r, "-w", "2", "-b", rig_abstract(), NULL);
	find_master();
	cr_assert(eventually(shows("pool.ready")), "nothing is shown");
	for (int i = 0; i < 5; i++) {
		rig_signal(&master, SIGUSR1);
		rig_nap();
	}
	cr_assert(eventually(shows("SIGUSR1 from")));
	cr_expect_str_eq(client_ask(rig_abstract(), "alive\n"), "alive\n");
	cr_expect(always_ms(rig_count(&master) == 2, 200));
	cr_expect(!shows("pool.scale"));
	rig_signal(&master, SIGTTIN);	/* from us: that counts */
	cr_expect(eventually(rig_count(&master) == 3));
	rig_signal(&master, SIGTERM);
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(tty, a_hup_once_the_terminal_is_gone_is_a_stop)
{
	r.child = job;
	rig_start(&r, "-w", "2", NULL);
	find_master();
	close(r.tty_fd);
	cr_expect(always_ms(look_alive(master.pid), 50));
	kill(master.pid, SIGHUP);
	rig_await_log(&r, "pool.stop mode=graceful");
	cr_expect_eq(rig_exit_code(&r), 0);
}
