#include "master/sender.h"

#include <errno.h>
#include <unistd.h>

#include "master/proc.h"

#define GENERATIONS	16	/* between a worker and one who speaks for it */

static bool
descends(pid_t pid, pid_t worker)
{
	pid_t	 ours = getpid();
	int	 i;

	for (i = 0; i < GENERATIONS && pid > 1 && pid != ours; i++) {
		if (pid == worker)
			return true;
		pid = proc_parent(pid);
	}
	return false;
}

bool
sender_may(pid_t pid, uid_t sender_uid, pid_t worker, uid_t uid, bool *looked)
{
	pid_t	 group;

	*looked = false;
	if (sender_uid != uid && sender_uid != 0 && sender_uid != geteuid())
		return false;
	if (pid == worker)
		return true;
	if (pid <= 0)
		return false;
	if ((group = getpgid(pid)) == -1)
		return errno == ESRCH;
	if (group == worker)
		return true;
	*looked = true;
	return descends(pid, worker);
}
