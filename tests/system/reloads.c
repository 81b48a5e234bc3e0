#include "tests/system/reloads.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

#define CLIENTS	6

static void __attribute__((format(printf, 1, 0)))
write_text(const char *fmt, va_list ap)
{
	static char plain[8192], text[16384];
	const char *at, *next;
	size_t used = 0;

	vsnprintf(plain, sizeof(plain), fmt, ap);
	for (at = plain; (next = strstr(at, "@MIS@")) != NULL; at = next + 5)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%.*s%s", (int)(next - at), at, exec_mis());
	snprintf(text + used, sizeof(text) - used, "%s", at);
	/* A reader never sees half of it. */
	rig_file("new", text);
	cr_assert_eq(rename(rig_path("new"), rig_path("conf")), 0);
}

void
reload_write(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_text(fmt, ap);
	va_end(ap);
}

void
reload_start(struct rig *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_text(fmt, ap);
	va_end(ap);
	r->as_is = r->as_is || strstr(rig_read(r, rig_path("conf")),
	    "bind =") != NULL;
	rig_start(r, "-c", rig_path("conf"), NULL);
}

/* ---- the end of a reload */

static int
succeeded(struct rig *r)
{
	return rig_log_count(r, "reload.done");
}

static int
failed(struct rig *r)
{
	return rig_log_count(r, "reload.failed");
}

/* 1: it succeeded; -1: it failed. */
static int
outcome(struct rig *r)
{
	int good = succeeded(r), bad = failed(r);

	rig_signal(r, SIGHUP);
	if (!eventually_ms(succeeded(r) > good || failed(r) > bad ||
	    rig_ended(r), 2 * WAIT_MS) || rig_ended(r))
		rig_fail(r, "the reload has no end");
	return succeeded(r) > good ? 1 : -1;
}

void
reload_succeeds(struct rig *r)
{
	if (outcome(r) != 1)
		rig_fail(r, "the reload failed");
}

const char *
reload_fails(struct rig *r)
{
	if (outcome(r) != -1)
		rig_fail(r, "the reload succeeded");
	return rig_log_line(r, "reload.failed");
}

int
reload_generation(struct rig *r, int slot)
{
	char words[64];

	snprintf(words, sizeof(words), "worker.ready slot=%d", slot);
	return (int)rig_log_int(r, words, "gen");
}

/* ---- load */

struct exact *
reload_load(const char *addr, bool keep_alive)
{
	struct exact_plan plan = { .protocol = EXACT_ECHO,
		.keep_alive = keep_alive, .clients = CLIENTS, .think_ms = 1 };
	struct exact *exact;

	snprintf(plan.addr, sizeof(plan.addr), "%s", addr);
	exact = exact_start(&plan);
	cr_assert_not_null(exact);
	cr_assert(eventually(exact_now(exact).ok > 0), "no answer from %s",
	    addr);
	return exact;
}

void
reload_answered(const struct exact *exact, uint64_t count)
{
	uint64_t until = exact_now(exact).ok + count;

	cr_assert(eventually_ms(exact_now(exact).ok >= until, 3 * WAIT_MS));
}

void
reload_unload(struct exact *exact, const char *when)
{
	struct exact_counts counts = exact_stop(exact);

	cr_expect_gt(counts.ok, 0, "%s: %s", when, exact_line(&counts));
	cr_expect_eq(exact_lost(&counts), 0, "%s: %s", when,
	    exact_line(&counts));
	cr_expect_eq(counts.refused, 0, "%s: %s", when, exact_line(&counts));
}

void
reload_serves(struct rig *r)
{
	const char *line = rig_ask(r, "hello\n");

	if (line == NULL || strcmp(line, "hello\n") != 0)
		rig_fail(r, "no answer: %s", line == NULL ? "" : line);
}

bool
reload_is_gone(pid_t pid)
{
	return eventually(!look_alive(pid));
}
