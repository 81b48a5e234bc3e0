/*
 * What lies around a master that crashes: pages that workers wrote, the core
 * that tells why, a new binary that it was about to try.
 */
#include <sys/resource.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

static void
setup(void)
{
	rig_setup();
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
}

TestSuite(heal_around, .init = setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

/* Its page of the scoreboard, and all else that it could write there. */
static void
scribble(pid_t pid)
{
	char maps[64], mem[64], line[512], bytes[4096];
	unsigned long long at = 0;
	FILE *file;
	int fd;

	snprintf(maps, sizeof(maps), "/proc/%d/maps", (int)pid);
	snprintf(mem, sizeof(mem), "/proc/%d/mem", (int)pid);
	cr_assert_not_null(file = fopen(maps, "re"));
	while (at == 0 && fgets(line, sizeof(line), file) != NULL)
		if (strstr(line, "muster-board") != NULL)
			at = strtoull(line, NULL, 16);
	fclose(file);
	cr_assert_neq(at, 0, "no page of the scoreboard");
	memset(bytes, 0xff, sizeof(bytes));
	cr_assert_neq(fd = open(mem, O_RDWR | O_CLOEXEC), -1);
	cr_assert_eq(pwrite(fd, bytes, sizeof(bytes), (off_t)at), 4096);
	close(fd);
}

Test(heal_around, whatever_workers_wrote_on_the_scoreboard)
{
	struct anew before;

	need_root();
	rig_start(&r, "-w", "3", SET("pool.cull=idlest"),
	    SET("worker.graceful_timeout=200ms"), NULL);
	anew_look(&r, &before);
	scribble(before.workers[0]);
	scribble(before.workers[2]);
	anew_crash(&r, SIGSEGV);
	/*
	 * They seem to have said that they want to be replaced, and to have
	 * clients: the limit ends them.
	 */
	if (!eventually(rig_log_count(&r, "worker.exit") == 2))
		rig_fail(&r, "they were not believed");
	anew_expect_well(&r, 3);
	anew_expect_signals(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

static void
allow_core(void *arg)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	(void)arg;
	setrlimit(RLIMIT_CORE, &all);
}

/* A core of type ET_CORE, whole enough to begin as one. */
static bool
has_core(const char *folder)
{
	static const char magic[] = "\177ELF";
	char head[18] = "", path[300];
	glob_t found;
	int fd;

	snprintf(path, sizeof(path), "%s/core*", folder);
	if (glob(path, 0, NULL, &found) != 0)
		return false;
	fd = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	globfree(&found);
	if (fd == -1 || read(fd, head, sizeof(head)) != sizeof(head))
		head[0] = '\0';
	close(fd);
	return memcmp(head, magic, 4) == 0 && head[16] == 4;
}

static bool
cores_go_to_the_folder(void)
{
	FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
	char text[16] = "";

	if (file == NULL)
		return false;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	return strncmp(text, "core", 4) == 0;
}

Test(heal_around, and_a_twin_leaves_a_core)
{
	char folder[200], chdir_to[300];
	struct anew before;

#ifdef __SANITIZE_ADDRESS__
	rig_skip("a sanitizer dumps none");
#endif
	if (!cores_go_to_the_folder())
		rig_skip("cores go elsewhere here");
	snprintf(folder, sizeof(folder), "%s", rig_path("."));
	snprintf(chdir_to, sizeof(chdir_to), "master.chdir=%s", folder);
	r.child = allow_core;
	rig_start(&r, "-w", "2", "-s", chdir_to, NULL);
	anew_look(&r, &before);
	anew_crash(&r, SIGSEGV);
	anew_expect_same(&r, &before);
	cr_expect(eventually(has_core(folder)));
	anew_expect_well(&r, 2);
	cr_expect_not(rig_log_has(&r, "stranger.exit"));
}

/* Nobody would ask it for its answer any more. */
Test(heal_around, a_crash_while_a_new_binary_is_tried)
{
	struct anew before;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	anew_look(&r, &before);
	anew_install_script("exec sleep 1000");
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.trial");
	cr_assert(eventually(rig_count(&r) == 3));
	anew_crash(&r, SIGSEGV);
	anew_expect_same(&r, &before);
	anew_expect_well(&r, 2);
	/* The next good one succeeds. */
	anew_install(ANEW_NEXT);
	anew_upgrade(&r, "9.9.9");
	anew_expect_well(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Right after it told who started it, and let go of that descriptor. */
Test(heal_around, a_crash_while_a_daemon_becomes_ready)
{
	struct shim *shim = anew_shim();
	static char log[256], set_log[300];

	snprintf(log, sizeof(log), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log);
	r.log = log;
	rig_launch(&r, "-d", "-w", "1", "-p", rig_path("muster.pid"),
	    SET(set_log), NOTIFY, "--", exec_script("wait",
	    "#!/bin/sh\nwhile ! [ -e %s ]; do sleep 0.02; done\n"
	    "exec %s serve\n", rig_path("go"), exec_mis()), NULL);
	rig_await_log(&r, "worker.start");
	shim->send_countdown = 2;
	shim->owner = atoi(rig_read(&r, rig_path("muster.pid")));
	rig_file("go", "");
	cr_assert_eq(rig_exit_code(&r), 0);
	r.pid = shim->owner;
	r.ended = false;
	rig_await_log(&r, "master.crashed");
	/* What it does is logged. */
	for (int workers = 2; workers <= 4; workers++) {
		rig_signal(&r, SIGTTIN);
		rig_await_workers(&r, workers);
	}
	cr_expect_eq(rig_stop(&r), 0);
}
