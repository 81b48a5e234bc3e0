#include "worker/confine.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
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

/* Every row and step has its place: no result is ever full. */
static void
note(struct confine_result *result, const char *what)
{
	if (result->nnotes < CONFINE_NOTES)
		result->notes[result->nnotes++] =
		    (struct confine_note){ what, errno };
}

/* snprintf(3) is not for a child that shares its master's memory. */
static size_t
print_number(int number, char *out)
{
	char	 digits[12];
	size_t	 count = 0, len = 0;
	unsigned rest = number < 0 ? -(unsigned)number : (unsigned)number;

	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		out[len++] = '-';
	while (count > 0)
		out[len++] = digits[--count];
	return len;
}

static int
apply_oom_score_adj(const struct conf *conf, int slot,
    struct confine_result *result)
{
	char	 text[16];
	size_t	 len;
	int	 fd, saved, done;

	(void)slot;
	(void)result;
	if (!conf->worker.oom_set)
		return 0;
	len = print_number(conf->worker.oom_score_adj, text);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	done = write(fd, text, len) == (ssize_t)len ? 0 : -1;
	saved = errno;
	close(fd);
	errno = saved;
	return done;
}

static int
apply_nice(const struct conf *conf, int slot, struct confine_result *result)
{
	(void)slot;
	(void)result;
	if (!conf->worker.nice_set)
		return 0;
	return setpriority(PRIO_PROCESS, 0, conf->worker.nice);
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
apply_cpu_affinity(const struct conf *conf, int slot,
    struct confine_result *result)
{
	cpu_set_t	 cpus = conf->worker.cpus;
	int		 cpu;

	(void)result;
	if (conf->worker.cpus_mode == CPUS_ANY)
		return 0;
	if (conf->worker.cpus_mode == CPUS_AUTO) {
		if (sched_getaffinity(0, sizeof(cpus), &cpus) == -1)
			return -1;
		if ((cpu = confine_pick_cpu(&cpus, slot)) == -1)
			return 0;
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
	}
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* Each limit for itself: one that is refused leaves the others. */
static int
apply_limits(const struct conf *conf, int slot, struct confine_result *result)
{
	const struct conf_limit	*limit;
	struct rlimit		 rl;
	size_t			 i;

	(void)slot;
	for (i = 0; i < sizeof(limit_rows) / sizeof(limit_rows[0]); i++) {
		limit = &conf->limits[limit_rows[i].resource];
		if (!limit->set)
			continue;
		rl.rlim_cur = limit->soft;
		rl.rlim_max = limit->hard;
		if (prlimit(0, limit_rows[i].resource, &rl, NULL) == -1)
			note(result, limit_rows[i].name);
	}
	return 0;
}

/*
 * Who we are, by the system calls themselves: the C library's functions of
 * these names tell all threads, with locks and signals, which a child in its
 * master's memory must not touch. Old machines have a second, wider set.
 */
#ifdef SYS_setresuid32
#define CALL(name)	SYS_##name##32
#else
#define CALL(name)	SYS_##name
#endif

static int
set_user(uid_t real, uid_t effective, uid_t saved)
{
	return (int)syscall(CALL(setresuid), real, effective, saved);
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
apply_groups(const struct conf *conf, int slot, struct confine_result *result)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	(void)result;
	if (!ids->user_set)
		return 0;
	if (syscall(CALL(setgroups), (size_t)ids->ngroups, ids->groups) == 0)
		return 0;
	return errno == EPERM && is_user(ids->uid) ? 0 : -1;
}

static int
apply_group(const struct conf *conf, int slot, struct confine_result *result)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	(void)result;
	/* Root's group is not what a user was asked for. */
	if (!ids->group_set && !ids->user_set)
		return 0;
	return (int)syscall(CALL(setresgid), ids->gid, ids->gid, ids->gid);
}

static int
apply_user(const struct conf *conf, int slot, struct confine_result *result)
{
	uid_t	 uid = conf->master.ids.uid;

	(void)slot;
	(void)result;
	return conf->master.ids.user_set ? set_user(uid, uid, uid) : 0;
}

/* Trust is good: root that can be had again was not given up. */
static int
apply_no_return(const struct conf *conf, int slot,
    struct confine_result *result)
{
	const struct conf_ids	*ids = &conf->master.ids;

	(void)slot;
	(void)result;
	if (!ids->user_set || ids->uid == 0)
		return 0;
	if (syscall(CALL(setuid), (uid_t)0) == -1 &&
	    set_user((uid_t)-1, 0, (uid_t)-1) == -1 && is_user(ids->uid))
		return 0;
	errno = EEXIST;		/* what it must not do; the text says more */
	return -1;
}

static int
apply_umask(const struct conf *conf, int slot, struct confine_result *result)
{
	(void)slot;
	(void)result;
	if (conf->master.umask >= 0)
		umask((mode_t)conf->master.umask);
	return 0;
}

static int
apply_no_new_privs(const struct conf *conf, int slot,
    struct confine_result *result)
{
	(void)slot;
	(void)result;
	if (!conf->worker.no_new_privs)
		return 0;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
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
confine(const struct conf *conf, int slot, struct confine_result *result)
{
	const struct confine_step	*step;
	size_t				 i;

	result->nnotes = 0;
	result->failed = NULL;
	for (i = 0; i < confine_count; i++) {
		step = &confine_steps[i];
		if (step->apply(conf, slot, result) == 0)
			continue;
		if (step->fatal) {
			result->failed = step->name;
			result->error = errno;
			return -1;
		}
		note(result, step->name);
	}
	return 0;
}

/* ---- what is said of it, where saying is allowed */

void
confine_report(int slot, const struct confine_result *result)
{
	int	 i;

	for (i = 0; i < result->nnotes; i++)
		log_event(EV_CONFINE_NOTE, log_int("slot", slot),
		    log_str("what", result->notes[i].what),
		    log_str("error", strerror(result->notes[i].error)));
}

int
confine_failure(const struct conf *conf, const struct confine_result *result,
    struct err *err)
{
	const char	*failed = result->failed, *user = conf->master.user;

	errno = result->error;
	if (strcmp(failed, "groups") == 0)
		return err_sys(err, "cannot take the groups of user %s", user);
	if (strcmp(failed, "group") == 0)
		return err_sys(err, "cannot become group %s",
		    conf->master.group != NULL ? conf->master.group :
		    "of the user");
	if (strcmp(failed, "user") == 0)
		return err_sys(err, "cannot become user %s", user);
	if (strcmp(failed, "no_return") == 0)
		return err_set(err, "user %s could become root again", user);
	return err_sys(err, "%s", failed);
}
