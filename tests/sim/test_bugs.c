#include <sys/wait.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/sim.h"

/*
 * A simulation that never fails proves nothing: bugs are planted into copies
 * of the pool, and it has to find every one (tests/sim/mutants).
 */
TestSuite(bugs, .timeout = 200);

Test(bugs, planted_into_the_pool_are_all_found)
{
	const char	*tests = getenv("TESTS");
	char		 path[4096];
	int		 status;
	pid_t		 pid;

	if (SIM_SANITIZED)
		cr_skip_test("the same without sanitizers");
	snprintf(path, sizeof(path), "%s/sim/mutants",
	    tests == NULL ? "tests" : tests);
	pid = fork();
	if (pid == 0) {
		close_range(3, ~0u, 0);	/* the runner's */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/sh", "sh", path, (char *)NULL);
		_exit(127);
	}
	cr_assert(ne(int, pid, -1));
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, status, 0), "a planted bug is not found: see above");
}
