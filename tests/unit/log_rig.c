#include "tests/unit/log_rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

char		 log_rig_path[64], log_rig_other[64];
static char	 dir[] = "/tmp/muster-log.XXXXXX";

void
log_rig_setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(log_rig_path, sizeof(log_rig_path), "%s/log", dir);
	snprintf(log_rig_other, sizeof(log_rig_other), "%s/other", dir);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

void
log_rig_teardown(void)
{
	if (unlink(log_rig_path) == -1)
		rmdir(log_rig_path);
	unlink(log_rig_other);
	rmdir(dir);
}

int
log_rig_open(const char *target, struct err *err)
{
	const struct log_options	 options = { target, "muster",
					    LOG_LEVEL_INFO, LOG_TEXT };

	return log_open(&options, err);
}

void
log_rig_say(int number)
{
	log_event(EV_RELOAD_DONE, log_int("gen", number));
}

const char *
log_rig_take(int fd)
{
	static char	 text[1 << 17];
	ssize_t		 got;

	fd_nonblock(fd, true);
	got = read(fd, text, sizeof(text) - 1);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

const char *
log_rig_take_file(const char *path)
{
	int		 fd = open(path, O_RDONLY | O_CLOEXEC);
	const char	*text = log_rig_take(fd);

	if (fd != -1)
		close(fd);
	return text;
}

int
log_rig_stderr(void)
{
	int	 ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	return ends[0];
}

int
log_rig_count(const char *text, const char *word)
{
	int	 n = 0;

	for (; (text = strstr(text, word)) != NULL; text += strlen(word))
		n++;
	return n;
}
