#include "tests/unit/program_rig.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "master/proc.h"

const char *
prog_show(void)
{
	static char	 path[PATH_MAX];
	ssize_t		 n;

	n = readlink("/proc/self/exe", path, sizeof(path) - 6);
	cr_assert_gt(n, 0);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "show");
	return path;
}

void
prog_copy_show(const char *path)
{
	char	 buf[65536];
	int	 from = open(prog_show(), O_RDONLY | O_CLOEXEC), to;
	ssize_t	 n;

	unlink(path);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	cr_assert(from != -1 && to != -1);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		cr_assert_eq(write(to, buf, (size_t)n), n);
	cr_assert_eq(fchmod(to, 0755), 0);
	close(from);
	close(to);
}

/* ---- the test's folder, made when it is asked for */

static char	 folder_path[64];

const char *
prog_path(const char *name)
{
	static char	 paths[4][128];
	static int	 turn;

	if (folder_path[0] == '\0') {
		strcpy(folder_path, "/tmp/muster-program.XXXXXX");
		cr_assert_not_null(mkdtemp(folder_path));
		cr_assert_eq(chmod(folder_path, 0755), 0);
	}
	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", folder_path,
	    name);
	return paths[turn];
}

const char *
prog_file(const char *name, const char *content, mode_t mode)
{
	const char	*path = prog_path(name);
	int		 fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ssize_t		 len = (ssize_t)strlen(content);

	cr_assert_eq(write(fd, content, (size_t)len), len);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void
remove_folder(void)
{
	char	*command;

	if (folder_path[0] == '\0')
		return;
	command = xasprintf("rm -rf '%s'", folder_path);
	cr_expect_eq(system(command), 0);
	free(command);
	folder_path[0] = '\0';
}

/* ---- the program */

static void
forget_command(struct rig *rig)
{
	size_t	 i;

	for (i = 0; i < rig->conf.worker.ncommand; i++)
		free(rig->words[i]);
	rig->conf.worker.ncommand = 0;
}

void
prog_command(struct rig *rig, const char *word, ...)
{
	size_t	 count = 0;
	va_list	 ap;

	forget_command(rig);
	va_start(ap, word);
	for (; word != NULL; word = va_arg(ap, const char *))
		rig->words[count++] = xstrdup(word);
	va_end(ap);
	rig->conf.worker.command = rig->words;
	rig->conf.worker.ncommand = count;
}

void
prog_open(struct rig *rig)
{
	static char	 name[] = "web";
	static char	*original[] = { NULL, NULL };
	static char	 path[] = "PATH=/bin";

	memset(rig, 0, sizeof(*rig));
	original[0] = path;
	rig->conf.master.name = name;
	rig->conf.master.umask = -1;
	rig->conf.worker.stop_signal = SIGTERM;
	rig->conf.worker.sockets = DIALECT_LISTEN_FDS;
	rig->boot = (struct program_boot){ .conf = &rig->conf, .slot = 3,
	    .generation = 2, .master_pid = getpid(), .sockets = rig->sockets,
	    .null_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
	    .out_fd = memfd_create("out", MFD_CLOEXEC),
	    .original = original };
	prog_command(rig, prog_show(), NULL);
	proc_prepare();
}

void
prog_close(struct rig *rig)
{
	size_t	 i;

	remove_folder();
	forget_command(rig);
	free(rig->out);
	for (i = 0; i < rig->boot.nsockets; i++)
		close(rig->sockets[i].fd);
	close(rig->boot.null_fd);
	if (rig->boot.out_fd != -1)
		close(rig->boot.out_fd);
}

void
prog_inherit(struct rig *rig, int fd, const char *name, const char *text)
{
	cr_assert_lt(rig->boot.nsockets, (size_t)RIG_SOCKETS);
	rig->sockets[rig->boot.nsockets++] = (struct inherited){ fd, name,
	    text };
}

int
prog_socket(struct rig *rig, const char *name)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int			 fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	cr_assert_eq(listen(fd, 5), 0);
	prog_inherit(rig, fd, name, "127.0.0.1:8000");
	return fd;
}

bool
prog_start(struct rig *rig)
{
	struct program	*program;
	struct err	 err = { "" };

	rig->text[0] = '\0';
	if (ftruncate(rig->boot.out_fd, 0) == 0)
		lseek(rig->boot.out_fd, 0, SEEK_SET);
	if ((program = program_new(&rig->boot, &err)) == NULL) {
		snprintf(rig->text, sizeof(rig->text), "%s", err.text);
		return false;
	}
	proc_hold_signals();
	rig->pid = proc_exec(program, &rig->failure);
	proc_release_signals();
	if (rig->pid != -1 && rig->failure.step != NULL)
		program_failure_text(&rig->failure, program, rig->text,
		    sizeof(rig->text));
	program_free(program);
	return rig->pid != -1 && rig->failure.step == NULL;
}

void
prog_run(struct rig *rig)
{
	cr_assert(prog_start(rig), "%s", rig->text);
	cr_assert_eq(waitpid(rig->pid, &rig->status, 0), rig->pid);
	cr_assert_eq(rig->status, 0, "status %x", (unsigned)rig->status);
	prog_read(rig);
}

void
prog_kill(struct rig *rig)
{
	kill(rig->pid, SIGKILL);
	cr_assert_eq(waitpid(rig->pid, &rig->status, 0), rig->pid);
}

void
prog_read(struct rig *rig)
{
	off_t	 size;

	size = lseek(rig->boot.out_fd, 0, SEEK_END);
	free(rig->out);
	rig->out = xcalloc(1, (size_t)size + 2);
	rig->out[0] = '\n';
	cr_assert_eq(pread(rig->boot.out_fd, rig->out + 1, (size_t)size, 0),
	    size);
}

/* Where the value begins, behind "\nkey ". */
static const char *
find(const struct rig *rig, const char *key)
{
	char		*begin = xasprintf("\n%s ", key);
	const char	*at = strstr(rig->out, begin);

	at = at == NULL ? NULL : at + strlen(begin);
	free(begin);
	return at;
}

const char *
prog_value(const struct rig *rig, const char *key)
{
	static char	 values[4][512];
	static int	 turn;
	const char	*at = find(rig, key);

	if (at == NULL)
		return NULL;
	turn = (turn + 1) % 4;
	snprintf(values[turn], sizeof(values[turn]), "%.*s",
	    (int)strcspn(at, "\n"), at);
	return values[turn];
}

bool
prog_says(const struct rig *rig, const char *key, const char *value)
{
	const char	*found = prog_value(rig, key);

	return found != NULL && strcmp(found, value) == 0;
}

int
prog_count(const struct rig *rig, const char *begin)
{
	const char	*at = rig->out;
	int		 count = 0;

	for (; (at = strchr(at, '\n')) != NULL; at++)
		count += strncmp(at + 1, begin, strlen(begin)) == 0;
	return count;
}
