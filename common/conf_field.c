#include "common/conf_table.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/*
 * How a value of each type gets from its text into the field that the key's
 * row names, and back.
 */
static enum value_result
set_bool(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)key, (void)aux;
	return value_parse_bool(text, field);
}

static char *
get_bool(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_bool(*(const bool *)field);
}

static enum value_result
set_int(const struct conf_key *key, void *field, void *aux, const char *text)
{
	enum value_result	 result;
	int64_t			 value;

	result = value_parse_number(text, key->min, key->max, &value);
	if (result == VALUE_OK) {
		*(int *)field = (int)value;
		if (key->type == TYPE_OPTION)
			*(bool *)aux = true;
	}
	return result;
}

static char *
get_int(const struct conf_key *key, const void *field, const void *aux)
{
	if (key->type == TYPE_OPTION && !*(const bool *)aux)
		return NULL;
	return value_print_number(*(const int *)field);
}

static enum value_result
set_count(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)aux;
	return value_parse_number(text, key->min, key->max, field);
}

static char *
get_count(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_number(*(const int64_t *)field);
}

static enum value_result
set_size(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)aux;
	return value_parse_size(text, key->min, key->max, field);
}

static char *
get_size(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_size(*(const int64_t *)field);
}

static enum value_result
set_duration(const struct conf_key *key, void *field, void *aux,
    const char *text)
{
	(void)aux;
	return value_parse_duration(text, key->min, key->max, field);
}

static char *
get_duration(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_duration(*(const int64_t *)field);
}

static enum value_result
set_word(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)aux;
	return value_parse_word(text, key->words, field);
}

static char *
get_word(const struct conf_key *key, const void *field, const void *aux)
{
	(void)aux;
	return value_print_word(key->words, *(const int *)field);
}

/* Signals that would not stop, or that mean something else to a worker. */
bool
conf_stops_nobody(int signo)
{
	switch (signo) {
	case SIGKILL: case SIGSTOP: case SIGTSTP: case SIGCONT: case SIGCHLD:
	case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: case SIGABRT:
	case SIGTTIN: case SIGTTOU: case SIGPIPE:
		return true;
	}
	return false;
}

static enum value_result
set_signal(const struct conf_key *key, void *field, void *aux,
    const char *text)
{
	int	 signo;

	(void)key, (void)aux;
	if (value_parse_signal(text, &signo) != VALUE_OK)
		return VALUE_BAD;
	if (conf_stops_nobody(signo))
		return VALUE_RANGE;
	*(int *)field = signo;
	return VALUE_OK;
}

static char *
get_signal(const struct conf_key *key, const void *field, const void *aux)
{
	int	 signo = *(const int *)field;

	(void)key, (void)aux;
	return signo == 0 ? NULL : value_print_signal(signo);
}

static enum value_result
set_mode(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)aux;
	return value_parse_mode(text, (int)key->max, field);
}

static char *
get_mode(const struct conf_key *key, const void *field, const void *aux)
{
	int	 mode = *(const int *)field;

	(void)key, (void)aux;
	return mode == -1 ? NULL : value_print_mode(mode);
}

static enum value_result
set_codes(const struct conf_key *key, void *field, void *aux, const char *text)
{
	enum value_result	 result;
	int			*codes, **list = field;

	(void)key;
	result = value_parse_codes(text, &codes, aux);
	if (result == VALUE_OK) {
		free(*list);
		*list = codes;
	}
	return result;
}

static char *
get_codes(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key;
	return value_print_codes(*(int *const *)field, *(const size_t *)aux);
}

static enum value_result
set_surge(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)key, (void)aux;
	return value_parse_surge(text, field);
}

static char *
get_surge(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_surge(field);
}

static enum value_result
set_workers(const struct conf_key *key, void *field, void *aux,
    const char *text)
{
	(void)aux;
	return value_parse_workers(text, (int)key->min, (int)key->max, field);
}

static char *
get_workers(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_workers(*(const int *)field);
}

static enum value_result
set_cpus(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)key;
	return value_parse_cpus(text, field, aux);
}

static char *
get_cpus(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key;
	return value_print_cpus(*(const enum cpus_mode *)field, aux);
}

static enum value_result
set_limit(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)key, (void)aux;
	return value_parse_limit(text, field);
}

static char *
get_limit(const struct conf_key *key, const void *field, const void *aux)
{
	const struct conf_limit	*limit = field;

	(void)key, (void)aux;
	return limit->set ? value_print_limit(limit) : NULL;
}

