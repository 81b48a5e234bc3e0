#include "common/conf_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* The configuration in effect as text for a master that takes over. */

struct text {
	char	*bytes;		/* owned, with a NUL */
	size_t	 len;
};

static void
add(struct text *out, const char *part)
{
	size_t	 len = strlen(part);

	out->bytes = xreallocarray(out->bytes, out->len + len + 1, 1);
	memcpy(out->bytes + out->len, part, len + 1);
	out->len += len;
}

/* Without blanks, so that a value may begin with anything. */
static void
print_value(struct text *out, const char *key, const char *value)
{
	add(out, key);
	if (value != NULL) {
		add(out, "=");
		add(out, value);
	}
	add(out, "\n");
}

static void
print_section(struct text *out, const char *section)
{
	add(out, "[");
	add(out, section);
	add(out, "]\n");
}

static void
print_binds(const struct conf *conf, struct text *out)
{
	char	*text;

	/* What was not given must not look as if: LISTEN_FDS may apply. */
	for (size_t i = 0; conf->listen.bind_given && i < conf->listen.nbind;
	    i++) {
		text = addr_print(&conf->listen.bind[i]);
		print_value(out, "bind", text);
		free(text);
	}
}

static void
print_env(const struct conf *conf, struct text *out)
{
	for (size_t i = 0; i < conf->nenv; i++)
		print_value(out, conf->env[i].name, conf->env[i].value);
}

/* The app goes with no command, and a preset's values are here one by one. */
static void
print_key(const struct conf *conf, const struct conf_key *key, struct text *out)
{
	char	*value;

	if (key->type == TYPE_PRESET ||
	    (key->type == TYPE_APP && conf_is_program(conf)))
		return;
	if ((value = conf_type_get(key, conf)) != NULL)
		print_value(out, key->key, value);
	free(value);
}

char *
conf_print(const struct conf *conf, size_t *len)
{
	const struct conf_key	*key;
	struct text		 out = { 0 };

	for (key = conf_keys; key < conf_keys + conf_nkeys; key++) {
		if (key == conf_keys ||
		    strcmp(key[-1].section, key->section) != 0)
			print_section(&out, key->section);
		if (key->type == TYPE_ADDRESS)
			print_binds(conf, &out);
		else if (key->type == TYPE_ENV)
			print_env(conf, &out);
		else
			print_key(conf, key, &out);
	}
	*len = out.len;
	return out.bytes;
}
