#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/exact/exact.h"

struct exact {			/* shared between the test and the process */
	struct exact_counts	 counts;
	struct exact_plan	 plan;
	volatile bool		 stop;
	pid_t			 pid;
};

uint64_t
exact_lost(const struct exact_counts *counts)
{
	return counts->reset + counts->unanswered + counts->wrong +
	    counts->late;
}

const char *
exact_line(const struct exact_counts *c)
{
	static char line[512];
	size_t len;

	len = (size_t)snprintf(line, sizeof(line), "connections=%llu ok=%llu "
	    "raced=%llu refused=%llu reset=%llu unanswered=%llu wrong=%llu "
	    "late=%llu lost=%llu", (unsigned long long)c->connections,
	    (unsigned long long)c->ok, (unsigned long long)c->raced,
	    (unsigned long long)c->refused, (unsigned long long)c->reset,
	    (unsigned long long)c->unanswered, (unsigned long long)c->wrong,
	    (unsigned long long)c->late, (unsigned long long)exact_lost(c));
	if (c->first[0] != '\0')
		snprintf(line + len, sizeof(line) - len, " first=\"%s\"",
		    c->first);
	return line;
}

static void __attribute__((noreturn))
become_load(struct exact *exact)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(3, ~0U, 0);
	_exit(exact_run(&exact->plan, &exact->counts, &exact->stop) == 0 ?
	    0 : 71);
}

struct exact *
exact_start(const struct exact_plan *plan)
{
	struct exact *exact = mmap(NULL, sizeof(*exact),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int saved;

	if (exact == MAP_FAILED)
		return NULL;
	exact->plan = *plan;
	if ((pid = fork()) == 0)
		become_load(exact);
	if (pid == -1) {
		saved = errno;
		munmap(exact, sizeof(*exact));
		errno = saved;
		return NULL;
	}
	exact->pid = pid;	/* by us alone: the child would write 0 */
	return exact;
}

struct exact_counts
exact_now(const struct exact *exact)
{
	return exact->counts;
}

/* It ends within its patience; one that does not is a bug, and is killed. */
struct exact_counts
exact_stop(struct exact *exact)
{
	int patience = exact->plan.patience_ms > 0 ?
	    exact->plan.patience_ms : 8000;
	struct exact_counts counts;
	bool ended = false;

	exact->stop = true;
	for (int ms = 0; !ended && ms < patience + 3000; ms += 2) {
		ended = waitpid(exact->pid, NULL, WNOHANG) == exact->pid;
		if (!ended)
			nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
	}
	if (!ended) {
		kill(exact->pid, SIGKILL);
		waitpid(exact->pid, NULL, 0);
		exact->counts.late++;
		if (exact->counts.first[0] == '\0')
			snprintf(exact->counts.first,
			    sizeof(exact->counts.first), "the client hung");
	}
	counts = exact->counts;
	munmap(exact, sizeof(*exact));
	return counts;
}
