#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

TestSuite(mem, .timeout = 10);

/* AddressSanitizer itself ends a process that asks for too much. */
#if defined(__SANITIZE_ADDRESS__)
#define ASKING_IS_FATAL	true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASKING_IS_FATAL	true
#endif
#endif
#ifndef ASKING_IS_FATAL
#define ASKING_IS_FATAL	false
#endif

Test(mem, xcalloc_gives_zeroes)
{
	char	*p = xcalloc(3, 5);
	int	 i, sum = 0;

	for (i = 0; i < 15; i++)
		sum |= p[i];
	cr_expect_eq(sum, 0);
	free(p);
}

Test(mem, nothing_asked_for_is_no_failure)
{
	char	*p = xcalloc(0, 8);

	cr_expect_not_null(p);
	p = xreallocarray(p, 0, 8);
	cr_expect_not_null(p);
	free(p);
}

Test(mem, xreallocarray_keeps_what_was_there)
{
	char	*p = xstrdup("muster");

	p = xreallocarray(p, 100, 2);
	cr_expect_str_eq(p, "muster");
	memset(p, 'x', 200);
	free(p);
}

Test(mem, xasprintf_formats)
{
	char	*p = xasprintf("%s-%d", "muster", 42);

	cr_expect_str_eq(p, "muster-42");
	free(p);
}

static _Noreturn void
on_abort(int signo)
{
	(void)signo;
	_exit(42);
}

/* What the child says on stderr when it asks for too much. */
static int
ask_too_much(char *said, size_t size)
{
	int	 ends[2], status;
	ssize_t	 got;
	pid_t	 pid;

	if (pipe(ends) == -1)
		return -1;
	if ((pid = fork()) == 0) {
		signal(SIGABRT, on_abort);
		dup2(ends[1], STDERR_FILENO);
		xreallocarray(NULL, SIZE_MAX / 2, 8);
		_exit(0);
	}
	close(ends[1]);
	waitpid(pid, &status, 0);
	got = read(ends[0], said, size - 1);
	close(ends[0]);
	said[got > 0 ? got : 0] = '\0';
	return status;
}

Test(mem, the_end_of_memory_is_logged_and_aborts, .disabled = ASKING_IS_FATAL)
{
	char	 said[1024];
	int	 status = ask_too_much(said, sizeof(said));

	cr_assert(WIFEXITED(status), "status %#x", (unsigned int)status);
	cr_expect_eq(WEXITSTATUS(status), 42);
	cr_expect_not_null(strstr(said, "error memory.ended bytes="), "%s",
	    said);
}
