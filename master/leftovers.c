#include "master/leftovers.h"

#include <sys/prctl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "master/proc.h"

/*
 * What is done in one call. A program may leave thousands behind, and each end
 * of one that was killed is followed by the next call.
 */
#define KILLS_A_SWEEP	64
#define LOOKS_A_SWEEP	512
#define ENVIRON_MAX	131072

struct sweep {
	const struct leftovers_ask *ask;
	unsigned	 strangers;	/* met so far, none of them known */
	unsigned	 looks;
	int		 killed;
};

/* Where the last sweep stopped looking: those before have had their turn. */
static unsigned		 begin_at;

/* Who was killed last: it may take its time to die, and is told of once. */
static pid_t		 killed_last[LOOKS_A_SWEEP];
static unsigned		 killed_at;

int
leftovers_init(struct err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		return err_sys(err, "cannot take care of what programs leave");
	return 0;
}

/* ---- one process */

/* Its environment, as many bytes as there is room for; 0: it shows none. */
static size_t
read_environ(pid_t pid, char *out, size_t size)
{
	char	 path[64];
	size_t	 len = 0;
	ssize_t	 n;
	int	 fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return 0;
	while (len < size && (n = read(fd, out + len, size - len)) > 0)
		len += (size_t)n;
	close(fd);
	return len;
}

/* The value of a variable, or NULL; text ends with a NUL. */
static const char *
value_of(const char *text, size_t len, const char *name)
{
	const char	*end = text + len;
	size_t		 name_len = strlen(name);

	for (; text < end; text += strlen(text) + 1)
		if (strncmp(text, name, name_len) == 0 &&
		    text[name_len] == '=')
			return text + name_len + 1;
	return NULL;
}

static int
slot_of(const char *text)
{
	char	*end;
	long	 slot;

	if (text == NULL || *text == '\0')
		return -1;
	slot = strtol(text, &end, 10);
	return *end == '\0' && slot >= 0 && slot <= 1000000 ? (int)slot : -1;
}

static bool
is_new(pid_t pid)
{
	unsigned	 i;

	for (i = 0; i < LOOKS_A_SWEEP; i++)
		if (killed_last[i] == pid)
			return false;
	killed_last[killed_at++ % LOOKS_A_SWEEP] = pid;
	return true;
}

static void
tell(pid_t pid, int slot)
{
	char	 name[64];

	proc_name(pid, name, sizeof(name));
	log_event(EV_LEFTOVER_KILLED,
	    slot >= 0 ? log_int("slot", slot) : log_str("slot", NULL),
	    log_int("pid", pid), log_str("name", name));
}

/*
 * What it was born with tells whose it is, and it cannot hurt others by
 * changing that: nobody but itself is killed, and its own group.
 */
static void
look(struct sweep *sweep, pid_t pid)
{
	static char	 text[ENVIRON_MAX + 1];
	const char	*master, *address;
	char		 ours[16];
	size_t		 len = read_environ(pid, text, ENVIRON_MAX);

	text[len] = '\0';
	master = value_of(text, len, "MUSTER_MASTER_PID");
	address = value_of(text, len, "NOTIFY_SOCKET");
	snprintf(ours, sizeof(ours), "%d", (int)getpid());
	if (master == NULL || address == NULL || strcmp(master, ours) != 0 ||
	    sweep->ask->alive(sweep->ask->arg, address))
		return;
	if (is_new(pid)) {
		tell(pid, slot_of(value_of(text, len, "MUSTER_SLOT")));
		sweep->killed++;
	}
	proc_kill_orphan(pid);
}

/* A child of ours. False: enough for one sweep. */
static bool
meet(struct sweep *sweep, pid_t pid)
{
	if (sweep->ask->known(sweep->ask->arg, pid) ||
	    sweep->strangers++ < begin_at)
		return true;
	look(sweep, pid);
	return ++sweep->looks < LOOKS_A_SWEEP &&
	    sweep->killed < KILLS_A_SWEEP;
}

/* ---- all of them */

/* False: the kernel does not tell (CONFIG_PROC_CHILDREN). */
static bool
meet_children(struct sweep *sweep, bool *all)
{
	FILE	*file = fopen("/proc/thread-self/children", "re");
	int	 pid;

	if (file == NULL)
		return false;
	*all = true;
	while (*all && fscanf(file, "%d", &pid) == 1)
		*all = meet(sweep, pid);
	fclose(file);
	return true;
}

static void
meet_processes(struct sweep *sweep, bool *all)
{
	DIR		*dir = opendir("/proc");
	struct dirent	*entry;
	pid_t		 pid;

	*all = true;
	if (dir == NULL)
		return;
	while (*all && (entry = readdir(dir)) != NULL) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0 && proc_parent(pid) == getpid())
			*all = meet(sweep, pid);
	}
	closedir(dir);
}

/* False: enough for one sweep. */
static bool
meet_all(struct sweep *sweep)
{
	bool	 all;

	sweep->strangers = 0;
	if (!meet_children(sweep, &all))
		meet_processes(sweep, &all);
	return all;
}

int
leftovers_sweep(const struct leftovers_ask *ask)
{
	struct sweep	 sweep = { .ask = ask };
	unsigned	 begin;
	bool		 all;

	do {
		begin = begin_at;
		all = meet_all(&sweep);
		if (all)
			begin_at = 0;
		else if (sweep.killed < KILLS_A_SWEEP)
			begin_at = sweep.strangers;
	} while (all && begin > 0);
	return sweep.killed;
}
