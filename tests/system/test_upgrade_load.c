/*
 * Twenty upgrades under load, every other one to a truly different binary, and
 * not one client that notices.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exact/exact.h"
#include "tests/system/anew.h"
#include "tests/system/exec.h"

TestSuite(upgrade_load, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 900);

#define UPGRADES	20
#define REQUESTS	6000	/* at least, a test; more in a soak */

static struct rig r;
static struct exact *clients[2];

static struct exact *
ask(bool keep_alive)
{
	struct exact_plan plan = { .clients = 4, .keep_alive = keep_alive,
		.protocol = EXACT_ECHO, .patience_ms = 20000 };
	struct exact *exact;

	snprintf(plan.addr, sizeof(plan.addr), "%s", r.addr);
	cr_assert_not_null(exact = exact_start(&plan));
	return exact;
}

static uint64_t
answered(void)
{
	uint64_t all = 0;

	for (int i = 0; i < 2; i++)
		if (clients[i] != NULL)
			all += exact_now(clients[i]).ok;
	return all;
}

static void
expect_none_lost(void)
{
	struct exact_counts counts;

	for (int i = 0; i < 2; i++) {
		if (clients[i] == NULL)
			continue;
		counts = exact_stop(clients[i]);
		if (counts.refused + exact_lost(&counts) > 0)
			rig_fail(&r, "%s", exact_line(&counts));
	}
}

static void
upgrade_under_load(const char *old, int requests)
{
	uint64_t before = answered();

	for (int i = 0; i < UPGRADES || answered() - before <
	    (uint64_t)rig_soak(requests); i++) {
		anew_install(i % 2 == 0 ? ANEW_NEXT : NULL);
		anew_upgrade(&r, i % 2 == 0 ? "9.9.9" : old);
	}
	expect_none_lost();
}

/* What the first image calls itself. Static text. */
static const char *
version(void)
{
	static char text[32];
	const char *at = strstr(rig_log_line(&r, "master.start"), "version=");

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(at + 8, " \n"),
	    at + 8);
	return text;
}

static void
loses_nothing(const char *accept, const char *bind)
{
	anew_install(NULL);
	rig_start(&r, "-w", "4", "-b", bind, "-s", accept, NULL);
	clients[0] = ask(false);
	clients[1] = ask(true);
	cr_assert(eventually(answered() > 100));
	upgrade_under_load(version(), REQUESTS);
	rig_await_workers(&r, 4);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(upgrade_load, loses_nothing_with_accept_shared)
{
	loses_nothing("listen.accept=shared", "127.0.0.1:0");
}

Test(upgrade_load, loses_nothing_with_accept_exclusive)
{
	loses_nothing("listen.accept=exclusive", "127.0.0.1:0");
}

Test(upgrade_load, loses_nothing_with_accept_reuseport)
{
	loses_nothing("listen.accept=reuseport", "127.0.0.1:0");
}

Test(upgrade_load, loses_nothing_on_a_unix_socket)
{
	loses_nothing("listen.accept=auto", rig_abstract());
}

/* They serve on, and are replaced by nobody. */
Test(upgrade_load, loses_nothing_of_programs)
{
	anew_install(NULL);
	rig_start(&r, "-w", "4", NOTIFY, "--", exec_mis(), "serve", NULL);
	clients[0] = ask(false);
	cr_assert(eventually(answered() > 100));
	upgrade_under_load(version(), REQUESTS / 4);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 4);
	cr_expect_eq(rig_stop(&r), 0);
}
