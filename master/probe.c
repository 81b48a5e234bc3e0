#include "master/probe_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/procfs.h"

struct process {
	struct probe	*probe;
	pid_t		 pid;
	size_t		 nfds;
	bool		 holds;		/* one of our sockets */
};

bool
probe_is_ours(const struct probe *probe, ino_t ino)
{
	for (size_t i = 0; i < probe->count; i++)
		if (probe->sockets[i] == ino)
			return true;
	return false;
}

struct probe_other *
probe_other(struct probe *probe, ino_t ino)
{
	for (size_t i = 0; i < probe->nothers; i++)
		if (probe->others[i].ino == ino)
			return &probe->others[i];
	return NULL;
}

bool
probe_is_own(pid_t pid)
{
	uid_t	 uid;

	return procfs_owner(pid, &uid) == 0 && uid == geteuid();
}

/* ---- its descriptors */

static void
on_socket(struct process *process, int fd, ino_t ino)
{
	struct probe	*probe = process->probe;

	if (probe_is_ours(probe, ino))
		process->holds = true;
	else if (probe->nothers == PROBE_OTHERS)
		probe->unsure = true;
	else if (probe_other(probe, ino) == NULL)
		probe->others[probe->nothers++] = (struct probe_other){
		    .ino = ino, .pid = process->pid, .fd = fd };
}

/* Each line is "tfd: 7 events: 19 data: 7 pos:0 ino:21f80f0 sdev:9". */
static void
on_epoll(struct process *process, int fd)
{
	struct probe		*probe = process->probe;
	char			 file[32];
	const char		*p;
	ssize_t			 len;

	snprintf(file, sizeof(file), "fdinfo/%d", fd);
	len = procfs_read(process->pid, file, probe->text, PROBE_TEXT);
	if (len == -1 || len == PROBE_TEXT - 1)
		probe->unsure = true;
	for (p = probe->text; (p = strstr(p, " ino:")) != NULL; p++)
		if (probe_is_ours(probe, strtoull(p + 5, NULL, 16)))
			probe->used = true;
}

static bool
on_descriptor(void *arg, int fd)
{
	struct process	*process = arg;
	struct probe	*probe = process->probe;
	char		 link[64];
	ino_t		 ino;

	if (++process->nfds > PROBE_FDS) {
		probe->unsure = true;
		return false;
	}
	if (procfs_link(process->pid, fd, link, sizeof(link)) == -1)
		return true;
	if (strcmp(link, "anon_inode:[eventpoll]") == 0)
		on_epoll(process, fd);
	else if (strcmp(link, "anon_inode:[io_uring]") == 0)
		probe->unsure = true;	/* it waits without a system call */
	else if (procfs_socket(process->pid, fd, &ino))
		on_socket(process, fd, ino);
	return !probe->used;
}

/* ---- its threads and children */

static void
add_process(struct probe *probe, pid_t pid)
{
	for (size_t i = 0; i < probe->npids; i++)
		if (probe->pids[i] == pid)
			return;
	if (probe->npids == PROBE_PROCESSES)
		probe->unsure = true;
	else
		probe->pids[probe->npids++] = pid;
}

/* The children that thread tid of pid has, each handed to add(). */
static void
each_child(struct probe *probe, pid_t pid, int tid,
    void (*add)(struct probe *, pid_t))
{
	char		 file[48], *p, *end;
	ssize_t		 len;

	snprintf(file, sizeof(file), "task/%d/children", tid);
	len = procfs_read(pid, file, probe->text, PROBE_TEXT);
	/* A thread that has ended has handed its children to another. */
	if (len == -1 || len == PROBE_TEXT - 1) {
		probe->unsure = true;
		return;
	}
	for (p = probe->text; *p != '\0'; p = end) {
		long	 child = strtol(p, &end, 10);

		if (end == p)
			break;
		add(probe, (pid_t)child);
	}
}

static bool
on_thread(void *arg, int tid)
{
	struct process	*process = arg;
	struct probe	*probe = process->probe;

	if (++probe->nthreads > PROBE_THREADS) {
		probe->unsure = true;
		return false;
	}
	if (process->holds)
		probe_wait(probe, process->pid, tid);
	each_child(probe, process->pid, tid, add_process);
	return !probe->used;
}

/* One that ended meanwhile has no say. */
static void
look_at(struct probe *probe, pid_t pid)
{
	struct process		 process = { .probe = probe, .pid = pid };
	struct procfs_stat	 stat;
	char			 folder[32];

	if (procfs_stat(pid, &stat) == -1 || stat.state == 'Z')
		return;
	snprintf(folder, sizeof(folder), "%d/fd", (int)pid);
	if (procfs_each(folder, on_descriptor, &process) == -1 &&
	    errno != ENOENT)
		probe->unsure = true;
	snprintf(folder, sizeof(folder), "%d/task", (int)pid);
	if (!probe->used)
		procfs_each(folder, on_thread, &process);
}

/* ---- those of its group that have lost their parents */

static void
add_orphan(struct probe *probe, pid_t pid)
{
	struct procfs_stat	 stat;

	if (procfs_stat(pid, &stat) == 0 && stat.pgrp == probe->leader)
		add_process(probe, pid);
}

/* They are children of the worker's parent, if that is a subreaper. */
static void
add_orphans(struct probe *probe)
{
	struct procfs_stat	 stat;

	if (procfs_stat(probe->leader, &stat) == -1 || stat.state == 'Z')
		probe->unsure = true;
	else if (stat.ppid > 0)
		each_child(probe, stat.ppid, stat.ppid, add_orphan);
}

static void
look_at_all(struct probe *probe)
{
	size_t	 seen = 0;

	add_process(probe, probe->leader);
	while (seen < probe->npids && !probe->used)
		look_at(probe, probe->pids[seen++]);
	if (probe->used || probe->unsure)
		return;
	add_orphans(probe);
	while (seen < probe->npids && !probe->used)
		look_at(probe, probe->pids[seen++]);
}

enum probe_result
probe_worker(pid_t pid, const ino_t *sockets, size_t count, char *elsewhere,
    size_t size)
{
	struct probe		*probe = xcalloc(1, sizeof(*probe));
	enum probe_result	 result = PROBE_UNKNOWN;

	elsewhere[0] = '\0';
	probe->sockets = sockets;
	probe->count = count;
	probe->leader = pid;
	probe->text = xcalloc(1, PROBE_TEXT);
	look_at_all(probe);
	if (!probe->used && !probe->unsure)
		probe_net(probe, elsewhere, size);
	/* It may look for clients between two naps; with a port of its own
	 * it has no reason to. */
	if (probe->naps && elsewhere[0] == '\0')
		probe->unsure = true;
	if (probe->used)
		result = PROBE_USED;
	else if (!probe->unsure && count > 0)
		result = PROBE_UNUSED;
	if (result != PROBE_UNUSED)
		elsewhere[0] = '\0';
	free(probe->text);
	free(probe);
	return result;
}
