#include "common/conf_table.h"

#include <stdlib.h>

/* Through a key's row into struct conf and out again, and what it takes. */

const char *
conf_type_name(const struct conf_key *key)
{
	return conf_types[key->type].name;
}

const char *
conf_type_unit(const struct conf_key *key)
{
	return conf_types[key->type].unit;
}

static void *
at(struct conf *conf, size_t offset)
{
	return (char *)conf + offset;
}

static const void *
const_at(const struct conf *conf, size_t offset)
{
	return (const char *)conf + offset;
}

char *
conf_type_get(const struct conf_key *key, const struct conf *conf)
{
	return conf_types[key->type].get(key, const_at(conf, key->offset),
	    const_at(conf, key->aux));
}

static bool
is_pointer(enum conf_type type)
{
	switch (type) {
	case TYPE_CODES: case TYPE_PATH: case TYPE_NAME: case TYPE_TEXT:
	case TYPE_USER: case TYPE_GROUP: case TYPE_APP: case TYPE_PRESET:
		return true;
	default:
		return false;
	}
}

void
conf_type_free(const struct conf_key *key, struct conf *conf)
{
	char	**string, ***words;

	if (key->type == TYPE_COMMAND) {
		words = at(conf, key->offset);
		value_free_command(*words);
		*words = NULL;
	}
	if (!is_pointer(key->type))
		return;
	string = at(conf, key->offset);
	free(*string);
	*string = NULL;
}

/* "1 to 10000", in the type's own way of writing. */
static void
print_range(const struct conf_key *key, char *out, size_t size)
{
	char	*(*print)(int64_t) = value_print_number;
	char	*min, *max;

	if (key->type == TYPE_DURATION)
		print = value_print_duration;
	else if (key->type == TYPE_SIZE)
		print = value_print_size;
	min = print(key->min);
	max = key->type == TYPE_MODE ? value_print_mode((int)key->max) :
	    print(key->max);
	snprintf(out, size, "%s to %s%s", min, max,
	    key->type == TYPE_WORKERS ? ", or auto" : "");
	free(min);
	free(max);
}

static void
print_words(const struct conf_key *key, char *out, size_t size)
{
	size_t	 len = 0;

	for (const struct value_word *w = key->words; w->word != NULL; w++)
		len += (size_t)snprintf(out + len, size - len, "%s%s",
		    w == key->words ? "" : ", ", w->word);
}

void
conf_type_takes(const struct conf_key *key, char *out, size_t size)
{
	const struct conf_type_ops	*type = &conf_types[key->type];
	char				 more[160];

	if (key->type == TYPE_WORD) {
		print_words(key, more, sizeof(more));
		snprintf(out, size, "%s %s", type->what, more);
		return;
	}
	if (key->type == TYPE_APP)
		snprintf(more, sizeof(more), "%s", conf_apps[0]);
	else if (type->examples != NULL)
		snprintf(more, sizeof(more), "%s", type->examples);
	else
		print_range(key, more, sizeof(more));
	snprintf(out, size, "%s (%s)", type->what, more);
}

/* What is wrong with a value that a range does not explain. */
static const char *
refusal(enum conf_type type)
{
	if (type == TYPE_STOP_SIGNAL)
		return "cannot stop a worker";
	if (type == TYPE_SIGNAL)
		return "means something else to a worker";
	if (type == TYPE_COMMAND)
		return "has an open quote, nothing behind a backslash, "
		    "or over 8000 bytes";
	if (type == TYPE_LIMIT)
		return "is too large, or soft is above hard";
	if (type == TYPE_SURGE)
		return "is out of range (1 to 10000, 1% to 100%)";
	return NULL;
}

int
conf_type_set(const struct conf_key *key, struct conf *conf, const char *text,
    struct err *err)
{
	const struct conf_type_ops	*type = &conf_types[key->type];
	char				 quoted[QUOTE_SIZE], takes[256];
	char				 hint[SUGGEST_SIZE];
	const char			*why;

	switch (type->set(key, at(conf, key->offset), at(conf, key->aux),
	    text)) {
	case VALUE_OK:
		return 0;
	case VALUE_RANGE:
		if ((why = refusal(key->type)) != NULL)
			return err_set(err, "%s %s", conf_quote(text, quoted),
			    why);
		print_range(key, takes, sizeof(takes));
		return err_set(err, "%s is out of range (%s)",
		    conf_quote(text, quoted), takes);
	case VALUE_BAD:
		break;
	}
	conf_type_takes(key, takes, sizeof(takes));
	*hint = '\0';
	if (key->type == TYPE_PRESET)
		conf_suggest_preset(text, hint);
	return err_set(err, "%s is not %s%s", conf_quote(text, quoted), takes,
	    hint);
}
