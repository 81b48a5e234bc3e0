#include <sys/stat.h>
#include <sys/wait.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/exec.h"
#include "tests/system/look.h"

#define TEXT_MAX	4096

static void
beside(const char *name, char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 8);

	cr_assert_gt(len, 0);
	path[len] = '\0';
	strcpy(strrchr(path, '/') + 1, name);
}

const char *
exec_mis(void)
{
	static char path[PATH_MAX];

	beside("mis", path);
	return path;
}

const char *
exec_show(void)
{
	static char path[PATH_MAX];

	beside("show", path);
	return path;
}

const char *
exec_script(const char *name, const char *fmt, ...)
{
	char text[TEXT_MAX], fresh[64];
	const char *path = rig_path(name);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	chmod(rig_file(fresh, text), 0755);
	cr_assert_eq(rename(rig_path(fresh), path), 0);
	return path;
}

/* ---- what show says */

/* Where the nth one's words begin and end. */
static const char *
block(struct rig *r, int nth, const char **end)
{
	const char *at = rig_read(r, r->out);

	while ((*end = strstr(at, "\nend .\n")) != NULL) {
		if (nth-- == 0)
			return at;
		at = *end + strlen("\nend .\n");
	}
	return NULL;
}

static const char *
next_line(const char *at)
{
	return strchr(at, '\n') + 1;
}

const char *
exec_value(struct rig *r, int nth, const char *key)
{
	static char values[8][TEXT_MAX];
	static int next;
	const char *end, *at = block(r, nth, &end);
	size_t len = strlen(key);
	char *value = values[next++ % 8];

	for (; at != NULL && at < end; at = next_line(at)) {
		if (strncmp(at, key, len) != 0 || at[len] != ' ')
			continue;
		at += len + 1;
		snprintf(value, TEXT_MAX, "%.*s", (int)strcspn(at, "\n"), at);
		return value;
	}
	return NULL;
}

int
exec_lines(struct rig *r, int nth, const char *begin)
{
	const char *end, *at = block(r, nth, &end);
	int count = 0;

	for (; at != NULL && at < end; at = next_line(at))
		count += strncmp(at, begin, strlen(begin)) == 0;
	return count;
}

void
exec_shown(struct rig *r, int count)
{
	const char *end;

	if (!eventually(block(r, count - 1, &end) != NULL))
		rig_fail(r, "fewer than %d have shown all: %s", count,
		    rig_read(r, r->out));
}

/* ---- processes */

bool
exec_all_gone(void)
{
	pid_t pids[RIG_MAX];

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return look_descendants(getpid(), pids, RIG_MAX) == 0;
}

pid_t
exec_pid(struct rig *r, int slot)
{
	char words[64];

	snprintf(words, sizeof(words), "worker.start slot=%d", slot);
	rig_await_log(r, words);
	return (pid_t)rig_log_int(r, words, "pid");
}
