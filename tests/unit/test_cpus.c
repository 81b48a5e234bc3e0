#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cpus.h"
#include "common/mem.h"

TestSuite(cpus, .timeout = 10);

static char	 top[] = "/tmp/muster-cpus-XXXXXX";

/* Write text to a file below top, making its folders. */
static void
put(const char *below, const char *text)
{
	char	*path = xasprintf("%s/%s", top, below), *p;
	FILE	*f;

	for (p = path + strlen(top) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
		*p = '/';
	}
	f = fopen(path, "we");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static int
quota(void)
{
	char	*cgroup = xasprintf("%s/cgroup", top);
	int	 n = cpus_quota(cgroup, top);

	free(cgroup);
	return n;
}

static void
setup(void)
{
	cr_assert_not_null(mkdtemp(top));
}

static void
teardown(void)
{
	char	*command = xasprintf("rm -r %s", top);

	cr_expect_eq(system(command), 0);
	free(command);
}

Test(cpus, follow_the_least_quota_upwards_in_v2, .init = setup,
    .fini = teardown)
{
	put("cgroup", "0::/a/b\n");
	cr_expect_eq(quota(), 0);
	put("a/b/cpu.max", "max 100000\n");
	cr_expect_eq(quota(), 0);
	put("a/cpu.max", "150000 100000\n");
	cr_expect_eq(quota(), 2);
	put("a/b/cpu.max", "10000 100000\n");
	cr_expect_eq(quota(), 1);
}

Test(cpus, follow_the_quota_of_v1, .init = setup, .fini = teardown)
{
	put("cgroup", "4:memory:/x\n3:cpuset:/\n2:cpu,cpuacct:/a\n");
	cr_expect_eq(quota(), 0);
	put("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
	put("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(quota(), 0);
	put("cpu,cpuacct/a/cpu.cfs_quota_us", "300000\n");
	put("cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(quota(), 3);
}

Test(cpus, survive_nonsense, .init = setup, .fini = teardown)
{
	put("cgroup", "\n:\n::\n0::/a\n1:cpu:/a\nx");
	put("a/cpu.max", "99999999999999999999 0\n");
	put("cpu/a/cpu.cfs_quota_us", "x\n");
	cr_expect_eq(quota(), 0);
	cr_expect_eq(cpus_quota("/nonexistent", "/nonexistent"), 0);
}

Test(cpus, are_at_least_one)
{
	cr_expect_geq(cpus_usable(), 1);
}
