#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/env.h"
#include "worker/worker.h"

TestSuite(env, .timeout = 10);

static char			 fresh[] = "FRESH", kept[] = "KEPT";
static char			 empty[] = "EMPTY", missing[] = "MISSING";
static char			 name[] = "web", value[] = "a=b c", none[] = "";
static struct conf_env_var	 vars[] = {
	{ fresh, value }, { kept, NULL }, { empty, none }, { missing, NULL },
};

static void
apply(bool clear)
{
	static struct conf	 conf;
	struct worker_boot	 boot = { .conf = &conf, .slot = 3,
				    .generation = 2, .master_pid = 4321 };

	conf.env = vars;
	conf.nenv = sizeof(vars) / sizeof(vars[0]);
	conf.env_clear = clear;
	conf.master.name = name;
	setenv("KEPT", "ours", 1);
	setenv("GONE", "ours", 1);
	setenv("FRESH", "old", 1);
	unsetenv("MISSING");
	env_apply(&boot);
}

static void
expect_values(void)
{
	cr_expect_str_eq(getenv("FRESH"), "a=b c");
	cr_expect_str_eq(getenv("KEPT"), "ours");
	cr_expect_str_eq(getenv("EMPTY"), "");
	cr_expect_null(getenv("MISSING"));
}

Test(env, values_are_set_and_the_rest_stays)
{
	apply(false);
	expect_values();
	cr_expect_str_eq(getenv("GONE"), "ours");
}

Test(env, clear_leaves_nothing_but_what_is_named)
{
	char	**var;
	size_t	  count = 0;

	apply(true);
	expect_values();
	cr_expect_null(getenv("GONE"));
	for (var = environ; *var != NULL; var++)
		count++;
	cr_expect_eq(count, 3);
}
