#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/env.h"
#include "worker/program.h"
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

/* ---- what a program is told */

static struct conf		 told_conf;
static struct inherited		 told_sockets[8];
static struct program_boot	 told_boot;
static struct env		 told;
static char			*told_pids[ENV_PIDS];
static char			 told_name[] = "shop";

static void
tell_reset(unsigned dialects)
{
	told_conf = (struct conf){ .worker.sockets = dialects,
	    .master.name = told_name };
	told_boot = (struct program_boot){ .conf = &told_conf, .slot = 4,
	    .generation = 7, .master_pid = 99, .sockets = told_sockets };
}

static void
add_socket(const char *socket_name, const char *text)
{
	told_sockets[told_boot.nsockets++] = (struct inherited){ 50,
	    socket_name, text };
}

/* Tell it; the variables, as "NAME=value NAME=value", in order. */
static const char *
tell(char *const *base)
{
	static char	 out[2048];
	struct err	 err = { "" };
	size_t		 i;

	env_init(&told, &told_conf, base);
	if (env_contract(&told, &told_boot, told_pids, &err) == -1)
		snprintf(out, sizeof(out), "error: %s", err.text);
	else {
		out[0] = '\0';
		for (i = 0; told.vars[i] != NULL; i++) {
			if (i > 0)
				strcat(out, " ");
			strcat(out, told.vars[i]);
		}
	}
	return out;
}

#define WHO	"MUSTER_SLOT=4 MUSTER_GENERATION=7 MUSTER_NAME=shop " \
		"MUSTER_MASTER_PID=99"

Test(env, a_program_is_told_who_it_is_and_nothing_of_sockets_it_has_not)
{
	tell_reset(DIALECT_LISTEN_FDS | DIALECT_NGINX | DIALECT_PHP_FPM |
	    DIALECT_UNICORN | DIALECT_STDIN);
	cr_expect_str_eq(tell(NULL), WHO);
	cr_expect_null(told_pids[0]);
	env_free(&told);
}

Test(env, some_dialects_say_that_there_are_no_sockets)
{
	tell_reset(DIALECT_SERVER_STARTER | DIALECT_EINHORN);
	cr_expect_str_eq(tell(NULL), WHO " EINHORN_FD_COUNT=0 "
	    "EINHORN_MASTER_PID=99 EINHORN_CHILD_INDEX=4 "
	    "SERVER_STARTER_GENERATION=7 SERVER_STARTER_PORT=");
	env_free(&told);
}

static const struct {
	enum dialect	 dialect;
	const char	*vars;
} dialects[] = {
	{ DIALECT_LISTEN_FDS, " LISTEN_PID= LISTEN_FDS=5 "
	    "LISTEN_FDNAMES=web:v6:admin:any:x" },
	{ DIALECT_EINHORN, " EINHORN_FD_0=3 EINHORN_FD_1=4 EINHORN_FD_2=5 "
	    "EINHORN_FD_3=6 EINHORN_FD_4=7 EINHORN_FD_COUNT=5 "
	    "EINHORN_MASTER_PID=99 EINHORN_CHILD_INDEX=4" },
	{ DIALECT_SERVER_STARTER, " SERVER_STARTER_GENERATION=7 "
	    "SERVER_STARTER_PORT=127.0.0.1:8000=3;[::1]:8000=4;"
	    "/run/web.sock=5;9000=6;@x=7" },
	{ DIALECT_NGINX, " NGINX=3;4;5;6;7;" },
	{ DIALECT_PHP_FPM, " FPM_SOCKETS=127.0.0.1:8000=3,::1:8000=4,"
	    "/run/web.sock=5,0.0.0.0:9000=6,@x=7" },
	{ DIALECT_UNICORN, " UNICORN_FD=3,4,5,6,7" },
	{ DIALECT_STDIN, "" },
};

/* Some programs break when they are told in two. */
Test(env, each_dialect_is_told_alone_and_to_the_letter)
{
	char	 expected[512];
	size_t	 i;

	for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
		tell_reset(dialects[i].dialect);
		add_socket("web", "127.0.0.1:8000");
		add_socket("v6", "[::1]:8000");
		add_socket("admin", "unix:/run/web.sock");
		add_socket("any", "0.0.0.0:9000");
		add_socket("x", "unix:@x");
		snprintf(expected, sizeof(expected), "%s%s", WHO,
		    dialects[i].vars);
		cr_expect_str_eq(tell(NULL), expected);
		env_free(&told);
	}
}

Test(env, several_dialects_are_told_together_if_asked_for)
{
	tell_reset(DIALECT_NGINX | DIALECT_UNICORN);
	add_socket("web", "127.0.0.1:8000");
	cr_expect_str_eq(tell(NULL), WHO " NGINX=3; UNICORN_FD=3");
	env_free(&told);
}

