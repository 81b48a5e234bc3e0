#ifndef MUSTER_CPUS_H
#define MUSTER_CPUS_H

/*
 * How many CPUs this process may use: those of its affinity, cut by its
 * cgroup's quota, rounded up; at least 1.
 */
int	cpus_usable(void);

/*
 * The quota alone, in CPUs, rounded up; 0 if there is none. cgroup is a file
 * like /proc/self/cgroup, mount a folder like /sys/fs/cgroup.
 */
int	cpus_quota(const char *cgroup, const char *mount);

#endif
