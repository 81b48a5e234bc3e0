#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/mem.h"
#include "master/crash.h"
#include "master/heal_priv.h"
#include "master/state.h"

const char *const	 heal_how_names[HEAL_HOWS] = {
	[HEAL_FRESH] = "", [HEAL_CRASH] = "crash",
	[HEAL_GIVE_UP] = "give-up", [HEAL_UPGRADE] = "upgrade",
	[HEAL_BACK] = "back", [HEAL_TRIAL] = "trial",
};

static struct heal_origin	 origin = { HEAL_FRESH, -1, -1, -1, "", "" };

static int
forged(const char *why)
{
	snprintf(origin.warning, sizeof(origin.warning),
	    HEAL_VARIABLE " in the environment is ignored: %s", why);
	return -1;
}

static enum heal_how
how_of(const char *word)
{
	int	 how;

	for (how = HEAL_CRASH; how < HEAL_HOWS; how++)
		if (strcmp(word, heal_how_names[how]) == 0)
			return (enum heal_how)how;
	return HEAL_FRESH;
}

/* "7:trial:9": the state, how, and the second descriptor, or -1. */
static int
parse(char *text, int *state_fd, enum heal_how *how, int *second)
{
	char	*end, *word;
	long	 fd;

	fd = strtol(text, &end, 10);
	if (end == text || *end != ':' || fd <= STDERR_FILENO || fd > INT_MAX)
		return -1;
	*state_fd = (int)fd;
	word = end + 1;
	*second = -1;
	if ((end = strchr(word, ':')) != NULL)
		*end++ = '\0';
	*how = how_of(word);
	if (end != NULL && *how == HEAL_BACK)
		origin.why = xstrdup(end);
	else if (end != NULL) {
		fd = strtol(end, &end, 10);
		if (*end != '\0' || fd <= STDERR_FILENO || fd > INT_MAX)
			return -1;
		*second = (int)fd;
	}
	return *how == HEAL_FRESH ? -1 : 0;
}

/*
 * A state of ours is sealed and names this process. Its version is not looked
 * at: what cannot be read is no reason to start anew. In a trial it names the
 * parent; one whose parent is gone, or is a script in between, is a trial
 * nevertheless, that fails: it must not become a second master.
 */
static int
check_owner(int fd, enum heal_how how)
{
	struct state_head	 head;
	int			 seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) !=
	    (F_SEAL_SHRINK | F_SEAL_GROW))
		return forged("its descriptor is no sealed memory");
	if (pread(fd, &head, sizeof(head), 0) < (ssize_t)offsetof(
	    struct state_head, regions) || head.magic != STATE_MAGIC)
		return forged("its descriptor is no state");
	if (how != HEAL_TRIAL && head.pid != (int32_t)getpid())
		return forged("it is of another process");
	return 0;
}

void
heal_find_origin(void)
{
	char		*value = getenv(HEAL_VARIABLE), *text;
	enum heal_how	 how = HEAL_FRESH;
	int		 state_fd, second;

	if (value == NULL)
		return;
	text = xstrdup(value);
	unsetenv(HEAL_VARIABLE);
	if (parse(text, &state_fd, &how, &second) == -1 ||
	    (how == HEAL_TRIAL && second == -1))
		forged("it is not FD:HOW");
	else if (check_owner(state_fd, how) == 0) {
		origin.how = how;
		origin.state_fd = state_fd;
		fd_cloexec(state_fd, true);
		if (second != -1)
			fd_cloexec(second, true);
		if (how == HEAL_TRIAL)
			origin.reply_fd = second;
		if (how == HEAL_UPGRADE)
			origin.back_fd = second;
	}
	free(text);
}

struct heal_origin
heal_origin(void)
{
	return origin;
}

off_t
heal_ring_of(int state_fd)
{
	unsigned char		 bytes[STATE_HEAD_MAX];
	struct state_head	 head;
	struct err		 err;
	off_t			 size = lseek(state_fd, 0, SEEK_END);
	ssize_t			 n;

	if (size == -1 ||
	    (n = pread(state_fd, bytes, sizeof(bytes), 0)) == -1 ||
	    state_head_read(&head, bytes, (size_t)n, (uint64_t)size,
	    &err) == -1)
		return -1;
	if (head.regions[STATE_CRASHES].row != STATE_CRASH_ROW ||
	    head.regions[STATE_CRASHES].count != CRASHES)
		return -1;
	return (off_t)head.regions[STATE_CRASHES].at;
}
