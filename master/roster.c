#include "master/roster.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/acks.h"
#include "master/capture.h"
#include "master/keep.h"
#include "master/mailbox.h"
#include "master/watch.h"

struct roster {
	struct entry	*entries;	/* owned; by cell */
	int		 count;
};

struct roster *
roster_new(void)
{
	return xcalloc(1, sizeof(struct roster));
}

void
roster_free(struct roster *roster)
{
	int	 cell;

	if (roster == NULL)
		return;
	for (cell = 0; cell < roster->count; cell++)
		roster_clear(roster, cell);
	free(roster->entries);
	free(roster);
}

struct entry *
roster_at(struct roster *roster, int cell)
{
	int	 count = cell * 2 + 16, i;

	if (cell < roster->count)
		return &roster->entries[cell];
	roster->entries = xreallocarray(roster->entries, (size_t)count,
	    sizeof(*roster->entries));
	for (i = roster->count; i < count; i++)
		roster->entries[i] = (struct entry){ .pidfd = -1 };
	roster->count = count;
	return &roster->entries[cell];
}

/* What it is heard by, and the kind that it is kept as. */
static void
each_fd(const struct entry *entry, void (*each)(int fd, enum keep_kind kind))
{
	if (entry->mail != NULL)
		each(mailbox_fd(entry->mail), KEEP_MAIL);
	if (entry->ack != NULL)
		each(ack_fd(entry->ack), KEEP_ACK);
	if (entry->output != NULL)
		each(capture_fd(entry->output), KEEP_CAPTURE);
	if (entry->pidfd != -1)
		each(entry->pidfd, KEEP_PIDFD);
}

static void
drop(int fd, enum keep_kind kind)
{
	(void)kind;
	keep_drop(fd);
}

struct entry *
roster_enter(struct roster *roster, int cell, const struct entry *entry)
{
	struct entry	*at = roster_at(roster, cell);

	*at = *entry;
	each_fd(at, keep_add);
	return at;
}

void
roster_clear(struct roster *roster, int cell)
{
	struct entry	*entry = roster_at(roster, cell);

	each_fd(entry, drop);
	mailbox_close(entry->mail);
	ack_close(entry->ack);
	capture_close(entry->output);
	free(entry->status);
	watch_free(entry->watch);
	if (entry->pidfd != -1)
		close(entry->pidfd);
	*entry = (struct entry){ .pidfd = -1 };
}

int
roster_cells(const struct roster *roster)
{
	return roster->count;
}
