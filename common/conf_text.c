#include "common/conf_table.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Words for messages: quoting what was given, and guessing what was meant. */

#define QUOTE_TEXT	80	/* more than that is cut */
#define NAME_LONG	64	/* no key is that long: nothing to guess */

const char *
conf_quote(const char *text, char out[QUOTE_SIZE])
{
	size_t	 len = 0;

	out[len++] = '"';
	for (; *text != '\0' && len < QUOTE_TEXT; text++) {
		if (iscntrl((unsigned char)*text))
			len += (size_t)snprintf(out + len, QUOTE_SIZE - len,
			    "\\x%02x", (unsigned char)*text);
		else
			out[len++] = *text;
	}
	snprintf(out + len, QUOTE_SIZE - len, "%s\"", *text ? "..." : "");
	return out;
}

/* Levenshtein's distance, letters alike in either case. */
static size_t
distance(const char *a, const char *b)
{
	size_t	 row[NAME_LONG + 1], la = strlen(a), lb = strlen(b);
	size_t	 diagonal, above, cost;

	if (la > NAME_LONG || lb > NAME_LONG)
		return NAME_LONG;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			above = row[j];
			cost = diagonal + (tolower((unsigned char)a[i - 1]) !=
			    tolower((unsigned char)b[j - 1]));
			if (above + 1 < cost)
				cost = above + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
			diagonal = above;
		}
	}
	return row[lb];
}

/* How far off a name may be and still be taken for a slip. */
static size_t
tolerance(const char *name)
{
	size_t	 third = strlen(name) / 3;

	return third < 1 ? 1 : third > 4 ? 4 : third;
}

/* The nearest key, in the section or (NULL) in any; NULL if none is near. */
static const struct conf_key *
nearest_key(const char *section, const char *key, size_t limit)
{
	const struct conf_key	*best = NULL, *row;
	size_t			 d, len = strlen(key), other;

	for (row = conf_keys; row < conf_keys + conf_nkeys; row++) {
		if (row->type == TYPE_ENV ||
		    (section != NULL && strcmp(row->section, section) != 0))
			continue;
		/* Each letter more is one off, at least. */
		other = strlen(row->key);
		if ((len > other ? len - other : other - len) > limit)
			continue;
		d = distance(key, row->key);
		if (d < limit || (d == limit && best == NULL)) {
			best = row;
			limit = d;
		}
	}
	return best;
}

/* Some write the prefixes that the system's headers have. */
static const char *
without_prefix(const char *key)
{
	if (strncasecmp(key, "SIG", 3) == 0)
		return key + 3;
	if (strncasecmp(key, "RLIMIT_", 7) == 0)
		return key + 7;
	return key;
}

const char *
conf_suggest_key(const char *section, const char *key, char out[SUGGEST_SIZE])
{
	const struct conf_key	*row;

	*out = '\0';
	key = without_prefix(key);
	if ((row = nearest_key(NULL, key, 0)) != NULL &&
	    strcmp(row->section, section) != 0)
		snprintf(out, SUGGEST_SIZE, "; %s belongs to [%s]", row->key,
		    row->section);
	else if ((row = nearest_key(section, key, tolerance(key))) != NULL)
		snprintf(out, SUGGEST_SIZE, "; did you mean %s?", row->key);
	else if ((row = nearest_key(NULL, key, tolerance(key))) != NULL)
		snprintf(out, SUGGEST_SIZE, "; did you mean %s of [%s]?",
		    row->key, row->section);
	return out;
}

const char *
conf_suggest_section(const char *section, char out[SUGGEST_SIZE])
{
	const char	*best = NULL;
	size_t		 d, limit = 0;

	if (strncmp(section, "app ", 4) != 0)
		limit = tolerance(section);
	*out = '\0';
	for (size_t i = 0; i < conf_nkeys; i++) {
		d = distance(section, conf_keys[i].section);
		if (d < limit || (d == limit && best == NULL)) {
			best = conf_keys[i].section;
			limit = d;
		}
	}
	if (best != NULL)
		snprintf(out, SUGGEST_SIZE, "; did you mean [%s]?", best);
	else if (strncmp(section, "app ", 4) == 0)
		snprintf(out, SUGGEST_SIZE, "; the apps are: %s", conf_apps[0]);
	return out;
}

const char *
conf_suggest_preset(const char *name, char out[SUGGEST_SIZE])
{
	const char	*best = NULL;
	size_t		 d, limit = strlen(name) < 4 ? 1 : tolerance(name) + 1;

	/* A longer one may have two letters swapped: "ngnix". */
	*out = '\0';
	for (const struct conf_preset *row = conf_presets; row->name != NULL;
	    row++) {
		d = distance(name, row->name);
		if (d < limit || (d == limit && best == NULL)) {
			best = row->name;
			limit = d;
		}
	}
	if (best != NULL)
		snprintf(out, SUGGEST_SIZE, "; did you mean %s?", best);
	return out;
}
