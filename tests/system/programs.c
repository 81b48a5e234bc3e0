#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/programs.h"

#define PORT	"18080"
#define CLIENTS	4
#define ARGS	48

/* ---- words in texts */

/* A loopback address of its own: its port is free, and known before. */
static const char *
host(void)
{
	static char text[32];
	unsigned pid = (unsigned)getpid();

	snprintf(text, sizeof(text), "127.%u.%u.%u", 100 + (pid >> 16) % 100,
	    pid >> 8 & 255, pid & 255);
	return text;
}

static const char *
addr(void)
{
	static char text[48];

	snprintf(text, sizeof(text), "%s:" PORT, host());
	return text;
}

static const char *
fixtures(void)
{
	static char text[PATH_MAX];
	const char *tests = getenv("TESTS");
	char *path = realpath(tests != NULL ? tests : "tests", NULL);

	cr_assert_not_null(path);
	snprintf(text, sizeof(text), "%s/fixtures", path);
	free(path);
	return text;
}

static const char *
folder(void)
{
	static char text[PATH_MAX];

	snprintf(text, sizeof(text), "%s", rig_path(""));
	text[strlen(text) - 1] = '\0';
	return text;
}

static const char *
word(const char *at, size_t *len)
{
	const struct {
		const char	*name;
		const char	*(*text)(void);
	} words[] = {
		{ "@FIX@", fixtures }, { "@DIR@", folder }, { "@ADDR@", addr },
		{ "@HOST@", host },
	};

	*len = strlen("@PORT@");
	if (strncmp(at, "@PORT@", *len) == 0)
		return PORT;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		*len = strlen(words[i].name);
		if (strncmp(at, words[i].name, *len) == 0)
			return words[i].text();
	}
	return NULL;
}

static void
expand(const char *text, char *out, size_t size)
{
	const char *value;
	size_t len, used = 0;

	for (; *text != '\0' && used < size - 1; text += len) {
		if ((value = word(text, &len)) == NULL) {
			out[used++] = *text;
			len = 1;
			continue;
		}
		used += (size_t)snprintf(out + used, size - used, "%s",
		    value);
	}
	cr_assert_lt(used, size - 1, "a text is too long");
	out[used] = '\0';
}

const char *
program_text(const char *text)
{
	static char texts[ARGS][1024];
	static int next;
	char *out = texts[next++ % ARGS];

	expand(text, out, sizeof(texts[0]));
	return out;
}

/* ---- starting */

void
program_needs(const char *const *needs)
{
	char why[PATH_MAX + 32];

	for (; *needs != NULL; needs++) {
		if (access(*needs, R_OK) == 0)
			continue;
		snprintf(why, sizeof(why), "%s is not installed", *needs);
		rig_skip(why);
	}
}

static void
write_conf(const char *name)
{
	static char plain[8192], text[16384];
	const char *path = program_text("@FIX@/");
	char file[PATH_MAX];
	size_t len;
	FILE *in;

	snprintf(file, sizeof(file), "%s%s", path, name);
	cr_assert_not_null(in = fopen(file, "re"), "%s", file);
	len = fread(plain, 1, sizeof(plain) - 1, in);
	fclose(in);
	plain[len] = '\0';
	expand(plain, text, sizeof(text));
	rig_file("conf", text);
}

static void
write_pages(void)
{
	int fd;

	rig_file("small", "a small page");
	fd = open(rig_path("big"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_neq(fd, -1);
	cr_assert_eq(ftruncate(fd, PROGRAM_BIG), 0);
	close(fd);
}

/* Its modules and leavings: found in the fixtures, not written there. */
static void
set_environment(void)
{
	setenv("PYTHONPATH", fixtures(), 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	setenv("NODE_PATH", "/usr/share/nodejs", 1);
	setenv("HOME", folder(), 1);
	cr_assert_eq(chdir(folder()), 0);
}

void
program_start(struct rig *r, const struct program *program)
{
	const char *a[ARGS] = { "-b", addr(), "-w", "2", NULL };
	char preset[64];
	int n = 4;

	program_needs(program->needs);
	set_environment();
	write_pages();
	if (program->conf != NULL)
		write_conf(program->conf);
	if (program->preset != NULL) {
		snprintf(preset, sizeof(preset), "worker.preset=%s",
		    program->preset);
		a[n++] = "-s";
		a[n++] = preset;
	}
	for (int i = 0; program->set[i] != NULL; i++) {
		a[n++] = "-s";
		a[n++] = program->set[i];
	}
	a[n++] = "--";
	for (int i = 0; program->command[i] != NULL; i++)
		a[n++] = program_text(program->command[i]);
	cr_assert_lt(n, 36);
	rig_start(r, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8],
	    a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17],
	    a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26],
	    a[27], a[28], a[29], a[30], a[31], a[32], a[33], a[34], a[35],
	    NULL);
}

