#include "common/conf_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define COLUMN		39	/* where comments begin */
#define LINE_MODERATE	1000	/* longer ones get none behind them */

/* A file's name may hold anything; a comment may not. */
static void
print_origin(FILE *out, const struct conf_origin *from)
{
	if (from->kind == ORIGIN_DEFAULT) {
		fputs("; default\n", out);
		return;
	}
	fputs(from->kind == ORIGIN_FILE ? "; file " :
	    from->kind == ORIGIN_PRESET ? "; preset " : "; ", out);
	for (const char *p = from->where; *p != '\0'; p++)
		fputc(iscntrl((unsigned char)*p) ? '?' : *p, out);
	if (from->kind == ORIGIN_FILE)
		fprintf(out, ":%d", from->line);
	fputc('\n', out);
}

/*
 * "key = value   ; origin". Behind a double quote the comment would be taken
 * for a part of the value, and with it a long line could become too long: it
 * then goes before. A value that begins with ; must follow its = at once.
 */
static void
print_line(FILE *out, const char *key, const char *value,
    const struct conf_origin *from)
{
	bool	 close, apart;
	char	*line;

	apart = value != NULL && (strchr(value, '"') != NULL ||
	    strlen(key) + strlen(value) > LINE_MODERATE);
	close = value != NULL && (apart || *value == ';');
	if (value == NULL)
		line = xstrdup(key);
	else
		line = xasprintf(close ? "%s=%s" : "%s = %s", key, value);
	if (apart) {
		print_origin(out, from);
		fprintf(out, "%s\n", line);
	} else {
		fprintf(out, "%-*s ", COLUMN, line);
		print_origin(out, from);
	}
	free(line);
}

static void
dump_binds(const struct conf *conf, FILE *out)
{
	const struct addr	*addr;
	char			*text;

	for (size_t i = 0; i < conf->listen.nbind; i++) {
		addr = &conf->listen.bind[i];
		text = addr_print(addr);
		print_line(out, conf->listen.bind_given ? "bind" : ";bind",
		    text, &conf->origins->bind[i]);
		free(text);
	}
}

static void
dump_env(const struct conf *conf, FILE *out)
{
	for (size_t i = 0; i < conf->nenv; i++)
		print_line(out, conf->env[i].name, conf->env[i].value,
		    &conf->origins->env[i]);
}

/* What is not set, or stands for this process alone, is commented out. */
static void
dump_key(const struct conf *conf, const struct conf_key *key, FILE *out)
{
	const struct conf_origin	*from;
	char				*value, *name;
	bool				 idle;

	from = &conf->origins->keys[conf_key_nr(key)];
	value = conf_type_get(key, conf);
	if (value == NULL && key->offset ==
	    offsetof(struct conf, worker.fast_signal))
		value = value_print_signal(conf_fast_signal(&conf->worker));
	idle = value == NULL || (key->fallback == NULL &&
	    from->kind == ORIGIN_DEFAULT && key->type == TYPE_NAME) ||
	    (key->type == TYPE_APP && conf_is_program(conf));
	name = xasprintf("%s%s", idle ? ";" : "", key->key);
	print_line(out, name, value == NULL ? "" : value, from);
	free(value);
	free(name);
}

void
conf_dump(const struct conf *conf, FILE *out)
{
	const char	*section = NULL;

	for (size_t i = 0; i < conf_nkeys; i++) {
		if (section == NULL ||
		    strcmp(section, conf_keys[i].section) != 0) {
			fprintf(out, "%s[%s]\n", section == NULL ? "" : "\n",
			    conf_keys[i].section);
			section = conf_keys[i].section;
		}
		if (conf_keys[i].type == TYPE_ADDRESS)
			dump_binds(conf, out);
		else if (conf_keys[i].type == TYPE_ENV)
			dump_env(conf, out);
		else
			dump_key(conf, &conf_keys[i], out);
	}
}
