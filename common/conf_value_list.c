#include "common/conf_value.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* Values of several parts: lists, pairs, a number or a word. */

#define BLANKS		" \t"
#define AUTO_ALIVE	1000	/* ms; what ready = auto stands for */

enum value_result
value_parse_codes(const char *text, int **codes, size_t *count)
{
	enum value_result	 result = VALUE_BAD;
	char			*copy = xstrdup(text), *rest = copy, *word;
	int			*list = NULL;
	size_t			 n = 0;
	int64_t			 code;

	if (strcmp(text, "none") == 0)
		result = VALUE_OK;
	else while ((word = strsep(&rest, BLANKS ",")) != NULL) {
		if (*word == '\0')
			continue;
		result = value_parse_number(word, 0, 255, &code);
		if (result != VALUE_OK)
			break;
		list = xreallocarray(list, n + 1, sizeof(*list));
		list[n++] = (int)code;
	}
	free(copy);
	if (result != VALUE_OK) {
		free(list);
		return result;
	}
	*codes = list;
	*count = n;
	return VALUE_OK;
}

/* text with ", " and more behind it; text is consumed. */
static char *
joined(char *text, char *more, const char *between)
{
	char	*longer;

	if (text == NULL)
		return more;
	longer = xasprintf("%s%s%s", text, between, more);
	free(text);
	free(more);
	return longer;
}

char *
value_print_codes(const int *codes, size_t count)
{
	char	*text = NULL;

	for (size_t i = 0; i < count; i++)
		text = joined(text, value_print_number(codes[i]), ", ");
	return text != NULL ? text : xstrdup("none");
}

enum value_result
value_parse_surge(const char *text, struct conf_surge *out)
{
	size_t			 len = strlen(text);
	bool			 percent = len > 0 && text[len - 1] == '%';
	char			*digits = xstrdup(text);
	int64_t			 number;
	enum value_result	 result;

	if (percent)
		digits[len - 1] = '\0';
	result = value_parse_number(digits, 1, percent ? 100 : 10000, &number);
	free(digits);
	if (result == VALUE_OK)
		*out = (struct conf_surge){ (int)number, percent };
	return result;
}

char *
value_print_surge(const struct conf_surge *surge)
{
	return xasprintf("%d%s", surge->number, surge->percent ? "%" : "");
}

enum value_result
value_parse_workers(const char *text, int min, int max, int *out)
{
	enum value_result	 result;
	int64_t			 number;

	if (strcmp(text, "auto") == 0) {
		*out = 0;
		return VALUE_OK;
	}
	result = value_parse_number(text, min, max, &number);
	if (result == VALUE_OK)
		*out = (int)number;
	return result;
}

char *
value_print_workers(int workers)
{
	return workers == 0 ? xstrdup("auto") : value_print_number(workers);
}

/* "5" or "0-3" into the set; the text is cut up. */
static enum value_result
parse_cpu_range(char *text, cpu_set_t *cpus)
{
	char			*dash = strchr(text, '-');
	int64_t			 first, last;
	enum value_result	 result;

	if (dash != NULL)
		*dash++ = '\0';
	result = value_parse_number(text, 0, CPU_SETSIZE - 1, &first);
	last = first;
	if (result == VALUE_OK && dash != NULL)
		result = value_parse_number(dash, 0, CPU_SETSIZE - 1, &last);
	if (result != VALUE_OK)
		return result;
	if (last < first)
		return VALUE_BAD;
	for (; first <= last; first++)
		CPU_SET(first, cpus);
	return VALUE_OK;
}

enum value_result
value_parse_cpus(const char *text, enum cpus_mode *mode, cpu_set_t *cpus)
{
	enum value_result	 result = VALUE_OK;
	char			*copy, *rest, *range;
	cpu_set_t		 set;

	if (strcmp(text, "any") == 0 || strcmp(text, "auto") == 0) {
		*mode = strcmp(text, "any") == 0 ? CPUS_ANY : CPUS_AUTO;
		CPU_ZERO(cpus);
		return VALUE_OK;
	}
	CPU_ZERO(&set);
	copy = rest = xstrdup(text);
	while (result == VALUE_OK && (range = strsep(&rest, ",")) != NULL) {
		range += strspn(range, BLANKS);
		range[strcspn(range, BLANKS)] = '\0';
		result = parse_cpu_range(range, &set);
	}
	free(copy);
	if (result != VALUE_OK)
		return result;
	*mode = CPUS_SET;
	*cpus = set;
	return VALUE_OK;
}

