#ifndef MUSTER_CONF_VALUE_H
#define MUSTER_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

/*
 * One parse/print pair per type of value. Pure: no names are looked up and
 * nothing of the system is asked. A parse leaves out untouched unless it
 * returns VALUE_OK; a print returns a string that the caller frees, and that
 * parses to the same value again.
 */
enum value_result {
	VALUE_OK,
	VALUE_BAD,	/* not of this type at all */
	VALUE_RANGE,	/* of this type, but too small or too large */
};

/* A word and what it stands for; a list of them ends with a NULL word. */
struct value_word {
	const char	*word;
	int		 value;
};

enum value_result value_parse_bool(const char *text, bool *out);
char		*value_print_bool(bool value);

enum value_result value_parse_number(const char *text, int64_t min,
		    int64_t max, int64_t *out);
char		*value_print_number(int64_t value);

/* Bytes: k, m and g are powers of 1024. */
enum value_result value_parse_size(const char *text, int64_t min, int64_t max,
		    int64_t *out);
char		*value_print_size(int64_t bytes);

/* Milliseconds: "20s", "1m30s", "500ms"; only 0 may go without a unit. */
enum value_result value_parse_duration(const char *text, int64_t min,
		    int64_t max, int64_t *out);
char		*value_print_duration(int64_t ms);

enum value_result value_parse_word(const char *text,
		    const struct value_word *words, int *out);
char		*value_print_word(const struct value_word *words, int value);

/* A signal's name in any case, with or without SIG. */
enum value_result value_parse_signal(const char *text, int *out);
char		*value_print_signal(int signo);

/* Octal digits, with or without a leading 0. */
enum value_result value_parse_mode(const char *text, int max, int *out);
char		*value_print_mode(int mode);

/* Exit codes, by commas or blanks; "none" is the empty list. */
enum value_result value_parse_codes(const char *text, int **codes,
		    size_t *count);
char		*value_print_codes(const int *codes, size_t count);

/* "2" or "25%". */
enum value_result value_parse_surge(const char *text, struct conf_surge *out);
char		*value_print_surge(const struct conf_surge *surge);

/* A number or "auto", which is 0 here. */
enum value_result value_parse_workers(const char *text, int min, int max,
		    int *out);
char		*value_print_workers(int workers);

/* "any", "auto" or a list as "0-3,5". */
enum value_result value_parse_cpus(const char *text, enum cpus_mode *mode,
		    cpu_set_t *cpus);
char		*value_print_cpus(enum cpus_mode mode, const cpu_set_t *cpus);

/* SOFT or SOFT:HARD; SOFT alone is both. */
enum value_result value_parse_limit(const char *text, struct conf_limit *out);
char		*value_print_limit(const struct conf_limit *limit);

/* "auto", "notify" or "alive:DURATION" of at most max. */
enum value_result value_parse_ready(const char *text, int64_t max,
		    struct conf_ready *out);
char		*value_print_ready(const struct conf_ready *ready);

/* Dialects by commas or blanks; "none" is the empty set. */
enum value_result value_parse_sockets(const char *text, unsigned int *out);
char		*value_print_sockets(unsigned int sockets);

/*
 * A command's words, as the shell splits them: quotes of the three forms
 * '...', "..." and $'...', and backslashes; nothing is expanded. The list
 * ends with NULL. VALUE_RANGE: a quote is open, or nothing follows a
 * backslash. Printed, it holds no control byte and no blank and ;.
 */
enum value_result value_parse_command(const char *text, char ***words,
		    size_t *count);
char		*value_print_command(char *const *words, size_t count);
void		 value_free_command(char **words);

/* The name of an environment variable, as muster takes it. */
bool		value_env_name_ok(const char *name);

#endif
