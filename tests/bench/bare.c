/*
 * The bare limit: what a pool of processes costs when nobody but the kernel
 * is asked. A handler writes to a pipe, an epoll loop reads it and forks; a
 * child makes an epoll, adds the listener, writes a byte to a pipe and echoes
 * what it reads. No table, no log, no limits, no way to stop but to die: what
 * muster costs more than this is the price of what it does more.
 *
 *	bare WORKERS exclusive|shared [PROGRAM]
 *
 * With a program the children are vfork(2) and execve(2) of it, no more. TTIN
 * starts one more, HUP replaces one after the other (the old one is killed
 * when the new one has written its byte), USR1 is answered with a line, USR2
 * and SEGV make it execute itself and go on with the socket and the children,
 * of which it then knows nothing but that they are there.
 *
 * Says "listen.open addr=127.0.0.1:PORT" and "pool.ready" on stderr, as muster
 * does, so that one observer sees both alike.
 */
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX	12000

static pid_t	 workers[WORKERS_MAX];
static int	 nworkers;
static int	 listener, exclusive;
static char	**own_argv;
static int	 sig_pipe[2], up_pipe[2];
static char	*program;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
on_signal(int signo)
{
	int saved = errno;
	char c = (char)signo;

	if (write(sig_pipe[1], &c, 1) == -1)
		errno = saved;
	errno = saved;
}

static void
watch(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(ep, op, fd, &ev) == -1)
		die("epoll_ctl");
}

static void
watch_listener(int ep)
{
	watch(ep, EPOLL_CTL_ADD, listener,
	    exclusive ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN);
}

static void
accept_some(int ep)
{
	int fd, i, one = 1;

	for (i = 0; i < 16; i++) {
		fd = accept4(listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			break;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
	}
	if (i == 0 || !exclusive)
		return;
	/* To the tail of the kernel's queue: the next one is another's. */
	watch(ep, EPOLL_CTL_DEL, listener, 0);
	watch_listener(ep);
}

static void
echo(int fd)
{
	char buf[16384];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0 || write(fd, buf, (size_t)n) != n)
		close(fd);
}

static _Noreturn void
child(void)
{
	struct epoll_event ev[64];
	int ep, i, n;

	/* A bench that is killed must leave nothing behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll_create1");
	watch_listener(ep);
	if (write(up_pipe[1], "", 1) != 1)
		die("write");
	for (;;) {
		n = epoll_wait(ep, ev, 64, -1);
		for (i = 0; i < n; i++) {
			if (ev[i].data.fd == listener)
				accept_some(ep);
			else
				echo(ev[i].data.fd);
		}
	}
}

static pid_t
spawn_program(void)
{
	char *argv[] = { program, NULL };
	pid_t pid = vfork();

	if (pid == -1)
		die("vfork");
	if (pid == 0) {
		execve(program, argv, environ);
		_exit(127);
	}
	return pid;
}

static pid_t
spawn(void)
{
	pid_t pid;

	if (program != NULL)
		return spawn_program();
	if ((pid = fork()) == -1)
		die("fork");
	if (pid == 0)
		child();
	return pid;
}

static void
grow(void)
{
	if (nworkers < WORKERS_MAX)
		workers[nworkers++] = spawn();
}

static void
reap(void)
{
	pid_t pid;
	int i;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (i = 0; i < nworkers; i++)
			if (workers[i] == pid)
				workers[i] = spawn();
}

static void
replace_all(void)
{
	pid_t old;
	char byte;
	int i;

	for (i = 0; i < nworkers; i++) {
		old = workers[i];
		workers[i] = spawn();
		while (program == NULL && read(up_pipe[0], &byte, 1) != 1)
			continue;
		kill(old, SIGKILL);
	}
	fprintf(stderr, "reload.done\n");
}

/* What comes meanwhile waits, in the mask or in the pipe. */
static void
become_anew(void)
{
	static char none[] = "";
	char fds[64], *argv[6] = { own_argv[0], own_argv[1], own_argv[2],
	    program != NULL ? program : none, fds, NULL };
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	snprintf(fds, sizeof(fds), "%d %d %d", listener, sig_pipe[0],
	    sig_pipe[1]);
	fcntl(listener, F_SETFD, 0);
	fcntl(sig_pipe[0], F_SETFD, 0);
	fcntl(sig_pipe[1], F_SETFD, 0);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static void
on_crash(int signo)
{
	(void)signo;
	become_anew();
}

static void
act(int signo)
{
	switch (signo) {
	case SIGTTIN:
		grow();
		break;
	case SIGHUP:
		replace_all();
		break;
	case SIGUSR1:
		fprintf(stderr, "log.reopened\n");
		break;
	case SIGUSR2:
		become_anew();
		break;
	default:
		reap();
	}
}

static void
loop(void)
{
	struct epoll_event ev[8];
	int ep, i, n;
	char byte;

	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll_create1");
	watch(ep, EPOLL_CTL_ADD, sig_pipe[0], EPOLLIN);
	watch(ep, EPOLL_CTL_ADD, up_pipe[0], EPOLLIN);
	for (;;) {
		n = epoll_wait(ep, ev, 8, -1);
		for (i = 0; i < n; i++) {
			/* One at a time: it may be our last. */
			if (read(ev[i].data.fd, &byte, 1) == 1 &&
			    ev[i].data.fd == sig_pipe[0])
				act(byte);
		}
	}
}

static void
open_listener(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (listener == -1 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(listener, 2048) == -1 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) == -1)
		die("listen");
	fprintf(stderr, "listen.open addr=127.0.0.1:%d\n",
	    ntohs(sin.sin_port));
}

static void
start_pool(int n)
{
	char buf[4096];
	ssize_t got;
	int i;

	for (i = 0; i < n; i++)
		grow();
	/* A program is there when vfork(2) returns. */
	while (program == NULL && n > 0 &&
	    (got = read(up_pipe[0], buf, sizeof(buf))) > 0)
		n -= (int)got;
	fprintf(stderr, "pool.ready\n");
}

static void
handle_signals(void)
{
	static const int ours[] = { SIGTTIN, SIGCHLD, SIGHUP, SIGUSR1,
		SIGUSR2 };
	struct sigaction sa = { .sa_handler = on_signal,
		.sa_flags = SA_RESTART | SA_NOCLDSTOP };
	sigset_t none;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaction(ours[i], &sa, NULL);
	sa.sa_handler = on_crash;
	sigaction(SIGSEGV, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int
main(int argc, char **argv)
{
	if (argc < 3 || argc > 5) {
		fprintf(stderr, "usage: bare workers exclusive|shared "
		    "[program]\n");
		return 64;
	}
	own_argv = argv;
	if (argc > 3 && argv[3][0] != '\0')
		program = argv[3];
	exclusive = strcmp(argv[2], "exclusive") == 0;
	if (pipe2(up_pipe, O_CLOEXEC) == -1)
		die("pipe");
	if (argc == 5) {
		sscanf(argv[4], "%d %d %d", &listener, &sig_pipe[0],
		    &sig_pipe[1]);
		handle_signals();
		loop();
	}
	if (pipe2(sig_pipe, O_CLOEXEC) == -1)
		die("pipe");
	handle_signals();
	open_listener();
	start_pool(atoi(argv[1]));
	loop();
}