char *
value_print_cpus(enum cpus_mode mode, const cpu_set_t *cpus)
{
	char	*text = NULL;
	int	 first, last;

	if (mode != CPUS_SET)
		return xstrdup(mode == CPUS_AUTO ? "auto" : "any");
	for (first = 0; first < CPU_SETSIZE; first = last + 1) {
		last = first;
		if (!CPU_ISSET(first, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		text = joined(text, first == last ? xasprintf("%d", first) :
		    xasprintf("%d-%d", first, last), ",");
	}
	return text != NULL ? text : xstrdup("any");
}

static enum value_result
parse_one_limit(const char *text, rlim_t *out)
{
	enum value_result	 result;
	int64_t			 number;

	if (strcmp(text, "unlimited") == 0) {
		*out = RLIM_INFINITY;
		return VALUE_OK;
	}
	result = value_parse_size(text, 0, INT64_MAX, &number);
	if (result == VALUE_OK)
		*out = (rlim_t)number;
	return result;
}

enum value_result
value_parse_limit(const char *text, struct conf_limit *out)
{
	struct conf_limit	 limit = { .set = true };
	char			*soft = xstrdup(text), *hard;
	enum value_result	 result;

	if ((hard = strchr(soft, ':')) != NULL)
		*hard++ = '\0';
	result = parse_one_limit(soft, &limit.soft);
	limit.hard = limit.soft;
	if (result == VALUE_OK && hard != NULL)
		result = parse_one_limit(hard, &limit.hard);
	free(soft);
	if (result != VALUE_OK)
		return result;
	if (limit.soft > limit.hard)
		return VALUE_RANGE;
	*out = limit;
	return VALUE_OK;
}

static char *
print_one_limit(rlim_t limit)
{
	if (limit == RLIM_INFINITY)
		return xstrdup("unlimited");
	return value_print_number((int64_t)limit);
}

char *
value_print_limit(const struct conf_limit *limit)
{
	if (limit->soft == limit->hard)
		return print_one_limit(limit->soft);
	return joined(print_one_limit(limit->soft),
	    print_one_limit(limit->hard), ":");
}

enum value_result
value_parse_ready(const char *text, int64_t max, struct conf_ready *out)
{
	enum value_result	 result;
	int64_t			 alive;

	if (strcmp(text, "auto") == 0)
		*out = (struct conf_ready){ READY_AUTO, AUTO_ALIVE };
	else if (strcmp(text, "notify") == 0)
		*out = (struct conf_ready){ READY_NOTIFY, -1 };
	else if (strncmp(text, "alive:", 6) != 0)
		return VALUE_BAD;
	else {
		result = value_parse_duration(text + 6, 0, max, &alive);
		if (result != VALUE_OK)
			return result;
		*out = (struct conf_ready){ READY_ALIVE, alive };
	}
	return VALUE_OK;
}

char *
value_print_ready(const struct conf_ready *ready)
{
	if (ready->mode != READY_ALIVE)
		return xstrdup(ready->mode == READY_AUTO ? "auto" : "notify");
	return joined(xstrdup("alive"), value_print_duration(ready->alive),
	    ":");
}

static const struct value_word dialect_words[] = {
	{ "listen-fds", DIALECT_LISTEN_FDS }, { "einhorn", DIALECT_EINHORN },
	{ "server-starter", DIALECT_SERVER_STARTER },
	{ "nginx", DIALECT_NGINX }, { "php-fpm", DIALECT_PHP_FPM },
	{ "unicorn", DIALECT_UNICORN }, { "stdin", DIALECT_STDIN },
	{ NULL, 0 }
};

enum value_result
value_parse_sockets(const char *text, unsigned int *out)
{
	enum value_result	 result = VALUE_BAD;
	char			*copy = xstrdup(text), *rest = copy, *word;
	unsigned int		 sockets = 0;
	int			 bit;

	if (strcmp(text, "none") == 0)
		result = VALUE_OK;
	else while ((word = strsep(&rest, BLANKS ",")) != NULL) {
		if (*word == '\0')
			continue;
		result = value_parse_word(word, dialect_words, &bit);
		if (result != VALUE_OK)
			break;
		sockets |= (unsigned int)bit;
	}
	free(copy);
	if (result == VALUE_OK)
		*out = sockets;
	return result;
}

char *
value_print_sockets(unsigned int sockets)
{
	const struct value_word	*w;
	char			*text = NULL;

	for (w = dialect_words; w->word != NULL; w++)
		if (sockets & (unsigned int)w->value)
			text = joined(text, xstrdup(w->word), " ");
	return text != NULL ? text : xstrdup("none");
}
