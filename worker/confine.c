#include "worker/confine.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static const struct {
	int		 resource;
	const char	*name;
} limit_rows[] = {
	{ RLIMIT_AS,		"as" },
	{ RLIMIT_CORE,		"core" },
	{ RLIMIT_CPU,		"cpu" },
	{ RLIMIT_DATA,		"data" },
	{ RLIMIT_FSIZE,		"fsize" },
	{ RLIMIT_LOCKS,		"locks" },
	{ RLIMIT_MEMLOCK,	"memlock" },
	{ RLIMIT_MSGQUEUE,	"msgqueue" },
	{ RLIMIT_NICE,		"nice" },
	{ RLIMIT_NOFILE,	"nofile" },
	{ RLIMIT_NPROC,		"nproc" },
	{ RLIMIT_RSS,		"rss" },
	{ RLIMIT_RTPRIO,	"rtprio" },
	{ RLIMIT_RTTIME,	"rttime" },
	{ RLIMIT_SIGPENDING,	"sigpending" },
	{ RLIMIT_STACK,		"stack" },
};

static void
note(int slot, const char *what, const char *error)
{
	log_event(EV_CONFINE_NOTE, log_int("slot", slot),
	    log_str("what", what), log_str("error", error));
}

static int
apply_oom_score_adj(const struct conf *conf, int slot, struct err *err)
{
	char	 text[16];
	int	 fd, len, result = 0;

	(void)slot;
	if (!conf->worker.oom_set)
		return 0;
	len = snprintf(text, sizeof(text), "%d", conf->worker.oom_score_adj);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd == -1 || write(fd, text, (size_t)len) != len)
		result = err_sys(err, "oom_score_adj %s", text);
	if (fd != -1)
		close(fd);
	return result;
}

static int
apply_nice(const struct conf *conf, int slot, struct err *err)
{
	(void)slot;
	if (!conf->worker.nice_set)
		return 0;
	if (setpriority(PRIO_PROCESS, 0, conf->worker.nice) == -1)
		return err_sys(err, "nice %d", conf->worker.nice);
	return 0;
}

int
confine_pick_cpu(const cpu_set_t *allowed, int slot)
{
	int	 count = CPU_COUNT(allowed), cpu, skip;

	if (count == 0)
		return -1;
	skip = slot % count;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, allowed) && skip-- == 0)
			return cpu;
	}
	return -1;
}

static int
apply_cpu_affinity(const struct conf *conf, int slot, struct err *err)
{
	cpu_set_t	 cpus = conf->worker.cpus;
	int		 cpu;

	if (conf->worker.cpus_mode == CPUS_ANY)
		return 0;
	if (conf->worker.cpus_mode == CPUS_AUTO) {
		if (sched_getaffinity(0, sizeof(cpus), &cpus) == -1)
			return err_sys(err, "cpu_affinity auto");
		if ((cpu = confine_pick_cpu(&cpus, slot)) == -1)
			return 0;
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
	}
	if (sched_setaffinity(0, sizeof(cpus), &cpus) == -1)
		return err_sys(err, "cpu_affinity");
	return 0;
}

/* Each limit for itself: one that is refused leaves the others. */
static int
apply_limits(const struct conf *conf, int slot, struct err *err)
{
	const struct conf_limit	*limit;
	struct rlimit		 rl;
	size_t			 i;

	(void)err;
	for (i = 0; i < sizeof(limit_rows) / sizeof(limit_rows[0]); i++) {
		limit = &conf->limits[limit_rows[i].resource];
		if (!limit->set)
			continue;
		rl.rlim_cur = limit->soft;
		rl.rlim_max = limit->hard;
		if (setrlimit(limit_rows[i].resource, &rl) == -1)
			note(slot, limit_rows[i].name, strerror(errno));
	}
	return 0;
}

/* Are we that user already, in every way? Then privileges are not needed. */
static bool
is_user(uid_t uid)
{
	uid_t	 real, effective, saved;

	return getresuid(&real, &effective, &saved) == 0 && real == uid &&
	    effective == uid && saved == uid;
}

static int
apply_groups(const struct conf *conf, int slot, struct err *err)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	if (!ids->user_set)
		return 0;
	if (setgroups((size_t)ids->ngroups, ids->groups) == 0)
		return 0;
	if (errno == EPERM && is_user(ids->uid))
		return 0;
	return err_sys(err, "cannot take the groups of user %s",
	    conf->master.user);
}

static int
apply_group(const struct conf *conf, int slot, struct err *err)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	/* Root's group is not what a user was asked for. */
	if (!ids->group_set && !ids->user_set)
		return 0;
	if (setresgid(ids->gid, ids->gid, ids->gid) == -1)
		return err_sys(err, "cannot become group %s",
		    conf->master.group != NULL ? conf->master.group :
		    "of the user");
	return 0;
}

static int
apply_user(const struct conf *conf, int slot, struct err *err)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	if (!ids->user_set)
		return 0;
	if (setresuid(ids->uid, ids->uid, ids->uid) == -1)
		return err_sys(err, "cannot become user %s",
		    conf->master.user);
	return 0;
}

/* Trust is good: root that can be had again was not given up. */
static int
apply_no_return(const struct conf *conf, int slot, struct err *err)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	if (!ids->user_set || ids->uid == 0)
		return 0;
	if (setuid(0) == -1 && setresuid((uid_t)-1, 0, (uid_t)-1) == -1 &&
	    is_user(ids->uid))
		return 0;
	return err_set(err, "user %s could become root again",
	    conf->master.user);
}

static int
apply_umask(const struct conf *conf, int slot, struct err *err)
{
	(void)slot;
	(void)err;
	if (conf->master.umask >= 0)
		umask((mode_t)conf->master.umask);
	return 0;
}

static int
apply_no_new_privs(const struct conf *conf, int slot, struct err *err)
{
	(void)slot;
	if (!conf->worker.no_new_privs)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_sys(err, "no_new_privs");
	return 0;
}

const struct confine_step confine_steps[] = {
	{ "oom_score_adj",	false,	apply_oom_score_adj },
	{ "nice",		false,	apply_nice },
	{ "cpu_affinity",	false,	apply_cpu_affinity },
	{ "limits",		false,	apply_limits },
	{ "groups",		true,	apply_groups },
	{ "group",		true,	apply_group },
	{ "user",		true,	apply_user },
	{ "no_return",		true,	apply_no_return },
	{ "umask",		false,	apply_umask },
	{ "no_new_privs",	true,	apply_no_new_privs },
};
const size_t confine_count = sizeof(confine_steps) / sizeof(confine_steps[0]);

int
confine(const struct conf *conf, int slot, struct err *err)
{
	const struct confine_step	*step;
	size_t				 i;

	for (i = 0; i < confine_count; i++) {
		step = &confine_steps[i];
		if (step->apply(conf, slot, err) == 0)
			continue;
		if (step->fatal)
			return -1;
		note(slot, step->name, err->text);
	}
	return 0;
}
