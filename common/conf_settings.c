#include "common/conf_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* The command line's settings: applied, and kept for a reload. */

/* A text that no file could hold could not be dumped and loaded again. */
static const char *
unfit_for_file(const char *key, const char *value)
{
	bool	 quoted = false;

	for (const char *p = value; *p != '\0'; p++) {
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return "holds a control byte";
		if (*p == '"')
			quoted = !quoted;
		if (*p == ';' && !quoted && p > value &&
		    (p[-1] == ' ' || p[-1] == '\t'))
			return "holds blank and ;, where a comment would begin";
	}
	if (strlen(key) + strlen(value) > 8000)
		return "is longer than 8000 bytes";
	return NULL;
}

/* -v and -q go from where the file left it. */
static const char *
moved_level(const struct conf *conf, const char *value)
{
	static const char *const	 levels[] = { "error", "warn", "info",
		"debug" };
	int				 level = (int)conf->master.log_level;

	level += strcmp(value, "more") == 0 ? 1 : -1;
	return levels[level < 0 ? 0 : level > 3 ? 3 : level];
}

static void
apply_setting(struct conf_load *load, const struct conf_setting *setting)
{
	struct conf_origin	 from = { .kind = ORIGIN_OPTION };
	const char		*dot = strchrnul(setting->key, '.'), *unfit;
	const char		*key = *dot == '\0' ? dot : dot + 1;
	char			*section, *value, hint[SUGGEST_SIZE];
	size_t			 len;

	section = xstrdup(setting->key);
	section[dot - setting->key] = '\0';
	value = xstrdup(setting->value + strspn(setting->value, " \t"));
	for (len = strlen(value); len > 0 && (value[len - 1] == ' ' ||
	    value[len - 1] == '\t'); len--)
		value[len - 1] = '\0';
	from.where = xstrdup(setting->origin);
	if (!conf_section_known(section)) {
		load->errors->usage = true;
		conf_report_line(load->errors,
		    "muster: %s %.64s: no such section%s", setting->origin,
		    setting->key, conf_suggest_section(section, hint));
	} else if ((unfit = unfit_for_file(key, value)) != NULL)
		conf_report_at(load->errors, &from, section, key, unfit);
	else
		conf_assign(load, section, key, value, &from);
	free(from.where);
	free(section);
	free(value);
}

void
conf_settings_apply(struct conf_load *load, const struct conf_source *source)
{
	struct conf_setting	 setting;

	for (size_t i = 0; i < source->nsettings && !load->errors->usage; i++) {
		setting = source->settings[i];
		if (strcmp(setting.key, "master.log_level") == 0 &&
		    (strcmp(setting.value, "more") == 0 ||
		    strcmp(setting.value, "less") == 0))
			setting.value = moved_level(load->conf, setting.value);
		apply_setting(load, &setting);
	}
}

struct conf_source *
conf_source_copy(const struct conf_source *source)
{
	struct conf_source	*copy = xcalloc(1, sizeof(*copy));
	struct conf_setting	*rows;

	copy->file = source->file == NULL ? NULL : xstrdup(source->file);
	rows = xcalloc(source->nsettings + 1, sizeof(*rows));
	for (size_t i = 0; i < source->nsettings; i++) {
		rows[i].key = xstrdup(source->settings[i].key);
		rows[i].value = xstrdup(source->settings[i].value);
		rows[i].origin = xstrdup(source->settings[i].origin);
	}
	copy->settings = rows;
	copy->nsettings = source->nsettings;
	copy->folder = source->folder == NULL ? NULL : xstrdup(source->folder);
	return copy;
}

void
conf_source_free(struct conf_source *source)
{
	if (source == NULL)
		return;
	for (size_t i = 0; i < source->nsettings; i++) {
		free((char *)source->settings[i].key);
		free((char *)source->settings[i].value);
		free((char *)source->settings[i].origin);
	}
	free((struct conf_setting *)source->settings);
	free((char *)source->file);
	free((char *)source->folder);
	free(source);
}
