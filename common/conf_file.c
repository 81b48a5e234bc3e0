#include "common/conf_table.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

#define FILE_MAX	(1 << 20)
#define LINE_LONGEST	8192
#define BLANKS		" \t"

/*
 * The file in memory and where in it we are. inih has no line numbers, tells
 * of no empty section, cuts what is long and stops counting errors at the
 * first; so lines go to it one by one and only when they are sound.
 */
struct reader {
	struct conf_load	*load;
	struct conf_origin	 from;		/* file and line */
	const char		*next, *end;
	size_t			 longest;	/* line */
	char			*section;	/* owned; NULL before any */
	bool			 skip;		/* the section is unknown */
	char			**unknown;	/* owned: sections told of */
	size_t			 nunknown;
};

/* Report with FILE:LINE. */
static void	complain(struct reader *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));

static void
complain(struct reader *r, const char *fmt, ...)
{
	va_list	 ap;
	char	 text[512];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_report_line(r->load->errors, "%s:%d: %s", r->from.where,
	    r->from.line, text);
}

/* From blank and ';' outside double quotes on, it is a comment. */
static void
cut_comment(char *line)
{
	bool	 quoted = false;

	for (char *p = line; *p != '\0'; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (*p == ';' && !quoted && p > line &&
		    strchr(BLANKS, p[-1]) != NULL) {
			*p = '\0';
			return;
		}
	}
}

static void
trim_end(char *line)
{
	size_t	 len = strlen(line);

	while (len > 0 && strchr(BLANKS "\r", line[len - 1]) != NULL)
		line[--len] = '\0';
}

static bool
told_of(struct reader *r, const char *section)
{
	for (size_t i = 0; i < r->nunknown; i++)
		if (strcmp(r->unknown[i], section) == 0)
			return true;
	r->unknown = xreallocarray(r->unknown, r->nunknown + 1,
	    sizeof(*r->unknown));
	r->unknown[r->nunknown++] = xstrdup(section);
	return false;
}

/* A "[section]" line; inih is given nothing of it. */
static void
begin_section(struct reader *r, char *line)
{
	char	*end = strchr(line, ']'), *name = line + 1;
	char	 hint[SUGGEST_SIZE], quoted[QUOTE_SIZE];

	r->skip = true;
	if (end == NULL || end[1] != '\0') {
		complain(r, "%s: a section is [name], alone on its line",
		    conf_quote(line, quoted));
		return;
	}
	*end = '\0';
	name += strspn(name, BLANKS);
	trim_end(name);
	free(r->section);
	r->section = xstrdup(name);
	r->skip = !conf_section_known(name);
	if (r->skip && !r->load->lenient && !told_of(r, name))
		complain(r, "[%.64s]: no such section%s", name,
		    conf_suggest_section(name, hint));
}

/* The next line as it stands, or NULL for one that was complained of. */
static char *
take_line(struct reader *r)
{
	const char	*start = r->next, *end;
	size_t		 len;
	char		*line;

	end = memchr(start, '\n', (size_t)(r->end - start));
	r->next = end == NULL ? r->end : end + 1;
	len = (size_t)((end == NULL ? r->end : end) - start);
	r->from.line++;
	if (len > r->longest) {
		complain(r, "a line longer than %zu bytes", r->longest);
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char	 c = (unsigned char)start[i];

		if ((c < ' ' && c != '\t' && !(c == '\r' && i + 1 == len)) ||
		    c == 0x7f) {
			complain(r, "byte 0x%02x in a line of text", c);
			return NULL;
		}
	}
	line = xcalloc(1, len + 1);
	memcpy(line, start, len);
	return line;
}

/* inih's reader: one line a call, "\n" where there is nothing for it. */
static char *
next_line(char *out, int size, void *arg)
{
	struct reader	*r = arg;
	char		*line, *text;

	if (r->next == r->end)
		return NULL;
	strcpy(out, "\n");
	if ((line = take_line(r)) == NULL)
		return out;
	text = line + strspn(line, BLANKS);
	if (*text != ';' && *text != '#') {
		cut_comment(text);
		trim_end(text);
		if (*text == '[')
			begin_section(r, text);
		else
			snprintf(out, (size_t)size, "%s\n", text);
	}
	free(line);
	return out;
}

static int
on_value(void *arg, const char *section, const char *key, const char *value)
{
	struct reader	*r = arg;
	char		 quoted[QUOTE_SIZE];

	(void)section;	/* inih's is cut at 49 characters */
	if (*key == '\0')
		complain(r, "no key before =");
	else if (r->section == NULL && !r->skip)
		complain(r, "%s stands before any [section]",
		    conf_quote(key, quoted));
	else if (!r->skip)
		conf_assign(r->load, r->section, key, value, &r->from);
	return 1;
}

/* Debian's inih has its build options as variables. */
static void
parse(struct reader *r)
{
	ini_max_line = (int)r->longest + 8;
	ini_initial_alloc = r->longest + 8;
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_no_value = true;
	ini_allow_bom = false;
	ini_stop_on_first_error = false;
	if (ini_parse_stream(next_line, r, on_value, r) < 0)
		complain(r, "out of memory");
}

/*
 * The whole file, of len bytes, or NULL with err. Non-blocking, so that a
 * FIFO does not hang the start.
 */
static char *
slurp(const char *file, size_t *len, struct err *err)
{
	struct stat	 st;
	char		*data = NULL;
	ssize_t		 n = 0;
	int		 fd;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, &st) == -1)
		err_sys(err, "cannot read %s", file);
	else if (S_ISDIR(st.st_mode))
		err_set(err, "cannot read %s: %s", file, strerror(EISDIR));
	else if (!S_ISREG(st.st_mode))
		err_set(err, "cannot read %s: not a regular file", file);
	else
		data = xcalloc(1, FILE_MAX + 1);
	for (*len = 0; data != NULL && *len <= FILE_MAX; *len += (size_t)n)
		if ((n = read(fd, data + *len, FILE_MAX + 1 - *len)) <= 0)
			break;
	if (data != NULL && (n == -1 || *len > FILE_MAX)) {
		if (n == -1)
			err_sys(err, "cannot read %s", file);
		else
			err_set(err, "cannot read %s: larger than 1 MiB", file);
		free(data);
		data = NULL;
	}
	if (fd != -1)
		close(fd);
	return data;
}

static void
read_text(struct conf_load *load, const char *name, const char *text,
    size_t len, size_t longest)
{
	struct reader	 r = { .load = load, .longest = longest };

	r.from = (struct conf_origin){ .kind = ORIGIN_FILE,
		.where = xstrdup(name) };
	r.next = text;
	r.end = text + len;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.next += 3;
	parse(&r);
	for (size_t i = 0; i < r.nunknown; i++)
		free(r.unknown[i]);
	free(r.unknown);
	free(r.section);
	free(r.from.where);
}

void
conf_file_read(struct conf_load *load, const char *file)
{
	struct err	 err;
	size_t		 len;
	char		*data;

	if ((data = slurp(file, &len, &err)) == NULL) {
		conf_report_line(load->errors, "muster: %s", err.text);
		return;
	}
	read_text(load, file, data, len, LINE_LONGEST);
	free(data);
}

void
conf_file_read_text(struct conf_load *load, const char *name,
    const char *text, size_t len)
{
	if (len > FILE_MAX * 4)
		conf_report_line(load->errors, "muster: %s is too large", name);
	else
		read_text(load, name, text, len, len + 1);
}
