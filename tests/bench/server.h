#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

/*
 * Starting and ending muster and its bare twin, in the same way. We are a
 * subreaper: whatever they leave behind becomes our child, and is ended by
 * its pid, also when we are interrupted or out of time.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "bench.h"
#include "proc.h"

#define SERVERS_MAX	8
#define START_MS	60000.0
#define STOP_MS		20000.0

enum side { MUSTER, BARE };

struct server {
	enum side	 side;
	pid_t		 pid;
	int		 log;		/* its stderr, a pipe, non-blocking */
	int		 port;
	double		 t0;		/* before the fork that started it */
	bool		 ready;		/* has said pool.ready */
	const char	*word;		/* what server_await() waits for */
	bool		 said;
	size_t		 len;
	char		 text[65536];	/* the last of what it said */
};

static const char		*build_dir;
static char			 program[512];	/* of workers; "": built in */
static const char		*server_log;	/* NULL: we listen to it */
static struct pids		 orphans;	/* no room on a signal's stack */
static volatile pid_t		 masters[SERVERS_MAX];

static inline bool
is_master(pid_t pid)
{
	int i;

	for (i = 0; i < SERVERS_MAX; i++)
		if (masters[i] == pid)
			return true;
	return false;
}

/* End what servers left to us; those that run are spared. Signal-safe. */
static inline void
reap_orphans(void)
{
	int i, left;

	do {
		children_of(getpid(), &orphans);
		for (i = left = 0; i < orphans.n; i++) {
			if (is_master(orphans.pid[i]))
				continue;
			kill(orphans.pid[i], SIGKILL);
			waitpid(orphans.pid[i], NULL, 0);
			left++;
		}
	} while (left > 0);
}

static inline void
end_everything(void)
{
	pid_t pid;
	int i;

	for (i = 0; i < SERVERS_MAX; i++) {
		if ((pid = masters[i]) <= 0)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		masters[i] = 0;
	}
	reap_orphans();
}

static void
on_end(int signo)
{
	static const char late[] = "bench: out of time\n";

	if (signo == SIGALRM && write(2, late, sizeof(late) - 1) == -1)
		signo = SIGALRM;	/* nobody left to tell */
	end_everything();
	_exit(128 + signo);
}

static inline _Noreturn __attribute__((format(printf, 1, 2))) void
fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* First thing in main(); seconds bounds the whole program. */
static inline void
bench_begin(int argc, char **argv, unsigned int seconds)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
	struct sigaction sa = { .sa_handler = on_end };
	struct rlimit rl;
	size_t i;

	if (argc != 2) {
		fprintf(stderr, "usage: %s build-dir\n", argv[0]);
		exit(64);
	}
	build_dir = argv[1];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_TIMERSLACK, 1);
	sigfillset(&sa.sa_mask);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	atexit(end_everything);
	alarm(seconds);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/*
 * Keep us, and whatever we start from now on, on the last CPU: the way from
 * one CPU to another costs anything from nothing to more than all the rest,
 * most of all on a virtual machine. cpu_all() undoes it for us.
 */
static cpu_set_t	 cpus_before;

static inline void
cpu_one(void)
{
	cpu_set_t one;
	int i;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(cpus_before), &cpus_before) == -1)
		return;
	for (i = CPU_SETSIZE - 1; i > 0 && !CPU_ISSET(i, &cpus_before); i--)
		continue;
	CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static inline void
cpu_all(void)
{
	if (CPU_COUNT(&cpus_before) > 0)
		sched_setaffinity(0, sizeof(cpus_before), &cpus_before);
}

/* How many workers of the wanted this machine allows; says why if fewer. */
static inline int
workers_allowed(int want)
{
	long most = want, pids;
	struct rlimit rl;

	pids = pid_max();
	if (pids > 0 && pids / 2 < most)
		most = pids / 2;
	/* Root is not held to it, but counts it all the same for others. */
	if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &rl) == 0 &&
	    rl.rlim_cur != RLIM_INFINITY && (long)(rl.rlim_cur / 2) < most)
		most = (long)(rl.rlim_cur / 2);
	if (most < want)
		printf("note: N=%d reduced to %ld by nproc or pid_max\n",
		    want, most);
	return (int)most;
}

/* argv of one side; the words of extra are muster's alone. */
static inline void
server_exec(enum side side, int workers, const char *accept,
    const char *const *extra)
{
	static char path[512], n[16], mode[64], log[600];
	const char *argv[40];
	int i = 0;

	snprintf(n, sizeof(n), "%d", workers);
	if (side == BARE || getenv("BENCH_TWIN") != NULL) {
		snprintf(path, sizeof(path), "%s/bench/bare", build_dir);
		execl(path, path, n, accept, program, (char *)NULL);
		_exit(127);
	}
	snprintf(path, sizeof(path), "%s/muster", build_dir);
	snprintf(mode, sizeof(mode), "listen.accept=%s", accept);
	argv[i++] = path;
	argv[i++] = "-b";
	argv[i++] = "127.0.0.1:0";
	argv[i++] = "-w";
	argv[i++] = n;
	argv[i++] = "-s";
	argv[i++] = mode;
	for (; extra != NULL && *extra != NULL && i < 30; extra++) {
		argv[i++] = "-s";
		argv[i++] = *extra;
	}
	if (server_log != NULL) {
		snprintf(log, sizeof(log), "master.log=%s", server_log);
		argv[i++] = "-s";
		argv[i++] = log;
	}
	if (program[0] != '\0') {
		argv[i++] = "--";
		argv[i++] = program;
	}
	argv[i] = NULL;
	execv(path, (char *const *)argv);
	_exit(127);
}

