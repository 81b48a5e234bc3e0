#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

/*
 * The exact client under way while something is measured: one that keeps its
 * connections and one that makes a new one for each request, four clients
 * each. What is not answered is told, and counted.
 */
#include "server.h"

#include "tests/exact/exact.h"

struct load {
	struct exact	*exact[2];
};

static inline void
load_start(struct load *load, const struct server *s)
{
	struct exact_plan plan = { .protocol = EXACT_ECHO, .clients = 4,
		.think_ms = 4 };
	int i;

	snprintf(plan.addr, sizeof(plan.addr), "127.0.0.1:%d", s->port);
	for (i = 0; i < 2; i++) {
		plan.keep_alive = i == 0;
		if ((load->exact[i] = exact_start(&plan)) == NULL)
			fail("the exact client: %s", strerror(errno));
	}
}

static inline void
load_stop(struct load *load, struct series *lost, struct series *answered)
{
	struct exact_counts c;
	int i;

	for (i = 0; i < 2; i++) {
		c = exact_stop(load->exact[i]);
		if (exact_lost(&c) + c.refused > 0)
			printf("lost: %s\n", exact_line(&c));
		series_add(lost, (double)(exact_lost(&c) + c.refused));
		series_add(answered, (double)c.ok);
	}
}

#endif
