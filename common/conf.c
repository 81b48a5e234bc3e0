#include "common/conf.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_table.h"
#include "common/mem.h"

/*
 * Loading: the defaults, the file over them, the command line over both, each
 * value through its row of the table; then names are looked up and the whole
 * is checked.
 */

static struct conf_load *
load_new(struct conf_load *load, struct conf_errors *errors)
{
	struct conf	*conf = xcalloc(1, sizeof(*conf));

	conf->origins = xcalloc(1, sizeof(*conf->origins));
	conf->origins->keys = xcalloc(conf_nkeys, sizeof(struct conf_origin));
	conf->master.umask = -1;
	conf->listen.unix_uid = (uid_t)-1;
	conf->listen.unix_gid = (gid_t)-1;
	*load = (struct conf_load){ .conf = conf, .errors = errors };
	return load;
}

static void
free_origins(struct conf_origin *origins, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(origins[i].where);
	free(origins);
}

static void
free_binds(struct conf *conf)
{
	for (size_t i = 0; i < conf->listen.nbind; i++)
		addr_free(&conf->listen.bind[i]);
	free(conf->listen.bind);
	free_origins(conf->origins->bind, conf->listen.nbind);
	conf->listen.bind = NULL;
	conf->origins->bind = NULL;
	conf->listen.nbind = 0;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	free_binds(conf);
	for (size_t i = 0; i < conf_nkeys; i++)
		conf_type_free(&conf_keys[i], conf);
	for (size_t i = 0; i < conf->nenv; i++) {
		free(conf->env[i].name);
		free(conf->env[i].value);
	}
	free(conf->env);
	free(conf->master.ids.groups);
	free_origins(conf->origins->env, conf->nenv);
	free_origins(conf->origins->keys, conf_nkeys);
	free(conf->origins);
	free(conf);
}

void
conf_errors_free(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct conf_errors){ 0 };
}

static void
add_line(struct conf_errors *errors, char *line)
{
	errors->lines = xreallocarray(errors->lines, errors->count + 1,
	    sizeof(*errors->lines));
	errors->lines[errors->count++] = line;
}

void
conf_report_line(struct conf_errors *errors, const char *fmt, ...)
{
	va_list	 ap;
	char	 text[1024];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_line(errors, xstrdup(text));
}

/* Of the command line only the first error is told, and it is the first. */
static void
report_option(struct conf_errors *errors, const char *option,
    const char *section, const char *key, const char *text)
{
	if (errors->count == 0)
		errors->usage = true;
	if (strcmp(option, "--set") == 0)
		conf_report_line(errors, "muster: --set %s.%s: %s", section,
		    key, text);
	else
		conf_report_line(errors, "muster: %s: %s", option, text);
}

void
conf_report_at(struct conf_errors *errors, const struct conf_origin *from,
    const char *section, const char *key, const char *text)
{
	if (errors->usage)
		return;
	if (from->kind == ORIGIN_OPTION)
		report_option(errors, from->where, section, key, text);
	else if (from->kind == ORIGIN_FILE)
		conf_report_line(errors, "%s:%d: [%s] %s: %s", from->where,
		    from->line, section, key, text);
	else
		conf_report_line(errors, "muster: [%s] %s: %s", section, key,
		    text);
}

void
conf_report(struct conf_load *load, const struct conf_origin *from,
    const struct conf_key *key, const char *fmt, ...)
{
	va_list	 ap;
	char	 text[600];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_report_at(load->errors, from, key->section, key->key, text);
}

/* from, copied over what was there. */
static void
note_origin(struct conf_origin *to, const struct conf_origin *from)
{
	free(to->where);
	*to = *from;
	to->where = from->where == NULL ? NULL : xstrdup(from->where);
}

static struct conf_origin *
grow_origins(struct conf_origin *origins, size_t count,
    const struct conf_origin *from)
{
	origins = xreallocarray(origins, count + 1, sizeof(*origins));
	origins[count] = (struct conf_origin){ 0 };
	note_origin(&origins[count], from);
	return origins;
}

/* Was it set before at the same place? In a file that is an error. */
static bool
set_twice(struct conf_load *load, const struct conf_origin *before,
    const struct conf_origin *from, const char *section, const char *key)
{
	char	 text[64];

	if (from->kind != ORIGIN_FILE || before->kind != ORIGIN_FILE)
		return false;
	snprintf(text, sizeof(text), "set twice (line %d)", before->line);
	conf_report_at(load->errors, from, section, key, text);
	return true;
}

/* The first address of a stronger source replaces those of weaker ones. */
static int
add_bind(struct conf_load *load, const char *text,
    const struct conf_origin *from, struct err *err)
{
	struct conf_listen	*listen = &load->conf->listen;
	struct conf_origins	*origins = load->conf->origins;
	struct addr		 addr;

	if (addr_parse(text, &addr, err) == -1)
		return -1;
	if (listen->nbind > 0 && origins->bind[0].kind != from->kind)
		free_binds(load->conf);
	listen->bind = xreallocarray(listen->bind, listen->nbind + 1,
	    sizeof(*listen->bind));
	listen->bind[listen->nbind] = addr;
	origins->bind = grow_origins(origins->bind, listen->nbind, from);
	listen->nbind++;
	listen->bind_given = from->kind != ORIGIN_DEFAULT;
	return 0;
}