static inline void
child_stdio(int log)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, 0);
	dup2(null, 1);
	dup2(log, 2);
}

/*
 * Start one side with so many workers; accept is exclusive or shared, extra
 * (NULL-ended SECTION.KEY=VALUE) goes to muster. Does not wait.
 */
static inline void
server_start(struct server *s, enum side side, int workers,
    const char *accept, const char *const *extra)
{
	int fds[2], i = 0;

	memset(s, 0, offsetof(struct server, text));
	s->side = side;
	if (pipe2(fds, O_CLOEXEC) == -1)
		fail("pipe: %s", strerror(errno));
	/* Room for all that is said while nobody reads: we would disturb. */
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	s->t0 = now_ms();
	if ((s->pid = fork()) == -1)
		fail("fork: %s", strerror(errno));
	if (s->pid == 0) {
		child_stdio(fds[1]);
		server_exec(side, workers, accept, extra);
	}
	while (masters[i] != 0)
		i++;
	masters[i] = s->pid;
	close(fds[1]);
	s->log = fds[0];
	fcntl(s->log, F_SETFL, O_NONBLOCK);
}

/* See in the last that was said what we wait for. */
static inline void
server_note(struct server *s)
{
	char *p;

	if (s->port == 0 && (p = strstr(s->text, "addr=127.0.0.1:")) != NULL &&
	    strchr(p, '\n') != NULL)
		s->port = atoi(p + 15);
	if (!s->ready && strstr(s->text, "pool.ready") != NULL)
		s->ready = true;
	if (s->word != NULL && strstr(s->text, s->word) != NULL)
		s->said = true;
}

/* Take what the server has said. False at the end of its log. */
static inline bool
server_listen(struct server *s)
{
	ssize_t n;

	for (;;) {
		if (s->len > sizeof(s->text) - 8192) {
			/* Keep the last, in case a word was cut in two. */
			memmove(s->text, s->text + s->len - 512, 512);
			s->len = 512;
		}
		n = read(s->log, s->text + s->len,
		    sizeof(s->text) - 1 - s->len);
		if (n <= 0)
			return n == -1 && errno == EAGAIN;
		s->len += (size_t)n;
		s->text[s->len] = '\0';
		server_note(s);
	}
}

/*
 * Wait for the pool to be ready; milliseconds since the start. We look every
 * pause_ms rather than at every line, which would take CPU from both sides.
 */
static inline double
server_ready(struct server *s, double pause_ms)
{
	double t;
	bool open;

	for (;;) {
		open = server_listen(s);
		t = now_ms() - s->t0;
		if (s->ready)
			break;
		if (!open || t > START_MS)
			fail("%s did not start:\n%.2000s",
			    s->side == MUSTER ? "muster" : "bare",
			    s->len > 0 ? s->text : "(no output)");
		sleep_ms(pause_ms);
	}
	if (s->port == 0)
		fail("no port in the log:\n%.2000s", s->text);
	return t;
}

/* Forget what was said; the next server_await() is for this word. */
static inline void
server_expect(struct server *s, const char *word)
{
	server_listen(s);
	s->len = 0;
	s->text[0] = '\0';
	s->word = word;
	s->said = false;
}

/* Wait for it, awake at every line; false: it did not come within ms. */
static inline bool
server_await(struct server *s, double ms)
{
	struct pollfd p = { .fd = s->log, .events = POLLIN };
	double end = now_ms() + ms;

	while (!s->said && now_ms() < end) {
		poll(&p, 1, 100);
		if (!server_listen(s))
			fail("the server is gone:\n%.2000s", s->text);
	}
	return s->said;
}

/* End it: muster as its user would, the twin by a plain KILL. */
static inline void
server_stop(struct server *s)
{
	struct pids *kids = malloc(sizeof(*kids));
	double t0 = now_ms();
	int i;

	children_of(s->pid, kids);
	for (i = 0; i < kids->n; i++)
		kill(kids->pid[i], SIGCONT);
	free(kids);
	kill(s->pid, s->side == MUSTER && getenv("BENCH_TWIN") == NULL ?
	    SIGQUIT : SIGKILL);
	while (waitpid(s->pid, NULL, WNOHANG) == 0) {
		if (now_ms() - t0 > STOP_MS) {
			fprintf(stderr, "bench: had to kill %d\n", s->pid);
			kill(s->pid, SIGKILL);
			t0 = now_ms();
		}
		server_listen(s);
		sleep_ms(1);
	}
	for (i = 0; i < SERVERS_MAX; i++)
		if (masters[i] == s->pid)
			masters[i] = 0;
	close(s->log);
	reap_orphans();
}

/* A blocking connection to the server. */
static inline int
server_connect(const struct server *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)s->port) };
	int fd, one = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		fail("connect: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* One line to and fro; -1 if none came back within five seconds. */
static inline int
line_exchange(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[8];

	if (write(fd, "ping\n", 5) != 5 || poll(&p, 1, 5000) != 1)
		return -1;
	return read(fd, buf, sizeof(buf)) == 5 ? 0 : -1;
}

#endif
