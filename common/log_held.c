#include "common/log_held.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

/* A head and the text, one after another. */
struct head {
	enum log_level	 level;
	size_t		 len;
	int64_t		 lines;
};

static char	 held[32 * 1024];
static size_t	 held_len;

bool
log_held_add(const struct held_line *line)
{
	struct head	 head = { line->level, line->len, line->lines };

	if (sizeof(held) - held_len < sizeof(head) + line->len)
		return false;
	memcpy(held + held_len, &head, sizeof(head));
	memcpy(held + held_len + sizeof(head), line->text, line->len);
	held_len += sizeof(head) + line->len;
	return true;
}

bool
log_held_next(size_t *at, struct held_line *line)
{
	struct head	 head;
	size_t		 left = held_len <= sizeof(held) && *at < held_len ?
			    held_len - *at : 0;

	if (left < sizeof(head))
		return false;
	memcpy(&head, held + *at, sizeof(head));
	if (head.len > left - sizeof(head))
		return false;
	*at += sizeof(head);
	*line = (struct held_line){ head.level, held + *at, head.len,
	    head.lines };
	*at += head.len;
	return true;
}

void
log_held_clear(void)
{
	held_len = 0;
}

/* In a process that is broken: what is read is checked, nobody waited for. */
void
log_rescue(int fd)
{
	struct pollfd		 p = { .fd = fd, .events = POLLOUT };
	struct held_line	 line;
	size_t			 at = 0;

	while (fd != -1 && log_held_next(&at, &line) &&
	    poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
		if (write(fd, line.text, line.len) == -1)
			break;
}
