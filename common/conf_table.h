#ifndef MUSTER_CONF_TABLE_H
#define MUSTER_CONF_TABLE_H

#include "common/conf.h"
#include "common/conf_value.h"

/*
 * What the conf_*.c files share; nobody else includes this. The table says
 * what keys there are, a key's type how its text gets into struct conf and
 * out again, and the origins where each value was set.
 */
enum conf_type { TYPE_BOOL, TYPE_INT, TYPE_COUNT, TYPE_OPTION, TYPE_SIZE,
	TYPE_DURATION, TYPE_WORD, TYPE_STOP_SIGNAL, TYPE_MODE, TYPE_CODES,
	TYPE_SURGE, TYPE_WORKERS, TYPE_CPUS, TYPE_LIMIT, TYPE_PATH, TYPE_NAME,
	TYPE_TEXT, TYPE_USER, TYPE_GROUP, TYPE_APP, TYPE_ADDRESS, TYPE_ENV,
	TYPE_COMMAND, TYPE_PRESET, TYPE_SIGNAL, TYPE_READY, TYPE_SOCKETS };

struct conf_key {
	const char	*section, *key;
	enum conf_type	 type;
	const char	*fallback;	/* the default as text; NULL: unset */
	enum conf_class	 reload;
	size_t		 offset;	/* of the field in struct conf */
	size_t		 aux;		/* of a second one: set flag, count */
	int64_t		 min, max;
	const struct value_word *words;
	const char	*help;
};

extern const struct conf_key	 conf_keys[];
extern const size_t		 conf_nkeys;

/* NULL if there is none; a free name of [env] has the row "NAME". */
const struct conf_key	*conf_key_by_name(const char *section,
			    const char *key);
bool			 conf_section_known(const char *section);
size_t			 conf_key_nr(const struct conf_key *key);

/* The built-in apps; the list ends with NULL. */
extern const char *const conf_apps[];

/*
 * By the key's type: its name and unit; the text into the struct (-1 with err,
 * which quotes the text and says what would be accepted); the value as text
 * (owned; NULL: unset); what it takes, "a number (1 to 10000)"; the memory.
 */
struct conf_type_ops {
	const char		*name, *unit;
	enum value_result	(*set)(const struct conf_key *, void *field,
				    void *aux, const char *text);
	char			*(*get)(const struct conf_key *,
				    const void *field, const void *aux);
	const char		*what;		/* "a number" */
	const char		*examples;	/* NULL: the range */
};
extern const struct conf_type_ops conf_types[];	/* by enum conf_type */

/* Rows of it that have a file of their own, and what both files ask. */
enum value_result conf_set_signal_or_none(const struct conf_key *key, void *field,
		    void *aux, const char *text);
char		*conf_get_signal_or_none(const struct conf_key *key,
		    const void *field, const void *aux);
enum value_result conf_set_command(const struct conf_key *key, void *field,
		    void *aux, const char *text);
char		*conf_get_command(const struct conf_key *key,
		    const void *field, const void *aux);
enum value_result conf_set_ready(const struct conf_key *key, void *field,
		    void *aux, const char *text);
char		*conf_get_ready(const struct conf_key *key,
		    const void *field, const void *aux);
enum value_result conf_set_sockets(const struct conf_key *key, void *field,
		    void *aux, const char *text);
char		*conf_get_sockets(const struct conf_key *key,
		    const void *field, const void *aux);
bool		 conf_stops_nobody(int signo);

const char	*conf_type_name(const struct conf_key *key);
const char	*conf_type_unit(const struct conf_key *key);
int		 conf_type_set(const struct conf_key *key, struct conf *conf,
		    const char *text, struct err *err);
char		*conf_type_get(const struct conf_key *key,
		    const struct conf *conf);
void		 conf_type_takes(const struct conf_key *key, char *out,
		    size_t size);
void		 conf_type_free(const struct conf_key *key, struct conf *conf);

/*
 * A known program: its name, and "section.key=value" for what it wants. They
 * are stronger than the defaults and weaker than all that was set.
 */
#define PRESET_SETTINGS	8
struct conf_preset {
	const char	*name;
	const char	*settings[PRESET_SETTINGS];	/* unused ones: NULL */
};
extern const struct conf_preset	 conf_presets[];	/* the last: no name */
const struct conf_preset	*conf_preset_find(const char *name);

/* text in double quotes for a message: one line, cut when it is long. */
#define QUOTE_SIZE	128
const char	*conf_quote(const char *text, char out[QUOTE_SIZE]);

/* Weakest first. */
enum origin_kind { ORIGIN_DEFAULT, ORIGIN_PRESET, ORIGIN_FILE, ORIGIN_OPTION };

struct conf_origin {
	enum origin_kind kind;
	char		*where;		/* owned: file, preset, "-w", "--set" */
	int		 line;		/* ORIGIN_FILE */
	bool		 bad;		/* was refused: not to be judged again */
};

struct conf_origins {
	struct conf_origin	*keys;	/* one a row */
	struct conf_origin	*bind;	/* one a conf->listen.bind */
	struct conf_origin	*env;	/* one a conf->env */
};

struct conf_load {
	struct conf		*conf;
	struct conf_errors	*errors;
	bool			 lenient;	/* unknown names are skipped */
	bool			 again;		/* what was in effect before */
	bool			 programs;	/* are looked for */
	const char		*folder;	/* of relative paths; or NULL */
};

/* Report about a key, with the place where from says it was set. */
void	conf_report(struct conf_load *load, const struct conf_origin *from,
	    const struct conf_key *key, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
/* The same about names that may be none of the table's. */
void	conf_report_at(struct conf_errors *errors,
	    const struct conf_origin *from, const char *section,
	    const char *key, const char *text);
/* A whole line, as it is. */
void	conf_report_line(struct conf_errors *errors, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* Give a key its value; what is wrong with it is reported. NULL: no value. */
void	conf_assign(struct conf_load *load, const char *section,
	    const char *key, const char *value,
	    const struct conf_origin *from);

/* Read a file, reporting all that is wrong with it. */
void	conf_file_read(struct conf_load *load, const char *file);
/* The same with its text, of that name; lines may have any length. */
void	conf_file_read_text(struct conf_load *load, const char *name,
	    const char *text, size_t len);

/* The command line's settings; after an error of theirs the rest is left. */
void	conf_settings_apply(struct conf_load *load,
	    const struct conf_source *source);

/* What the preset wants, where nothing else was said. */
void	conf_preset_apply(struct conf_load *load);

/* Names into numbers, relative paths into absolute ones, auto into CPUs. */
void	conf_resolve(struct conf_load *load);
/* Owned. folder: NULL is the working folder; if that is none, NULL. */
char	*conf_absolute(const char *folder, const char *path);

/* What only several values together show. */
void	conf_check(struct conf_load *load);

/* {fd:N}, {fd:NAME} and {addr:N} of the command that name no socket. */
void	conf_check_places(struct conf_load *load);

/* Is the program of the command there, in the PATH that it will have? */
void	conf_check_command(struct conf_load *load);

/* "; did you mean x?" or "": for a name that is none. */
#define SUGGEST_SIZE	128
const char	*conf_suggest_key(const char *section, const char *key,
		    char out[SUGGEST_SIZE]);
const char	*conf_suggest_section(const char *section,
		    char out[SUGGEST_SIZE]);
const char	*conf_suggest_preset(const char *name,
		    char out[SUGGEST_SIZE]);

#endif
