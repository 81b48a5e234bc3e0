/*
 * Lines of 64 bytes to and fro over so many connections, one line under way
 * on each, from one client process: the same client for both sides, which
 * have two processes each. The twin looks for no line's end.
 */
#include <sys/epoll.h>

#include "server.h"

#define LINE		64
#define CONNS_MAX	1000
#define LATENCIES_MAX	(1 << 20)

struct link {
	int	 fd;
	int	 got;		/* bytes of the answer so far */
	double	 sent_ms;
};

struct load {
	int		 ep, n;
	struct link	 link[CONNS_MAX];
	bool		 counting;
	int		 trips;
	float		 us[LATENCIES_MAX];
};

struct rows {
	struct figure	 rate, p50, p99;
};

static struct load	 load;
static struct server	 srv[2];
static char		 line[LINE];

static void
send_line(struct link *l)
{
	l->got = 0;
	l->sent_ms = now_ms();
	if (write(l->fd, line, LINE) != LINE)
		fail("write: %s", strerror(errno));
}

static void
on_readable(struct link *l)
{
	char buf[LINE];
	ssize_t n = read(l->fd, buf, (size_t)(LINE - l->got));

	if (n <= 0)
		fail("the server closed a connection");
	if (memcmp(buf, line + l->got, (size_t)n) != 0)
		fail("the echo differs");
	if ((l->got += (int)n) < LINE)
		return;
	if (load.counting && load.trips < LATENCIES_MAX)
		load.us[load.trips++] = (float)((now_ms() - l->sent_ms) * 1e3);
	send_line(l);
}

static void
drive(double ms)
{
	struct epoll_event ev[256];
	double end = now_ms() + ms;
	int i, n;

	while (now_ms() < end) {
		if ((n = epoll_wait(load.ep, ev, 256, 5000)) == 0)
			fail("no echo within 5 s");
		for (i = 0; i < n; i++)
			on_readable(ev[i].data.ptr);
	}
}

/* One after the other, each seen served: both sides get an even spread. */
static void
open_links(const struct server *s, int n)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int i;

	load.ep = epoll_create1(EPOLL_CLOEXEC);
	load.n = n;
	for (i = 0; i < n; i++) {
		load.link[i].fd = server_connect(s);
		if (line_exchange(load.link[i].fd) == -1)
			fail("no echo from connection %d", i);
		ev.data.ptr = &load.link[i];
		epoll_ctl(load.ep, EPOLL_CTL_ADD, load.link[i].fd, &ev);
	}
	for (i = 0; i < n; i++)
		send_line(&load.link[i]);
}

static int
float_cmp(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void
one_run(struct rows *r, enum side side, int conns, double ms)
{
	bool ours = side == MUSTER;
	double t0;
	int i;

	open_links(&srv[side], conns);
	drive(ms / 5);
	load.trips = 0;
	load.counting = true;
	t0 = now_ms();
	drive(ms);
	t0 = now_ms() - t0;
	load.counting = false;
	for (i = 0; i < conns; i++)
		close(load.link[i].fd);
	close(load.ep);
	qsort(load.us, (size_t)load.trips, sizeof(load.us[0]), float_cmp);
	series_add(ours ? &r->rate.muster : &r->rate.bare,
	    load.trips / t0 * 1e3);
	series_add(ours ? &r->p50.muster : &r->p50.bare,
	    (double)load.us[load.trips / 2]);
	series_add(ours ? &r->p99.muster : &r->p99.bare,
	    (double)load.us[(int)(load.trips * 0.99)]);
	server_listen(&srv[side]);
	sleep_ms(30);
}

static void
measure(int conns)
{
	static struct rows r;
	double ms = quick() ? 250 : 600;
	int i, side, rounds = quick() ? 3 : 7;

	r = (struct rows){
		.rate = { .id = "echo_rate", .what = "round trips a second",
		    .unit = "1/s", .target = TARGET_RATIO_MIN, .limit = 0.85 },
		.p50 = { .id = "echo_p50", .what = "  p50", .unit = "us" },
		.p99 = { .id = "echo_p99", .what = "  p99", .unit = "us" },
	};
	r.rate.n = r.p50.n = r.p99.n = conns;
	for (i = 0; i < rounds; i++)
		for (side = MUSTER; side <= BARE; side++)
			one_run(&r, side, conns, ms);
	figure_print(&r.rate);
	figure_print(&r.p50);
	figure_print(&r.p99);
}

static void
start_both(void)
{
	int side;

	for (side = MUSTER; side <= BARE; side++) {
		server_start(&srv[side], side, 2, "exclusive", NULL);
		server_ready(&srv[side], 0.5);
	}
}

static void
stop_both(void)
{
	int side;

	for (side = MUSTER; side <= BARE; side++)
		server_stop(&srv[side]);
}

int
main(int argc, char **argv)
{
	bench_begin(argc, argv, 90);
	memset(line, 'x', LINE - 1);
	line[LINE - 1] = '\n';
	figure_head("echo, 2 workers", "lines of 64 bytes, one under way on "
	    "each of N connections, one client process; N=1: all on one CPU");
	cpu_one();
	start_both();
	measure(1);
	stop_both();
	cpu_all();
	start_both();
	measure(64);
	measure(CONNS_MAX);
	stop_both();
	return 0;
}
