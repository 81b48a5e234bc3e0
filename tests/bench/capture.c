/*
 * What it costs the master to read what a worker says, 100 MB a second in
 * lines of 100 bytes, and to write each line with the worker's name before
 * it. The twin reads the same pipe and writes what it read, as cat(1) would.
 */
#include "server.h"

struct pair {
	pid_t	 talker, taker;
};

struct rows {
	struct figure	 cpu, rate, cost;
};

static const char *const targets[] = { "/dev/null", "bench/captured.log" };
static char		 target[512];

/* Nanoseconds on a CPU so far: the first number of schedstat. */
static double
cpu_ns(pid_t pid)
{
	char path[64];
	double ns = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	if ((in = fopen(path, "re")) == NULL || fscanf(in, "%lf", &ns) != 1)
		fail("no %s", path);
	fclose(in);
	return ns;
}

static void
note(struct rows *r, bool ours, struct pair p)
{
	double ms = quick() ? 300 : 600, t0, ns, bytes;

	sleep_ms(100);
	t0 = now_ms();
	ns = cpu_ns(p.taker);
	bytes = (double)proc_number(p.talker, "io", "wchar:");
	sleep_ms(ms);
	ms = now_ms() - t0;
	ns = cpu_ns(p.taker) - ns;
	bytes = (double)proc_number(p.talker, "io", "wchar:") - bytes;
	series_add(ours ? &r->cpu.muster : &r->cpu.bare, ns / ms / 1e4);
	series_add(ours ? &r->rate.muster : &r->rate.bare, bytes / ms / 1e3);
	series_add(ours ? &r->cost.muster : &r->cost.bare,
	    ns / (bytes / 100));
}

static void
with_muster(struct rows *r)
{
	static const char *const extra[] = { "worker.ready=alive:10ms",
		"worker.capture_output=yes", NULL };
	static struct server s;
	static struct pids kids;
	struct pair p;

	snprintf(program, sizeof(program), "%s/bench/flood", build_dir);
	server_log = target;
	server_start(&s, MUSTER, 1, "shared", extra);
	do {
		sleep_ms(1);
		children_of(s.pid, &kids);
	} while (kids.n < 1 && now_ms() - s.t0 < 5000);
	if (kids.n < 1)
		fail("no worker came");
	p = (struct pair){ .talker = kids.pid[0], .taker = s.pid };
	note(r, true, p);
	server_stop(&s);
	server_log = NULL;
}

static _Noreturn void
copy(int in)
{
	static char buf[65536];
	int out = open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
	    0600);
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			break;
	_exit(0);
}

static pid_t
start_child(void)
{
	pid_t pid = fork();

	if (pid == -1)
		fail("fork: %s", strerror(errno));
	return pid;
}

static void
with_bare(struct rows *r)
{
	struct pair p;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		fail("pipe: %s", strerror(errno));
	fcntl(ends[0], F_SETPIPE_SZ, 1 << 18);
	if ((p.taker = start_child()) == 0) {
		close(ends[1]);
		copy(ends[0]);
	}
	if ((p.talker = start_child()) == 0) {
		dup2(ends[1], 1);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	close(ends[1]);
	note(r, false, p);
	reap_orphans();
}

static void
measure(const char *to, const char *name)
{
	static struct rows r;
	static char what[3][64];
	int i;

	snprintf(target, sizeof(target), "%s%s%s", to[0] == '/' ? "" :
	    build_dir, to[0] == '/' ? "" : "/", to);
	snprintf(what[0], sizeof(what[0]), "to %s: CPU", name);
	snprintf(what[1], sizeof(what[1]), "  taken");
	snprintf(what[2], sizeof(what[2]), "  a line");
	r = (struct rows){
		.cpu = { .id = "capture_cpu", .what = what[0], .unit = "%" },
		.rate = { .id = "capture_rate", .what = what[1],
		    .unit = "MB/s", .target = TARGET_RATIO_MIN,
		    .limit = 0.9 },
		.cost = { .id = "capture_line", .what = what[2],
		    .unit = "ns" },
	};
	for (i = 0; i < (quick() ? 1 : 3); i++) {
		with_muster(&r);
		with_bare(&r);
		if (to[0] != '/')
			unlink(target);
	}
	figure_print(&r.cpu);
	figure_print(&r.rate);
	figure_print(&r.cost);
}

int
main(int argc, char **argv)
{
	bench_begin(argc, argv, 60);
	figure_head("capturing output", "a worker says 100 MB a second in "
	    "lines of 100 bytes; CPU of the process that takes it; the twin "
	    "copies");
	measure(targets[0], "/dev/null");
	measure(targets[1], "a file");
	return 0;
}
