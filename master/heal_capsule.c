#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "master/heal_priv.h"

/* On a page that nothing else shares. */
union capsule_page	 capsule __attribute__((aligned(CAPSULE_PAGE))) = {
	.in = { .state_fd = -1, .binary = -1, .own = -1 },
};

_Static_assert(sizeof(struct capsule) <= CAPSULE_PAGE, "it is one page");

struct capsule *
capsule_open(void)
{
	/* Where pages are larger it stays writable: nothing else is lost. */
	mprotect(&capsule, sizeof(capsule), PROT_READ | PROT_WRITE);
	return &capsule.in;
}

void
capsule_close(void)
{
	mprotect(&capsule, sizeof(capsule), PROT_READ);
}

/* ---- the copies: pointers first, then the texts */

static bool
is_ours(const char *variable)
{
	const size_t	 len = sizeof(HEAL_VARIABLE) - 1;

	return strncmp(variable, HEAL_VARIABLE, len) == 0 &&
	    variable[len] == '=';
}

static size_t
measure(char **list, size_t *count)
{
	size_t	 bytes = 0;

	for (*count = 0; list[*count] != NULL; (*count)++)
		bytes += strlen(list[*count]) + 1;
	return bytes;
}

static char *
copy_text(char **to, const char *text)
{
	size_t	 len = strlen(text) + 1;

	memcpy(*to, text, len);
	*to += len;
	return *to - len;
}

/* The environments differ in their first variable alone. */
static void
fill(struct capsule *c, char **pointers, char *texts, char **argv, char **envp)
{
	char	**rest;
	size_t	  i, n = 0;

	c->argv = pointers;
	while (*argv != NULL)
		*pointers++ = copy_text(&texts, *argv++);
	*pointers++ = NULL;
	c->on_crash = pointers;
	*pointers++ = c->crash_text;
	rest = pointers;
	for (; *envp != NULL; envp++)
		if (!is_ours(*envp)) {
			*pointers++ = copy_text(&texts, *envp);
			n++;
		}
	*pointers++ = NULL;
	c->on_give_up = pointers;
	*pointers++ = c->give_up_text;
	for (i = 0; i < n; i++)
		*pointers++ = rest[i];
	*pointers = NULL;
}

int
capsule_make(int argc, char **argv, char **envp, struct err *err)
{
	struct capsule	*c;
	size_t		 nargs, nvars, size, npointers;
	char		**area;

	(void)argc;
	size = measure(argv, &nargs) + measure(envp, &nvars);
	npointers = nargs + 1 + 2 * (nvars + 2);
	size += npointers * sizeof(char *);
	area = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return err_sys(err, "cannot keep a copy of the arguments");
	c = capsule_open();
	c->pid = getpid();
	fill(c, area, (char *)(area + npointers), argv, envp);
	mprotect(area, size, PROT_READ);
	capsule_close();
	return 0;
}
