#include "worker/stop.h"

#include <sys/eventfd.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "common/conf.h"

static int			 wake_fd = -1;
static volatile sig_atomic_t	 sender;

static void
handle_stop(int signo, siginfo_t *info, void *context)
{
	static const uint64_t	 one = 1;
	int			 saved = errno;

	(void)signo;
	(void)context;
	sender = info->si_pid;
	if (write(wake_fd, &one, sizeof(one)) == -1) {
		/* It is full: the loop will wake anyway. */
	}
	errno = saved;
}

static void
handle_fast(int signo)
{
	(void)signo;
	_exit(0);
}

int
stop_install(const struct conf_worker *conf)
{
	struct sigaction	 ignore = { .sa_handler = SIG_IGN };
	struct sigaction	 fast = { .sa_handler = handle_fast };
	struct sigaction	 stop = { .sa_sigaction = handle_stop,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t		 none;

	if ((wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		return -1;
	if (sigaction(SIGTTIN, &ignore, NULL) == -1 ||
	    sigaction(SIGTTOU, &ignore, NULL) == -1 ||
	    sigaction(SIGPIPE, &ignore, NULL) == -1 ||
	    sigaction(conf_fast_signal(conf), &fast, NULL) == -1 ||
	    sigaction(conf->stop_signal, &stop, NULL) == -1)
		return -1;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return wake_fd;
}

pid_t
stop_sender(void)
{
	return (pid_t)sender;
}
