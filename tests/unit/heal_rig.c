#include "tests/unit/heal_rig.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

char *
heal_rig_path(void)
{
	const char	*muster = getenv("MUSTER"), *slash;

	cr_assert_not_null(muster, "MUSTER says where the programs are");
	slash = strrchr(muster, '/');
	return xasprintf("%.*s/fixtures/heal", (int)(slash - muster), muster);
}

void
heal_rig_start(struct heal_rig *rig, const char *path)
{
	char		*own = heal_rig_path();
	int		 to[2], from[2];
	sigset_t	 none;

	setenv("MUSTER_HEAL", "1", 1);
	cr_assert_eq(pipe2(to, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(from, O_CLOEXEC), 0);
	fflush(NULL);
	if ((rig->pid = fork()) == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close_range(3, ~0U, 0);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl(path == NULL ? own : path, "heal", "an argument",
		    (char *)NULL);
		_exit(126);
	}
	cr_assert_neq(rig->pid, -1);
	close(to[0]);
	close(from[1]);
	rig->in = to[1];
	rig->out = from[0];
	free(own);
}

void
heal_rig_say(struct heal_rig *rig, const char *command)
{
	char	*line = xasprintf("%s\n", command);
	size_t	 len = strlen(line);

	cr_assert_eq(write(rig->in, line, len), (ssize_t)len);
	free(line);
}

const char *
heal_rig_line(struct heal_rig *rig)
{
	struct pollfd	 wait = { rig->out, POLLIN, 0 };
	size_t		 len = 0;

	while (len < sizeof(rig->line) - 1) {
		cr_assert_eq(poll(&wait, 1, 10000), 1, "it says nothing");
		if (read(rig->out, rig->line + len, 1) != 1 ||
		    rig->line[len] == '\n')
			break;
		len++;
	}
	rig->line[len] = '\0';
	return rig->line;
}

int
heal_rig_end(struct heal_rig *rig)
{
	int	 status;

	close(rig->in);
	while (waitpid(rig->pid, &status, 0) == -1)
		cr_assert_eq(errno, EINTR);
	close(rig->out);
	return status;
}