pid_t
program_client(const char *out, const char *const *argv)
{
	pid_t pid = fork();

	cr_assert_neq(pid, -1);
	if (pid > 0)
		return pid;
	setpgid(0, 0);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	close_range(3, ~0U, 0);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* ---- load */

static struct exact_plan
plan_of(const struct rig *r, const struct program *program)
{
	struct exact_plan plan = { .protocol = program->protocol,
		.clients = CLIENTS, .think_ms = 4 };

	snprintf(plan.addr, sizeof(plan.addr), "%s", r->addr);
	if (program->expect != NULL)
		snprintf(plan.expect, sizeof(plan.expect), "%s",
		    program->expect);
	if (program->script != NULL)
		snprintf(plan.script, sizeof(plan.script), "%s",
		    program_text(program->script));
	return plan;
}

struct exact *
program_load(struct rig *r, const struct program *program, bool keep_alive)
{
	struct exact_plan plan = plan_of(r, program);
	struct exact_counts counts;
	struct exact *exact;

	plan.keep_alive = keep_alive;
	cr_assert_not_null(exact = exact_start(&plan));
	if (!eventually(exact_now(exact).ok > 20)) {
		counts = exact_stop(exact);
		rig_fail(r, "no answers: %s", exact_line(&counts));
	}
	return exact;
}

void
program_unload(struct exact *exact, int cut, const char *when)
{
	struct exact_counts counts = exact_stop(exact);

	cr_expect_eq(counts.refused, 0, "%s: %s", when, exact_line(&counts));
	cr_expect_leq(exact_lost(&counts), (uint64_t)cut, "%s: %s", when,
	    exact_line(&counts));
}

/* ---- a request that is open when the stop comes */

static struct exact_plan
slow_plan(const struct rig *r, const struct program *program)
{
	struct exact_plan plan = plan_of(r, program);

	snprintf(plan.path, sizeof(plan.path), "/slow");
	return plan;
}

int
program_ask_slowly(struct rig *r, const struct program *program)
{
	struct exact_plan plan = slow_plan(r, program);
	int fd = rig_connect(r);
	char buf[2048], byte;
	size_t len;

	if (program->slow == SLOW_READ) {
		client_say(fd, "GET /big HTTP/1.0\r\nHost: slow\r\n\r\n");
		cr_assert_eq(recv(fd, &byte, 1, 0), 1);
	} else if (program->slow == SLOW_BODY) {
		client_say(fd, "POST /slow HTTP/1.0\r\nHost: slow\r\n"
		    "Content-Length: 4\r\n\r\nab");
	} else {
		len = exact_request(&plan, 1, buf, sizeof(buf));
		cr_assert_eq(send(fd, buf, len, 0), (ssize_t)len);
	}
	return fd;
}

/* All that comes, to its end: how much, and its first bytes. */
static size_t
hear_all(int fd, char *buf, size_t size)
{
	static char rest[1 << 16];
	size_t got = 0;
	ssize_t n;

	do {
		n = got < size ? recv(fd, buf + got, size - got, 0) :
		    recv(fd, rest, sizeof(rest), 0);
		got += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	cr_expect_eq(n, 0, "the answer is cut: %s", strerror(errno));
	close(fd);
	return got;
}

static void
hear_judged(const struct program *program, int fd)
{
	struct rig none = { .addr = "" };
	struct exact_plan plan = slow_plan(&none, program);
	enum exact_verdict verdict = EXACT_MORE;
	static char buf[EXACT_ROOM];
	const char *why = "cut";
	size_t got = 0;
	ssize_t n;

	while (verdict == EXACT_MORE &&
	    (n = recv(fd, buf + got, sizeof(buf) - got, 0)) > 0) {
		got += (size_t)n;
		verdict = exact_judge(&plan, 1, buf, got, false, &why);
	}
	if (verdict == EXACT_MORE && n == 0 && got > 0)
		verdict = exact_judge(&plan, 1, buf, got, true, &why);
	cr_expect(verdict == EXACT_DONE || verdict == EXACT_LAST,
	    "the answer open at the stop is %s: %.*s", why, (int)got, buf);
	close(fd);
}

void
program_hear_slowly(const struct program *program, int fd)
{
	static char buf[1024];
	size_t got, head;

	if (program->slow == SLOW_PATH) {
		hear_judged(program, fd);
		return;
	}
	if (program->slow == SLOW_BODY)
		client_say(fd, "cd");
	memset(buf, 0, sizeof(buf));
	got = hear_all(fd, buf, sizeof(buf) - 1);
	if (program->slow == SLOW_BODY) {
		cr_expect(strncmp(buf + 8, " 200", 4) == 0 &&
		    strstr(buf, "\r\n\r\n/slow") != NULL, "%s", buf);
		return;
	}
	head = (size_t)(strstr(buf, "\r\n\r\n") + 4 - buf) + 1;
	cr_expect_eq(got + 1, head + PROGRAM_BIG, "%zu bytes of %d", got,
	    PROGRAM_BIG);
}

/* ---- the life */

bool
program_all_gone(void)
{
	pid_t pids[RIG_MAX];

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return look_descendants(getpid(), pids, RIG_MAX) == 0;
}

static void
scale_and_reload(struct rig *r, const struct program *program)
{
	struct exact *one, *two = NULL;
	char words[32];
	int cut;

	one = program_load(r, program, false);
	if (!program->close_only)
		two = program_load(r, program, true);
	rig_signal(r, SIGTTIN);
	rig_await_workers(r, 3);
	rig_signal(r, SIGTTOU);
	rig_await_workers(r, 2);
	for (int gen = 2; gen < 2 + rig_soak(1); gen++) {
		rig_signal(r, SIGHUP);
		snprintf(words, sizeof(words), "reload.done gen=%d", gen);
		/* As long as they load. */
		eventually_ms(rig_log_says(r, words), 2 * WAIT_MS);
		rig_await_log(r, words);
		rig_await_workers(r, 2);
	}
	cut = program->cuts * (1 + 2 * rig_soak(1));	/* workers stopped */
	program_unload(one, cut, "scaling and reload");
	if (two != NULL)
		program_unload(two, cut, "the same with keep-alive");
}

/* What the killed one held is lost: one request a client, at most. */
static void
lose_a_worker(struct rig *r, const struct program *program)
{
	struct exact *exact = program_load(r, program, false);
	struct exact_counts counts;
	pid_t pids[RIG_MAX];
	char words[48];

	cr_assert_eq(rig_workers(r, pids), 2);
	cr_assert_eq(kill(pids[0], SIGKILL), 0);
	snprintf(words, sizeof(words), "worker.died pid=%d", (int)pids[0]);
	rig_await_log(r, words);
	rig_await_workers(r, 2);
	counts = exact_stop(exact);
	cr_expect_eq(counts.refused, 0, "kill: %s", exact_line(&counts));
	cr_expect_leq(exact_lost(&counts), (uint64_t)CLIENTS, "kill: %s",
	    exact_line(&counts));
}

static void
stop_gracefully(struct rig *r, const struct program *program)
{
	int fd = program->fast ? -1 : program_ask_slowly(r, program);

	usleep(200000);			/* let it arrive */
	rig_signal(r, SIGTERM);
	rig_await_log(r, "pool.stop mode=graceful");
	if (program->slow != SLOW_PATH)
		usleep(300000);		/* and the stop, too */
	if (fd != -1)
		program_hear_slowly(program, fd);
	cr_expect_eq(rig_exit_code(r), 0);
	cr_expect(!rig_log_says(r, "worker.kill"), "%s",
	    rig_log_line(r, "worker.kill"));
	cr_expect(eventually(program_all_gone()));
}

void
program_lives(const struct program *program)
{
	struct rig r = { 0 };

	program_start(&r, program);
	scale_and_reload(&r, program);
	lose_a_worker(&r, program);
	stop_gracefully(&r, program);
}
