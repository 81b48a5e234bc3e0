#include "master/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_value.h"
#include "common/mem.h"
#include "master/options_table.h"

/* Long options come back from getopt_long as this and their row's number. */
#define LONG_BASE	1000

/* getopt's own two forms of the table. */
struct forms {
	struct option	 longs[OPTION_ROWS_MAX + 1];
	char		 shorts[2 * OPTION_ROWS_MAX + 3];
};

static void
build_forms(struct forms *forms)
{
	char	*p = forms->shorts;

	memset(forms, 0, sizeof(*forms));
	*p++ = '+';	/* what follows a command is the command's */
	*p++ = ':';	/* tell a missing argument from an unknown option */
	for (size_t i = 0; option_rows[i].word != NULL; i++) {
		const struct option_row	*row = &option_rows[i];

		forms->longs[i] = (struct option){ row->word, row->arg != NULL,
			NULL, LONG_BASE + (int)i };
		if (row->letter == LETTER_ADOPT)
			continue;
		*p++ = row->letter;
		if (row->arg != NULL)
			*p++ = ':';
	}
}

/* The row of what getopt_long returned or left in optopt. */
static const struct option_row *
find_row(int c)
{
	if (c >= LONG_BASE)
		return &option_rows[c - LONG_BASE];
	for (const struct option_row *r = option_rows; r->word != NULL; r++)
		if (r->letter == c && c != LETTER_ADOPT)
			return r;
	return NULL;
}

/* "-w" or "--workers", as the user wrote it (the long one in full). */
static const char *
spelling(int c, const struct option_row *row, char *out, size_t size)
{
	if (c >= LONG_BASE)
		snprintf(out, size, "--%s", row->word);
	else
		snprintf(out, size, "-%c", row->letter);
	return out;
}

static void
takes(const struct option_row *row, char *out, size_t size)
{
	if (row->key == NULL || conf_key_takes(row->key, out, size) == -1)
		snprintf(out, size, "%s", row->takes);
}

static void
add_setting(struct options *out, const char *key, const char *value,
    const char *origin)
{
	out->settings = xreallocarray(out->settings, out->nsettings + 1,
	    sizeof(*out->settings));
	out->settings[out->nsettings++] = (struct conf_setting){
		.key = xstrdup(key),
		.value = xstrdup(value),
		.origin = xstrdup(origin),
	};
}

/* --set SECTION.KEY=VALUE */
static int
add_set(struct options *out, const char *arg, const char *origin,
    struct err *err)
{
	const char	*equals = strchr(arg, '=');
	const char	*dot = strchr(arg, '.');
	char		*key;

	if (equals == NULL || dot == NULL || dot > equals || dot == arg ||
	    dot + 1 == equals)
		return err_set(err, "%s: takes SECTION.KEY=VALUE", origin);
	key = xstrdup(arg);
	key[equals - arg] = '\0';
	add_setting(out, key, equals + 1, "--set");
	free(key);
	return 0;
}

/* What follows the options, word by word: quoted, to be split the same way. */
static void
take_command(struct options *out, char **words, size_t count)
{
	char	*text = value_print_command(words, count);

	add_setting(out, "worker.command", text, "command line");
	free(text);
}

static int
take(struct options *out, const struct option_row *row, int c, struct err *err)
{
	char	 origin[32];

	spelling(c, row, origin, sizeof(origin));
	switch (row->letter) {
	case 'c':
		free(out->file);
		out->file = xstrdup(optarg);
		break;
	case 's':
		return add_set(out, optarg, origin, err);
	case 't':
		out->test = true;
		break;
	case 'T':
		out->dump = true;
		break;
	case LETTER_ADOPT:
		out->adopt = true;
		break;
	case 'h':
		out->help = true;
		break;
	case 'V':
		out->version = true;
		break;
	default:
		add_setting(out, row->key, row->arg == NULL ? row->value :
		    optarg, origin);
	}
	return 0;
}

/* getopt_long met no option of ours, or one that is used wrongly. */
static int
refuse(int c, char **argv, struct err *err)
{
	const struct option_row	*row = optopt == 0 ? NULL : find_row(optopt);
	char			 name[32], what[256], given[64];

	if (row == NULL && optopt != 0)
		return err_set(err, "unknown option -%c", optopt);
	if (row == NULL) {
		snprintf(given, sizeof(given), "%s", argv[optind - 1]);
		given[strcspn(given, "=")] = '\0';
		return err_set(err, "unknown option %s", given);
	}
	spelling(optopt, row, name, sizeof(name));
	if (c != ':')
		return err_set(err, "%s: takes no value", name);
	takes(row, what, sizeof(what));
	return err_set(err, "%s: takes %s", name, what);
}

int
options_parse(int argc, char **argv, struct options *out, struct err *err)
{
	struct forms	 forms;
	int		 c, rc = 0;

	*out = (struct options){ 0 };
	build_forms(&forms);
	opterr = 0;
	optind = 0;	/* glibc: begin anew */
	while (rc == 0 && (c = getopt_long(argc, argv, forms.shorts,
	    forms.longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			rc = refuse(c, argv, err);
		else
			rc = take(out, find_row(c), c, err);
	}
	if (rc == 0 && optind < argc)
		take_command(out, argv + optind, (size_t)(argc - optind));
	if (rc == -1)
		options_free(out);
	return rc;
}

void
options_free(struct options *options)
{
	for (size_t i = 0; i < options->nsettings; i++) {
		free((char *)options->settings[i].key);
		free((char *)options->settings[i].value);
		free((char *)options->settings[i].origin);
	}
	free(options->settings);
	free(options->file);
	*options = (struct options){ 0 };
}