Test(env, a_mailbox_and_a_watchdog_are_told_of_when_there_are_any)
{
	tell_reset(DIALECT_EINHORN);
	told_boot.mail = "@muster/99/1";
	told_boot.ack = "/run/ack";
	tell(NULL);
	cr_expect_str_eq(env_get(&told, "NOTIFY_SOCKET"), "@muster/99/1");
	cr_expect_str_eq(env_get(&told, "EINHORN_SOCK_PATH"), "/run/ack");
	cr_expect_null(env_get(&told, "WATCHDOG_USEC"));
	cr_expect_null(env_get(&told, "WATCHDOG_PID"));
	env_free(&told);
	told_conf.worker.watchdog = 1500;
	told_conf.worker.sockets = DIALECT_NGINX;
	tell(NULL);
	cr_expect_str_eq(env_get(&told, "WATCHDOG_USEC"), "1500000");
	cr_expect_not_null(env_get(&told, "WATCHDOG_PID"));
	cr_expect_not_null(told_pids[0]);
	cr_expect_null(told_pids[1]);
	cr_expect_null(env_get(&told, "EINHORN_SOCK_PATH"));
	env_free(&told);
}

/* The room is for the longest number there is. */
Test(env, a_pid_has_its_room)
{
	tell_reset(DIALECT_LISTEN_FDS);
	add_socket("web", "127.0.0.1:8000");
	tell(NULL);
	cr_assert_not_null(told_pids[0]);
	memcpy(told_pids[0], "-2147483648", ENV_PID_ROOM);
	cr_expect_str_eq(env_get(&told, "LISTEN_PID"), "-2147483648");
	env_free(&told);
}

#define BETWEEN_US_AND_OURS						\
	"LISTEN_FDS=1", "LISTEN_PID=2", "LISTEN_FDNAMES=x",		\
	"LISTEN_PIDFDID=3", "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1",	\
	"WATCHDOG_PID=2", "MUSTER_SLOT=0", "MUSTER_X=y",		\
	"EINHORN_FD_9=9", "EINHORN_SOCK_PATH=/x", "NGINX=9;",		\
	"SERVER_STARTER_PORT=80=9", "FPM_SOCKETS=x=9", "UNICORN_FD=9",	\
	"GUNICORN_FD=9", "GUNICORN_PID=9"

Test(env, what_our_starter_told_us_is_not_for_programs)
{
	static const char *const	 base[] = { "A=1", BETWEEN_US_AND_OURS,
					    "NGINX_VERSION=1", "MUSTER=2",
					    "LISTEN_ADDRESS=x", "odd", NULL };

	tell_reset(DIALECT_LISTEN_FDS);
	cr_expect_str_eq(tell((char *const *)(uintptr_t)base),
	    "A=1 NGINX_VERSION=1 MUSTER=2 LISTEN_ADDRESS=x odd " WHO);
	env_free(&told);
	/* Not even by [env], passed on: there it means something else. */
	told_conf.env = (struct conf_env_var[]){ { (char[]){ "NGINX" }, NULL },
	    { (char[]){ "A" }, NULL } };
	told_conf.nenv = 2;
	told_conf.env_clear = true;
	cr_expect_str_eq(tell((char *const *)(uintptr_t)base), "A=1 " WHO);
	env_free(&told);
}

Test(env, the_contract_is_stronger_than_what_is_configured)
{
	static const char *const	 base[] = { "A=1", "PATH=/bin", NULL };

	tell_reset(DIALECT_LISTEN_FDS);
	add_socket("web", "127.0.0.1:8000");
	told_conf.env = (struct conf_env_var[]){
	    { (char[]){ "LISTEN_FDS" }, (char[]){ "9" } },
	    { (char[]){ "A" }, (char[]){ "2=3" } },
	    { (char[]){ "NGINX" }, (char[]){ "5;" } } };
	told_conf.nenv = 3;
	cr_expect_str_eq(tell((char *const *)(uintptr_t)base),
	    "PATH=/bin A=2=3 NGINX=5; " WHO
	    " LISTEN_PID= LISTEN_FDS=1 LISTEN_FDNAMES=web");
	env_free(&told);
}

Test(env, an_address_that_would_be_two_in_a_dialect_is_refused)
{
	static const struct {
		enum dialect	 dialect;
		const char	*text;
		bool		 fine;
	} cases[] = {
		{ DIALECT_SERVER_STARTER, "unix:/a;b", false },
		{ DIALECT_SERVER_STARTER, "unix:/a=b", false },
		{ DIALECT_SERVER_STARTER, "unix:/a,b", true },
		{ DIALECT_PHP_FPM, "unix:/a,b", false },
		{ DIALECT_PHP_FPM, "unix:/a=b", false },
		{ DIALECT_PHP_FPM, "unix:/a;b", true },
		{ DIALECT_NGINX, "unix:/a;b", true },
		{ DIALECT_LISTEN_FDS, "unix:/a;b,c=d", true },
	};
	const char	*said;
	size_t		 i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tell_reset(cases[i].dialect);
		add_socket("web", cases[i].text);
		said = tell(NULL);
		cr_expect_eq(strncmp(said, "error", 5) != 0, cases[i].fine,
		    "%s: %s", cases[i].text, said);
		if (!cases[i].fine)
			cr_expect_not_null(strstr(said, cases[i].text));
		env_free(&told);
	}
}

Test(env, a_name_that_came_twice_is_set_once)
{
	static const char *const	 base[] = { "A=1", "B=2", "A=3", NULL };

	tell_reset(0);
	env_init(&told, &told_conf, (char *const *)(uintptr_t)base);
	env_set(&told, "A", env_get(&told, "A"));
	cr_expect_eq(told.count, (size_t)2);
	cr_expect_str_eq(told.vars[1], "A=1");
	env_unset(&told, "B");
	cr_expect_null(env_get(&told, "B"));
	cr_expect_null(told.vars[1]);
	env_free(&told);
}