static bool
is_app(const char *text)
{
	for (const char *const *app = conf_apps; *app != NULL; app++)
		if (strcmp(*app, text) == 0)
			return true;
	return false;
}

static enum value_result
set_text(const struct conf_key *key, void *field, void *aux, const char *text)
{
	char	**string = field;

	(void)aux;
	if (*text == '\0' || (key->type == TYPE_NAME && !addr_name_ok(text)) ||
	    (key->type == TYPE_APP && !is_app(text)) ||
	    (key->type == TYPE_PRESET && conf_preset_find(text) == NULL))
		return VALUE_BAD;
	free(*string);
	*string = xstrdup(text);
	return VALUE_OK;
}

static char *
get_text(const struct conf_key *key, const void *field, const void *aux)
{
	const char	*string = *(char *const *)field;

	(void)key, (void)aux;
	return string == NULL ? NULL : xstrdup(string);
}

const struct conf_type_ops conf_types[] = {
	[TYPE_BOOL] = { "bool", "", set_bool, get_bool,
	    "a bool", "yes, no, true, false, on, off" },
	[TYPE_INT] = { "number", "", set_int, get_int, "a number", NULL },
	[TYPE_COUNT] = { "number", "", set_count, get_count, "a number", NULL },
	[TYPE_OPTION] = { "number", "", set_int, get_int, "a number", NULL },
	[TYPE_SIZE] = { "size", "k m g", set_size, get_size,
	    "a size", "512, 64k, 10m, 1g" },
	[TYPE_DURATION] = { "duration", "ms s m h d", set_duration,
	    get_duration, "a duration", "20s, 1m30s" },
	[TYPE_WORD] = { "word", "", set_word, get_word, "one of", NULL },
	[TYPE_STOP_SIGNAL] = { "signal", "", set_signal, get_signal,
	    "a signal", "TERM, INT, QUIT, HUP, USR1, USR2, WINCH" },
	[TYPE_MODE] = { "mode", "octal", set_mode, get_mode,
	    "an octal mode", NULL },
	[TYPE_CODES] = { "codes", "", set_codes, get_codes,
	    "a list of exit codes", "0 to 255, as 78, 100; or none" },
	[TYPE_SURGE] = { "surge", "%", set_surge, get_surge,
	    "a number or a percent", "1 to 10000, 1% to 100%" },
	[TYPE_WORKERS] = { "workers", "", set_workers, get_workers,
	    "a number", NULL },
	[TYPE_CPUS] = { "cpus", "", set_cpus, get_cpus,
	    "a list of CPUs", "any, auto, 0-3,5" },
	[TYPE_LIMIT] = { "limit", "k m g", set_limit, get_limit,
	    "a limit", "SOFT or SOFT:HARD, as 1024, 64k:1m, unlimited" },
	[TYPE_PATH] = { "path", "", set_text, get_text, "a path", "/a/file" },
	[TYPE_NAME] = { "name", "", set_text, get_text,
	    "a name", "A-Z a-z 0-9 . _ -, 48 characters at most" },
	[TYPE_TEXT] = { "text", "", set_text, get_text, "a text", "not empty" },
	[TYPE_USER] = { "user", "", set_text, get_text,
	    "a user", "a name or a number" },
	[TYPE_GROUP] = { "group", "", set_text, get_text,
	    "a group", "a name or a number" },
	[TYPE_APP] = { "app", "", set_text, get_text, "an app", NULL },
	[TYPE_ADDRESS] = { "address", "", NULL, NULL, "an address",
	    "HOST:PORT, :PORT, [V6]:PORT, unix:/path, unix:@name, fd:N, none" },
	[TYPE_ENV] = { "text", "", NULL, NULL, "a text", "or nothing" },
	[TYPE_COMMAND] = { "command", "", conf_set_command, conf_get_command,
	    "a command", "words with quotes as for the shell" },
	[TYPE_PRESET] = { "preset", "", set_text, get_text,
	    "a preset", "gunicorn, puma, nginx and others" },
	[TYPE_SIGNAL] = { "signal", "", conf_set_signal_or_none,
	    conf_get_signal_or_none,
	    "a signal", "USR1, HUP, USR2, or none" },
	[TYPE_READY] = { "readiness", "", conf_set_ready, conf_get_ready,
	    "a way to be ready", "auto, notify, alive:DURATION" },
	[TYPE_SOCKETS] = { "dialects", "", conf_set_sockets, conf_get_sockets,
	    "a list of dialects", "listen-fds, einhorn, server-starter, nginx, "
	    "php-fpm, unicorn, stdin; or none" },
};
