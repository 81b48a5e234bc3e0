#include "common/conf_value.h"

#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

static const struct value_word bool_words[] = {
	{ "yes", 1 }, { "no", 0 }, { "true", 1 }, { "false", 0 },
	{ "on", 1 }, { "off", 0 }, { NULL, 0 }
};

struct unit {
	const char	*name;
	int64_t		 factor;
};

/* Largest first, for printing and for the order that parsing asks for. */
static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	{ "ms", 1 }, { NULL, 0 }
};

static const struct unit sizes[] = {
	{ "g", 1 << 30 }, { "m", 1 << 20 }, { "k", 1 << 10 }, { NULL, 0 }
};

/*
 * Digits at *at, which moves behind them. A number that does not fit is
 * INT64_MAX with *over set, so that the caller can call it out of range.
 */
static bool
take_digits(const char **at, int64_t *out, bool *over)
{
	const char	*p = *at;
	int64_t		 value = 0;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *p - '0', &value)) {
			*over = true;
			value = 0;
		}
	*at = p;
	*out = *over ? INT64_MAX : value;
	return true;
}

static enum value_result
ranged(int64_t value, bool over, int64_t min, int64_t max, int64_t *out)
{
	if (over || value < min || value > max)
		return VALUE_RANGE;
	*out = value;
	return VALUE_OK;
}

enum value_result
value_parse_bool(const char *text, bool *out)
{
	int	 value;

	if (value_parse_word(text, bool_words, &value) != VALUE_OK)
		return VALUE_BAD;
	*out = value != 0;
	return VALUE_OK;
}

char *
value_print_bool(bool value)
{
	return xstrdup(value ? "yes" : "no");
}

enum value_result
value_parse_number(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool	 negative = *text == '-', over = false;
	int64_t	 value;

	if (negative)
		text++;
	if (!take_digits(&text, &value, &over) || *text != '\0')
		return VALUE_BAD;
	return ranged(negative ? -value : value, over, min, max, out);
}

char *
value_print_number(int64_t value)
{
	return xasprintf("%jd", (intmax_t)value);
}

enum value_result
value_parse_size(const char *text, int64_t min, int64_t max, int64_t *out)
{
	const struct unit	*unit;
	int64_t			 value;
	bool			 over = false;

	if (!take_digits(&text, &value, &over))
		return VALUE_BAD;
	for (unit = sizes; *text != '\0' && unit->name != NULL; unit++) {
		if (strcasecmp(text, unit->name) != 0)
			continue;
		over |= __builtin_mul_overflow(value, unit->factor, &value);
		text++;
		break;
	}
	if (*text != '\0')
		return VALUE_BAD;
	return ranged(value, over, min, max, out);
}

char *
value_print_size(int64_t bytes)
{
	const struct unit	*unit;

	for (unit = sizes; bytes != 0 && unit->name != NULL; unit++)
		if (bytes % unit->factor == 0)
			return xasprintf("%jd%s",
			    (intmax_t)(bytes / unit->factor), unit->name);
	return value_print_number(bytes);
}

/* The unit at *at, which moves behind it; units only get smaller. */
static const struct unit *
take_unit(const char **at, const struct unit *from)
{
	size_t	 len = 0;

	while (islower((unsigned char)(*at)[len]))
		len++;
	for (; from->name != NULL; from++)
		if (strlen(from->name) == len &&
		    strncmp(from->name, *at, len) == 0) {
			*at += len;
			return from;
		}
	return NULL;
}

enum value_result
value_parse_duration(const char *text, int64_t min, int64_t max, int64_t *out)
{
	const struct unit	*unit = durations;
	int64_t			 part, total = 0;
	bool			 over = false;

	if (strcmp(text, "0") == 0)
		return ranged(0, false, min, max, out);
	do {
		if (!take_digits(&text, &part, &over) ||
		    (unit = take_unit(&text, unit)) == NULL)
			return VALUE_BAD;
		over |= __builtin_mul_overflow(part, unit->factor, &part);
		over |= __builtin_add_overflow(total, part, &total);
		unit++;
	} while (*text != '\0');
	return ranged(total, over, min, max, out);
}

char *
value_print_duration(int64_t ms)
{
	const struct unit	*unit;
	char			*text = xstrdup(""), *longer;

	for (unit = durations; unit->name != NULL; unit++) {
		if (ms < unit->factor)
			continue;
		longer = xasprintf("%s%jd%s", text,
		    (intmax_t)(ms / unit->factor), unit->name);
		free(text);
		text = longer;
		ms %= unit->factor;
	}
	if (*text == '\0') {
		free(text);
		text = xstrdup("0");
	}
	return text;
}

enum value_result
value_parse_word(const char *text, const struct value_word *words, int *out)
{
	for (; words->word != NULL; words++)
		if (strcmp(text, words->word) == 0) {
			*out = words->value;
			return VALUE_OK;
		}
	return VALUE_BAD;
}

char *
value_print_word(const struct value_word *words, int value)
{
	for (; words->word != NULL; words++)
		if (words->value == value)
			return xstrdup(words->word);
	return xstrdup("");
}

enum value_result
value_parse_signal(const char *text, int *out)
{
	const char	*name;

	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int signo = 1; signo < 32; signo++)
		if ((name = sigabbrev_np(signo)) != NULL &&
		    strcasecmp(text, name) == 0) {
			*out = signo;
			return VALUE_OK;
		}
	return VALUE_BAD;
}

char *
value_print_signal(int signo)
{
	const char	*name = sigabbrev_np(signo);

	return name != NULL ? xstrdup(name) : xasprintf("%d", signo);
}

enum value_result
value_parse_mode(const char *text, int max, int *out)
{
	int	 mode = 0;

	if (*text == '\0' || strlen(text) > 5)
		return VALUE_BAD;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '7')
			return VALUE_BAD;
		mode = mode * 8 + (*text - '0');
	}
	if (mode > max)
		return VALUE_RANGE;
	*out = mode;
	return VALUE_OK;
}

char *
value_print_mode(int mode)
{
	return xasprintf("%04o", (unsigned int)mode);
}

bool
value_env_name_ok(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) &&
		    strchr("_.-", *name) == NULL)
			return false;
	return true;
}
