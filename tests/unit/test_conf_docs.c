#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_table.h"
#include "common/mem.h"
#include "tests/unit/conf_rig.h"

/*
 * muster.conf(5) and etc/muster.ini say what the table says: every key, its
 * default, what it takes; and none that the table does not have.
 */
TestSuite(conf_docs, .timeout = 20);

static const char *const	 classes[] = {
	[CLASS_LIVE] = "live", [CLASS_RESPAWN] = "respawn",
	[CLASS_RESTART] = "restart",
};

#define KEYS_MAX	128
static bool	 seen[KEYS_MAX];

/* The row of a key; seen but once. */
static struct conf_key_info
row_of(const char *section, const char *key)
{
	struct conf_key_info	 info;

	cr_assert_leq(conf_key_count(), KEYS_MAX);
	for (size_t i = 0; i < conf_key_count(); i++) {
		conf_key_info(i, &info);
		if (strcmp(info.section, section) != 0 ||
		    strcmp(info.key, key) != 0)
			continue;
		cr_expect_not(seen[i], "[%s] %s comes twice", section, key);
		seen[i] = true;
		return info;
	}
	cr_assert_fail("[%s] %s is not in the table", section, key);
	abort();
}

static void
all_seen(const char *where)
{
	struct conf_key_info	 info;

	for (size_t i = 0; i < conf_key_count(); i++) {
		conf_key_info(i, &info);
		cr_expect(seen[i], "%s lacks [%s] %s", where, info.section,
		    info.key);
	}
}

static char *
takes(const struct conf_key_info *info)
{
	char	 name[96], text[256];

	if (strcmp(info->section, "signals") == 0)
		return xstrdup("an effect");
	if (strcmp(info->key, "NAME") == 0)
		return xstrdup("a variable");
	snprintf(name, sizeof(name), "%s.%s", info->section, info->key);
	cr_assert_eq(conf_key_takes(name, text, sizeof(text)), 0, "%s", name);
	return xstrdup(text);
}

/* The lines of an entry up to ".br", put together. */
static char *
joined_entry(char **lines, size_t at)
{
	char	*text = xstrdup(""), *longer;

	for (; lines[at] != NULL && strcmp(lines[at], ".br") != 0; at++) {
		longer = xasprintf("%s%s%s", text, *text ? " " : "",
		    lines[at]);
		free(text);
		text = longer;
	}
	return text;
}

static void
entry_is_right(const char *section, const char *key, char **lines, size_t at)
{
	struct conf_key_info	 info = row_of(section, key);
	char			*what = takes(&info), *expected, *entry;

	entry = joined_entry(lines, at);
	expected = xasprintf("%s%s; %s; %s.",
	    info.fallback == NULL ? "No default" : "Default: ",
	    info.fallback == NULL ? "" : info.fallback, what,
	    classes[info.reload]);
	cr_expect_str_eq(entry, expected, "[%s] %s", section, key);
	free(entry);
	free(expected);
	free(what);
}

static char **
split(char *text)
{
	char	**lines = NULL, *line;
	size_t	 n = 0;

	while ((line = strsep(&text, "\n")) != NULL) {
		lines = xreallocarray(lines, n + 2, sizeof(*lines));
		lines[n++] = line;
	}
	lines[n] = NULL;
	return lines;
}

Test(conf_docs, manual_says_what_the_table_says)
{
	char	*path = rig_path("../common/muster.conf.5");
	char	*text = rig_slurp(path, NULL), **lines = split(text);
	char	 section[64] = "", key[64];

	for (size_t i = 0; lines[i] != NULL; i++) {
		if (strncmp(lines[i], ".Sh", 3) == 0)
			section[0] = '\0';
		else if (sscanf(lines[i], ".Ss [%63[^]]]", section) == 1)
			continue;
		else if (sscanf(lines[i], ".It Ic %63s", key) == 1)
			entry_is_right(section, key, lines, i + 1);
	}
	all_seen(path);
	free(lines);
	free(text);
	free(path);
}

/* The comment above line at, put together without its marks. */
static char *
comment_above(char **lines, size_t at)
{
	char	*text = xstrdup(""), *longer;
	size_t	 first = at;

	while (first > 0 && strncmp(lines[first - 1], "; ", 2) == 0)
		first--;
	for (; first < at; first++) {
		longer = xasprintf("%s%s%s", text, *text ? " " : "",
		    lines[first] + 2);
		free(text);
		text = longer;
	}
	return text;
}

/* The first letter aside, which begins a sentence there. */
static bool
holds(const char *text, const char *part)
{
	return strstr(text, part + 1) != NULL;
}

