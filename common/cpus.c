#include "common/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CPUS_MANY	1000000

/* Rounded up; 0 where there is no quota. */
static int
in_cpus(intmax_t quota, intmax_t period)
{
	if (quota <= 0 || period <= 0 || quota / period >= CPUS_MANY)
		return 0;
	return (int)(quota / period + (quota % period != 0));
}

static FILE *
open_in(const char *dir, const char *name)
{
	char	 path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path))
		return NULL;
	return fopen(path, "re");
}

/* cpu.max of cgroup v2 is "QUOTA PERIOD" or "max PERIOD". */
static int
quota_v2(const char *dir)
{
	intmax_t	 quota, period;
	FILE		*f;
	int		 n;

	if ((f = open_in(dir, "cpu.max")) == NULL)
		return 0;
	n = fscanf(f, "%jd %jd", &quota, &period);
	fclose(f);
	return n == 2 ? in_cpus(quota, period) : 0;
}

static intmax_t
read_number(const char *dir, const char *name)
{
	intmax_t	 number;
	FILE		*f;

	if ((f = open_in(dir, name)) == NULL)
		return -1;
	if (fscanf(f, "%jd", &number) != 1)
		number = -1;
	fclose(f);
	return number;
}

static int
quota_v1(const char *dir)
{
	return in_cpus(read_number(dir, "cpu.cfs_quota_us"),
	    read_number(dir, "cpu.cfs_period_us"));
}

/* The least of a group and those above it; 0 stands for none. */
static int
least_upwards(const char *mount, const char *group, int (*quota)(const char *))
{
	char	 dir[PATH_MAX];
	size_t	 top = strlen(mount);
	int	 least = 0, q;
	char	*slash;

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", mount, group) >=
	    sizeof(dir))
		return 0;
	for (;;) {
		q = quota(dir);
		if (q > 0 && (least == 0 || q < least))
			least = q;
		slash = strrchr(dir, '/');
		if (slash == NULL || slash < dir + top)
			return least;
		*slash = '\0';
	}
}

/* Is "cpu" among the controllers "cpu,cpuacct"? */
static bool
has_cpu(const char *controllers)
{
	const char	*p = controllers;
	size_t		 len;

	for (; *p != '\0'; p += len + (p[len] == ',')) {
		len = strcspn(p, ",");
		if (len == 3 && strncmp(p, "cpu", 3) == 0)
			return true;
	}
	return false;
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:PATH". */
static int
quota_of_line(char *line, const char *mount)
{
	char	*controllers, *group, root[PATH_MAX];

	line[strcspn(line, "\n")] = '\0';
	strsep(&line, ":");
	if ((controllers = strsep(&line, ":")) == NULL || line == NULL)
		return 0;
	group = line;
	if (*controllers == '\0')
		return least_upwards(mount, group, quota_v2);
	if (!has_cpu(controllers))
		return 0;
	snprintf(root, sizeof(root), "%.1000s/%.1000s", mount, controllers);
	if (read_number(root, "cpu.cfs_period_us") == -1)
		snprintf(root, sizeof(root), "%.1000s/cpu", mount);
	return least_upwards(root, group, quota_v1);
}

int
cpus_quota(const char *cgroup, const char *mount)
{
	char	 line[PATH_MAX + 64];
	int	 least = 0, q;
	FILE	*f;

	if ((f = fopen(cgroup, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		q = quota_of_line(line, mount);
		if (q > 0 && (least == 0 || q < least))
			least = q;
	}
	fclose(f);
	return least;
}

int
cpus_usable(void)
{
	cpu_set_t	 set;
	int		 cpus = 1, quota;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cpus = CPU_COUNT(&set);
	quota = cpus_quota("/proc/self/cgroup", "/sys/fs/cgroup");
	if (quota > 0 && quota < cpus)
		cpus = quota;
	return cpus < 1 ? 1 : cpus;
}