static void
assign_env(struct conf_load *load, const char *name, const char *value,
    const struct conf_origin *from)
{
	struct conf		*conf = load->conf;
	struct conf_origins	*origins = conf->origins;
	size_t			 i;

	if (!value_env_name_ok(name)) {
		conf_report_at(load->errors, from, "env",
		    conf_quote(name, (char[QUOTE_SIZE]){ 0 }),
		    "is not a name (A-Z a-z 0-9 _ . -, no digit first)");
		return;
	}
	for (i = 0; i < conf->nenv; i++)
		if (strcmp(conf->env[i].name, name) == 0)
			break;
	if (i == conf->nenv) {
		conf->env = xreallocarray(conf->env, i + 1,
		    sizeof(*conf->env));
		conf->env[i] = (struct conf_env_var){ xstrdup(name), NULL };
		origins->env = grow_origins(origins->env, i,
		    &(struct conf_origin){ 0 });
		conf->nenv++;
	}
	if (set_twice(load, &origins->env[i], from, "env", name))
		return;
	free(conf->env[i].value);
	conf->env[i].value = value == NULL ? NULL : xstrdup(value);
	note_origin(&origins->env[i], from);
}

static void
assign_key(struct conf_load *load, const struct conf_key *key,
    const char *value, const struct conf_origin *from)
{
	struct conf_origin	*origin;
	struct err		 err;
	int			 rc;

	origin = &load->conf->origins->keys[conf_key_nr(key)];
	if (key->type != TYPE_ADDRESS &&
	    set_twice(load, origin, from, key->section, key->key))
		return;
	note_origin(origin, from);
	if (value == NULL)
		rc = err_set(&err, "has no value (%s = ...)", key->key);
	else if (key->type == TYPE_ADDRESS)
		rc = add_bind(load, value, from, &err);
	else
		rc = conf_type_set(key, load->conf, value, &err);
	if (rc == -1) {
		origin->bad = true;
		conf_report(load, from, key, "%s", err.text);
	}
}

void
conf_assign(struct conf_load *load, const char *section, const char *name,
    const char *value, const struct conf_origin *from)
{
	const struct conf_key	*key = conf_key_by_name(section, name);
	char			 hint[SUGGEST_SIZE], text[SUGGEST_SIZE + 32];

	if (key == NULL && load->lenient)
		return;
	if (key == NULL) {
		snprintf(text, sizeof(text), "no such key%s",
		    conf_suggest_key(section, name, hint));
		conf_report_at(load->errors, from, section, name, text);
	} else if (key->type == TYPE_ENV)
		assign_env(load, name, value, from);
	else
		assign_key(load, key, value, from);
}

static void
apply_defaults(struct conf_load *load)
{
	const struct conf_origin	 from = { .kind = ORIGIN_DEFAULT };

	for (size_t i = 0; i < conf_nkeys; i++)
		if (conf_keys[i].fallback != NULL)
			assign_key(load, &conf_keys[i], conf_keys[i].fallback,
			    &from);
}

/* The line of the file that it is about; 0: the file as a whole; -1: none. */
static long
line_of(const char *text, const char *file)
{
	size_t	 len = strlen(file);

	if (strncmp(text, file, len) != 0 || text[len] != ':')
		return -1;
	return strtol(text + len + 1, NULL, 10);
}

/* Comes a before b? Those of the file do, by its lines. */
static bool
is_before(const char *a, const char *b, const char *file)
{
	long	 x = line_of(a, file), y = line_of(b, file);

	return x != -1 && (y == -1 || x < y);
}

/* They were found in several rounds. Those alike stay as they are. */
static void
sort_errors(struct conf_errors *errors, const char *file)
{
	char	*line;
	size_t	 i, j;

	for (i = 1; i < errors->count; i++) {
		line = errors->lines[i];
		for (j = i; j > 0 && is_before(line, errors->lines[j - 1],
		    file); j--)
			errors->lines[j] = errors->lines[j - 1];
		errors->lines[j] = line;
	}
}

struct conf *
conf_load(const struct conf_source *source, struct conf_errors *errors)
{
	struct conf_load	 load;
	char			*file = NULL;

	*errors = (struct conf_errors){ 0 };
	if (source->file != NULL &&
	    (file = conf_absolute(source->folder, source->file)) == NULL)
		file = xstrdup(source->file);
	/* Once for its errors alone: a usage error comes before any other. */
	apply_defaults(load_new(&load, errors));
	conf_settings_apply(&load, source);
	if (errors->count == 0) {
		conf_free(load.conf);
		apply_defaults(load_new(&load, errors));
		load.folder = source->folder;
		load.programs = source->programs;
		if (file != NULL)
			conf_file_read(&load, file);
		conf_settings_apply(&load, source);
		conf_preset_apply(&load);
		conf_resolve(&load);
		conf_check(&load);
	}
	/* The command line's own is told alone. */
	if (file != NULL && !errors->usage)
		sort_errors(errors, file);
	free(file);
	if (errors->count == 0)
		return load.conf;
	conf_free(load.conf);
	return NULL;
}

struct conf *
conf_load_text(const char *text, size_t len, bool lenient,
    struct conf_errors *errors)
{
	struct conf_load	 load;

	*errors = (struct conf_errors){ 0 };
	load_new(&load, errors);
	load.lenient = lenient;
	load.again = true;
	apply_defaults(&load);
	conf_file_read_text(&load, "the running configuration", text, len);
	conf_preset_apply(&load);
	conf_resolve(&load);
	conf_check(&load);
	if (errors->count == 0)
		return load.conf;
	conf_free(load.conf);
	return NULL;
}

int
conf_fast_signal(const struct conf_worker *worker)
{
	if (worker->fast_signal != 0)
		return worker->fast_signal;
	return worker->stop_signal == SIGQUIT ? SIGTERM : SIGQUIT;
}
