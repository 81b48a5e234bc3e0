#include <criterion/criterion.h>

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "master/pidfile.h"

static char		 folder[] = "/tmp/muster-pid-XXXXXX";
static char		 path[64];
static struct err	 err;
static int		 code;

static void
make_folder(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/m.pid", folder);
}

/* How many files are there? They are removed, too, if that is asked for. */
static int
count_files(bool and_remove)
{
	DIR		*dir = opendir(folder);
	struct dirent	*entry;
	int		 n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		n++;
		if (and_remove && unlinkat(dirfd(dir), entry->d_name, 0) == -1)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

static void
remove_folder(void)
{
	count_files(true);
	rmdir(folder);
}

TestSuite(pidfile, .init = make_folder, .fini = remove_folder,
    .timeout = 30);

static void
sleep_ms(int ms)
{
	struct timespec	 t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

static void
put(const char *text)
{
	FILE	*file = fopen(path, "we");

	fputs(text, file);
	fclose(file);
}

static int
content(void)
{
	FILE	*file = fopen(path, "re");
	int	 pid = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%d", &pid) != 1)
		pid = -2;
	fclose(file);
	return pid;
}

static void
expect_refused(const char *why)
{
	struct pidfile	*pf = pidfile_take(path, &code, &err);

	cr_expect_null(pf);
	cr_expect_eq(code, PIDFILE_REFUSED);
	cr_expect(strstr(err.text, why) != NULL, "%s", err.text);
	cr_expect(strstr(err.text, path) != NULL, "%s", err.text);
	pidfile_drop(pf);
}

Test(pidfile, holds_our_pid_until_it_is_dropped)
{
	struct pidfile	*pf = pidfile_take(path, &code, &err);
	struct stat	 st;

	cr_assert_not_null(pf);
	cr_expect_eq(content(), getpid());
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0644);
	cr_expect_eq(st.st_nlink, 1);
	cr_expect_eq(count_files(false), 1);
	pidfile_drop(pf);
	cr_expect_eq(count_files(false), 0);
	pidfile_drop(NULL);
}

Test(pidfile, has_its_mode_under_any_umask)
{
	struct pidfile	*pf;
	struct stat	 st;

	umask(0777);
	pf = pidfile_take(path, &code, &err);
	cr_assert_not_null(pf);
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0644);
	pidfile_drop(pf);
}

Test(pidfile, replaces_what_a_dead_master_left)
{
	static const char	*const left[] = { "", "1\n", "99999999\n",
				    "rubbish", "-5\n", "123456789012345\n" };

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		struct pidfile	*pf;

		put(left[i]);
		pf = pidfile_take(path, &code, &err);
		cr_assert_not_null(pf, "%s", err.text);
		cr_expect_eq(content(), getpid());
		cr_expect_eq(count_files(false), 1);
		pidfile_drop(pf);
	}
}

Test(pidfile, is_refused_while_a_live_master_holds_it)
{
	struct pidfile	*pf = pidfile_take(path, &code, &err);
	char		 pid[16];

	cr_assert_null(pidfile_take(path, &code, &err));
	cr_expect_eq(code, PIDFILE_HELD);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	cr_expect(strstr(err.text, pid) != NULL, "%s", err.text);
	cr_expect_eq(content(), getpid());
	pidfile_drop(pf);
	pf = pidfile_take(path, &code, &err);
	cr_expect_not_null(pf);
	pidfile_drop(pf);
}