static void
sample_is_right(const char *section, const char *key, const char *value,
    const char *comment)
{
	struct conf_key_info	 info = row_of(section, key);
	char			*what = takes(&info), *fallback;

	cr_expect(holds(comment, info.help), "[%s] %s: %s", section, key,
	    comment);
	if (strcmp(section, "signals") == 0)
		cr_expect_str_eq(value, info.fallback, "[%s] %s", section,
		    key);
	else {
		fallback = info.fallback == NULL ? xstrdup("; not set.") :
		    xasprintf("; default %s.", info.fallback);
		cr_expect(holds(comment, what), "[%s] %s: %s", section, key,
		    comment);
		cr_expect_not_null(strstr(comment, fallback), "[%s] %s: %s",
		    section, key, comment);
		if (info.fallback != NULL)
			cr_expect_str_eq(value, info.fallback);
		free(fallback);
	}
	free(what);
}

Test(conf_docs, sample_says_what_the_table_says)
{
	char	*path = rig_path("../etc/muster.ini");
	char	*text = rig_slurp(path, NULL), **lines = split(text), *comment;
	char	 section[64] = "", key[64], value[128];

	for (size_t i = 0; lines[i] != NULL; i++) {
		if (sscanf(lines[i], "[%63[^]]]", section) == 1)
			continue;
		if (sscanf(lines[i], ";%63[A-Za-z0-9_] = %127[^\n]", key,
		    value) != 2)
			continue;
		comment = comment_above(lines, i);
		sample_is_right(section, key, value, comment);
		free(comment);
	}
	all_seen(path);
	free(lines);
	free(text);
	free(path);
}

Test(conf_docs, sample_loads_as_it_is_and_with_every_key_set)
{
	char		*path = rig_path("../etc/muster.ini"), *p;
	char		*text = rig_slurp(path, NULL);
	struct conf_rig	 rig = conf_rig(text, NULL, 0);

	cr_assert_not_null(rig.conf);
	cr_expect_not(rig.conf->listen.bind_given);
	conf_rig_end(&rig);
	for (p = text; (p = strstr(p, "\n;")) != NULL; p++)
		if (p[2] != ' ' && p[2] != '\n')
			p[1] = ' ';
	/* All at once, but for the app, which goes with no command. */
	cr_assert_not_null(p = strstr(text, "\n app ="));
	p[1] = ';';
	rig = conf_rig(text, NULL, 0);
	for (size_t i = 0; i < rig.errors.count; i++)
		cr_log_error("%s", rig.errors.lines[i]);
	cr_assert_not_null(rig.conf);
	cr_expect(rig.conf->listen.bind_given);
	cr_expect_eq(rig.conf->nenv, 1);
	conf_rig_end(&rig);
	free(text);
	free(path);
}

/* "stop_signal QUIT, fast_signal TERM." */
static char *
preset_text(const struct conf_preset *row)
{
	char	*text = NULL, *longer, *setting;

	for (int i = 0; i < PRESET_SETTINGS && row->settings[i]; i++) {
		setting = xstrdup(strchr(row->settings[i], '.') + 1);
		*strchr(setting, '=') = ' ';
		longer = text == NULL ? xstrdup(setting) :
		    xasprintf("%s, %s", text, setting);
		free(text);
		free(setting);
		text = longer;
	}
	cr_assert_not_null(text, "%s sets nothing", row->name);
	longer = xasprintf("%s.", text);
	free(text);
	return longer;
}

static void
preset_is_right(const char *name, char **lines, size_t at)
{
	const struct conf_preset	*row = conf_preset_find(name);
	char				*entry, *expected;

	cr_assert_not_null(row, "%s", name);
	entry = joined_entry(lines, at);
	expected = preset_text(row);
	cr_expect_str_eq(entry, expected, "%s", name);
	free(entry);
	free(expected);
}

Test(conf_docs, manual_lists_every_preset_and_no_other)
{
	char	*path = rig_path("../common/muster.conf.5");
	char	*text = rig_slurp(path, NULL), **lines = split(text);
	char	 name[64];
	size_t	 at = 0, count = 0, rows = 0;

	while (lines[at] != NULL && strcmp(lines[at], ".Sh PRESETS") != 0)
		at++;
	cr_assert_not_null(lines[at]);
	for (at++; strncmp(lines[at], ".Sh", 3) != 0; at++)
		if (sscanf(lines[at], ".It Cm %63s", name) == 1) {
			preset_is_right(name, lines, at + 1);
			count++;
		}
	while (conf_presets[rows].name != NULL)
		rows++;
	cr_expect_eq(count, rows);
	free(lines);
	free(text);
	free(path);
}
