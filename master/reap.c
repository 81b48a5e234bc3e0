#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "master/generation.h"
#include "master/keepsake.h"
#include "master/leftovers.h"
#include "master/mailbox.h"
#include "master/mirror.h"
#include "master/proc.h"
#include "master/procfs.h"
#include "master/roster.h"
#include "master/supervise_priv.h"
#include "master/turnout.h"
#include "master/watch.h"

/*
 * How workers end: what they leave is heard and killed, then the pool is told
 * and forgets them.
 */
void
reap_gone(struct supervise *s, struct child *child,
    const struct proc_death *death)
{
	const struct child_info	*info = child_info(child);
	int			 generation = info->generation;

	if (info->ready_ms == -1)
		report_failed(&s->report, info, death);
	report_exit(&s->report, info, death);
	s->look_due = true;
	turnout_forget(s->turnout, info->pid);
	mirror_child_gone(s->p.mirror, info->cell);
	roster_clear(s->roster, info->cell);
	keepsake_cell_left(s, info->cell);
	pool_exited(s->pool, child, death->code, clock_now_ms());
	report_forget(&s->report);
	generations_died(s->p.generations, generation);
}

static bool
is_worker(void *arg, pid_t pid)
{
	struct supervise	*s = arg;

	return pool_find(s->pool, pid) != NULL;
}

static bool
is_alive(void *arg, const char *address)
{
	struct supervise	*s = arg;

	return mailbox_at(s->mailroom, address) != NULL;
}

/* What programs started and did not end, in whatever group, goes with them. */
static void
sweep(struct supervise *s)
{
	struct leftovers_ask	 ask = { is_worker, is_alive, s };

	leftovers_sweep(&ask);
}

/* ---- does it go on elsewhere, as a daemon does? */

#define BIRTHMARK_LOOKS	64	/* processes: it is but a hint */

struct birthmark {
	struct supervise *s;
	int	 looks;
	char	 text[160];
	size_t	 len;			/* its NUL, too */
	bool	 found;
};

/* A process that has just come to us from its parent, who ends. */
static bool
has_mark(void *arg, int pid)
{
	static char	 text[131072];
	struct birthmark *mark = arg;
	ssize_t		 len;

	if (is_worker(mark->s, pid))
		return true;
	len = procfs_read(pid, "environ", text, sizeof(text));
	mark->found = len > 0 && memmem(text, (size_t)len + 1, mark->text,
	    mark->len) != NULL;
	return !mark->found && ++mark->looks < BIRTHMARK_LOOKS;
}

/*
 * A program that ends with 0 before it was ready may have gone to the
 * background: that is told with its failure. To be asked while it is there.
 */
static void
look_for_daemon(struct supervise *s, const struct child_info *info)
{
	const struct entry	*entry = roster_at(s->roster, info->cell);
	struct birthmark	 mark = { .s = s };

	if (info->ready_ms != -1 || entry->mail == NULL)
		return;
	mark.len = (size_t)snprintf(mark.text, sizeof(mark.text),
	    "NOTIFY_SOCKET=%s", mailbox_address(entry->mail)) + 1;
	if (mark.len <= sizeof(mark.text) &&
	    procfs_children(has_mark, &mark) == 0 && mark.found)
		report_background(&s->report, info);
}

void
supervise_reap(struct supervise *s)
{
	struct proc_death	 death;
	struct child		*child;
	bool			 left = false;
	pid_t			 pid;

	hear_last_words(s, NULL);
	while ((pid = proc_ended()) > 0) {
		child = pool_find(s->pool, pid);
		/*
		 * What it leaves behind goes with it; now, while its number
		 * still is the group's and cannot be a stranger's.
		 */
		if (child != NULL) {
			look_for_daemon(s, child_info(child));
			proc_kill_leftovers(pid);
			hear_last_words(s, child_info(child));
			left |= roster_at(s->roster,
			    child_info(child)->cell)->program;
		}
		if (!proc_reap(pid, &death))
			break;
		if (child != NULL) {
			reap_gone(s, child, &death);
			continue;
		}
		if (s->p.stranger(s->p.arg, pid, &death))
			continue;
		left = true;
		log_event(EV_STRANGER_EXIT, log_int("pid", pid));
	}
	if (left)
		sweep(s);
}

/* ---- those of a master before us, who are nobody's children of ours */

static void
on_gone(void *arg, pid_t pid)
{
	struct supervise	*s = arg;
	struct proc_death	 death = { .pid = pid, .code = -1 };
	struct child		*child = pool_find(s->pool, pid);

	if (child == NULL)
		return;
	hear_last_words(s, child_info(child));
	reap_gone(s, child, &death);
	supervise_run(s);
}

void
reap_watch(struct supervise *s, int cell)
{
	struct entry	*entry = roster_at(s->roster, cell);

	entry->watch = watch_new(s->p.base, entry->pid, entry->pidfd, on_gone,
	    s);
}