Test(pidfile, believes_the_lock_whatever_the_file_says)
{
	static const char	*const lies[] = { "", "rubbish", "0\n",
				    "4294967297\n", "12\n34\n" };

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		int	 fd;

		put(lies[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		cr_assert_eq(flock(fd, LOCK_EX), 0);
		cr_expect_null(pidfile_take(path, &code, &err));
		cr_expect_eq(code, PIDFILE_HELD);
		cr_expect(strstr(err.text, "locked by a live process") !=
		    NULL, "%s", err.text);
		cr_expect_eq(count_files(false), 1);
		close(fd);
	}
}

Test(pidfile, does_not_follow_a_symbolic_link)
{
	char	 target[64];

	snprintf(target, sizeof(target), "%s/precious", folder);
	cr_assert_eq(symlink(target, path), 0);
	expect_refused("symbolic link");		/* dangling */
	close(open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect_refused("symbolic link");
	cr_expect_eq(count_files(false), 2);
}

Test(pidfile, takes_no_folder_fifo_or_second_name)
{
	char	 other[64];

	cr_assert_eq(mkdir(path, 0700), 0);
	expect_refused("no regular file");
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused("no regular file");
	cr_assert_eq(unlink(path), 0);
	put("1\n");
	snprintf(other, sizeof(other), "%s/other", folder);
	cr_assert_eq(link(path, other), 0);
	expect_refused("another name");
}

Test(pidfile, takes_no_file_of_another_user)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	put("1\n");
	cr_assert_eq(chown(path, 12345, 12345), 0);
	expect_refused("another user");
}

Test(pidfile, says_why_a_folder_will_not_do)
{
	snprintf(path, sizeof(path), "%s/none/m.pid", folder);
	expect_refused("No such file or directory");
	snprintf(path, sizeof(path), "%s/", folder);
	expect_refused("Is a directory");
	snprintf(path, sizeof(path), "/proc/m.pid");
	expect_refused("/proc/m.pid: ");
}

Test(pidfile, says_that_the_disk_is_full)
{
	pid_t	 pid = fork();
	int	 status;

	if (pid == 0) {
		/* a limit of 0 bytes stands for the disk */
		struct rlimit	 none = { 0, 0 };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &none);
		_exit(pidfile_take(path, &code, &err) != NULL ? 1 :
		    code != PIDFILE_REFUSED ? 2 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect_eq(count_files(false), 0);
}

Test(pidfile, leaves_the_file_of_its_successor_alone)
{
	struct pidfile	*pf = pidfile_take(path, &code, &err), *next;

	cr_assert_eq(unlink(path), 0);		/* somebody tidied up */
	next = pidfile_take(path, &code, &err);
	cr_assert_not_null(next);
	pidfile_drop(pf);
	cr_expect_eq(content(), getpid());
	pidfile_drop(next);
	cr_expect_eq(count_files(false), 0);
}

Test(pidfile, is_dropped_by_its_owner_alone_wherever_that_is)
{
	struct pidfile	*pf;
	pid_t		 pid;
	int		 status;

	cr_assert_eq(chdir(folder), 0);
	pf = pidfile_take("m.pid", &code, &err);
	cr_assert_not_null(pf);
	cr_assert_eq(chdir("/"), 0);
	pid = fork();
	if (pid == 0) {
		pidfile_drop(pf);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(content(), getpid());
	cr_expect_null(pidfile_take(path, &code, &err));
	cr_expect_eq(code, PIDFILE_HELD);
	pidfile_drop(pf);
	cr_expect_eq(count_files(false), 0);
}

/* What the starters and the reader share. */
struct race {
	volatile int	go, stop, tried, won, held, odd, empty, reads;
};

static void
add(volatile int *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void
starter(struct race *race)
{
	struct pidfile	*volatile pf;	/* to the end */

	while (!race->go)
		sched_yield();
	pf = pidfile_take(path, &code, &err);
	if (pf != NULL)
		add(&race->won);
	else
		add(code == PIDFILE_HELD ? &race->held : &race->odd);
	add(&race->tried);
	while (!race->stop)
		sleep_ms(1);
	_exit(0);
}

static void
reader(struct race *race)
{
	while (!race->stop) {
		if (content() == -2)
			add(&race->empty);
		add(&race->reads);
		sched_yield();
	}
	_exit(0);
}

#define STARTERS	20

static void
run_race(struct race *race)
{
	pid_t	 pids[STARTERS + 1];

	memset((void *)race, 0, sizeof(*race));
	for (int i = 0; i <= STARTERS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i < STARTERS)
			starter(race);
		reader(race);
	}
	race->go = 1;
	while (race->tried < STARTERS || race->reads < 10)
		sleep_ms(1);
	race->stop = 1;
	for (int i = 0; i <= STARTERS; i++)
		waitpid(pids[i], NULL, 0);
}

/*
 * The story: a boot script and a watchdog script start the same master at the
 * same time. One serves, all others say that it does.
 */
Test(pidfile, goes_to_exactly_one_of_many_who_start_at_once)
{
	struct race	*race = mmap(NULL, sizeof(*race), PROT_READ |
			    PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(race, MAP_FAILED);
	for (int round = 0; round < 10; round++) {
		if (round % 2 == 0)
			put("99999999\n");	/* every other finds a dead one */
		else
			unlink(path);
		run_race(race);
		cr_expect_eq(race->won, 1, "round %d: %d won", round,
		    race->won);
		cr_expect_eq(race->held, STARTERS - 1);
		cr_expect_eq(race->odd, 0, "%d odd", race->odd);
		cr_expect_eq(race->empty, 0);
		cr_expect_eq(count_files(false), 1);
	}
}
