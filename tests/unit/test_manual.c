/* muster(8) and muster-moving(7) are held to the tables that the program has. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/events.h"
#include "common/mem.h"
#include "master/options_table.h"
#include "master/sigq.h"
#include "tests/unit/doc_rig.h"

TestSuite(manual, .timeout = 20);
TestSuite(moving, .timeout = 20);

#define MANUAL	"master/muster.8"
#define MOVING	"master/muster-moving.7"

/* ---- the manual */

Test(manual, lists_every_event_with_its_level_and_fields_and_no_other)
{
	static const char *const levels[] = { "error", "warn", "info",
	    "debug" };
	char	*text = doc_read(MANUAL);
	char	*events = doc_part(text, "The events, each", ".Sh SEE ALSO");
	char	*line;

	for (int i = 0; i < EVENT_COUNT; i++) {
		line = xasprintf(".It Ic %s Em %s Ar %s", event_rows[i].name,
		    levels[event_rows[i].level], event_rows[i].fields);
		doc_expect_line(events, line);
		free(line);
	}
	cr_expect_eq(doc_count_lines(events, ".It "), EVENT_COUNT,
	    "an event that the program does not have");
	free(events);
	free(text);
}

Test(manual, lists_every_option_and_no_other)
{
	const struct option_row	*row = option_rows;
	char			*text = doc_read(MANUAL);
	char			*line;

	for (; row->word != NULL; row++) {
		if (row->letter == LETTER_ADOPT)
			line = xasprintf(".It Fl -%s", row->word);
		else
			line = xasprintf(".It Fl %c , Fl -%s%s%s", row->letter,
			    row->word, row->arg == NULL ? "" : " Ar ",
			    row->arg == NULL ? "" : row->arg);
		doc_expect_line(text, line);
		free(line);
	}
	cr_expect_eq(doc_count_lines(text, ".It Fl "), row - option_rows,
	    "an option that the program does not have");
	free(text);
}

Test(manual, shows_every_option_in_the_synopsis)
{
	char	*text = doc_read(MANUAL);
	char	*synopsis = doc_part(text, ".Sh SYNOPSIS", ".Sh ");
	char	*flags = doc_part(synopsis, ".Op Fl ", ".Op Fl ");
	char	*line;

	for (const struct option_row *r = option_rows; r->word != NULL; r++) {
		if (r->letter == LETTER_ADOPT) {
			doc_expect_line(synopsis, ".Op Fl -adopt");
			continue;
		}
		if (r->arg == NULL) {
			cr_expect_not_null(strchr(flags, r->letter), "-%c",
			    r->letter);
			continue;
		}
		line = xasprintf(".Op Fl %c Ar ", r->letter);
		cr_expect_eq(doc_count_lines(synopsis, line), 1, "-%c",
		    r->letter);
		free(line);
	}
	free(flags);
	free(synopsis);
	free(text);
}

Test(manual, and_help_list_the_same_exit_codes)
{
	char	*text = doc_read(MANUAL), *help = doc_help();
	char	*manual = doc_part(text, ".Sh EXIT STATUS", ".El");
	char	*codes = doc_part(help, "exit codes:", "\n");

	for (int code = 0; code < 256; code++)
		cr_expect_eq(doc_has_code(manual, ".It ", code, "\n"),
		    doc_has_code(codes, "  ", code, " "), "exit code %d", code);
	cr_expect(doc_has_code(manual, ".It ", 0, "\n"));
	free(codes);
	free(manual);
	free(help);
	free(text);
}

Test(manual, tells_what_every_signal_does)
{
	char	*text = doc_read(MANUAL);
	char	*signals = doc_part(text, ".Ss Signals to", ".El");

	for (int kind = 0; kind < SIGQ_KINDS; kind++) {
		const char	*name = sigq_name((enum sigq_kind)kind);
		char		*first = xasprintf(".It Dv %s", name);
		char		*second = xasprintf(", Dv %s\n", name);

		cr_expect(doc_count_lines(signals, first) == 1 ||
		    strstr(signals, second) != NULL, "no SIG%s", name);
		free(first);
		free(second);
	}
	free(signals);
	free(text);
}

/* ---- moving from others */

/* A word of mdoc: what its macro is, as far as these tests care. */
struct word {
	char	 macro[4];
	char	 text[64];
};

/* The next word of the page that stands behind a macro; false at the end. */
static bool
next_word(const char **at, struct word *word)
{
	size_t	 len, blank;

	for (;;) {
		blank = strspn(*at, " \n");
		if (memchr(*at, '\n', blank) != NULL)
			word->macro[0] = '\0';
		*at += blank;
		if ((len = strcspn(*at, " \n")) == 0)
			return false;
		snprintf(word->text, sizeof(word->text), "%.*s", (int)len, *at);
		*at += len;
		if (word->text[0] == '.' && len == 3)
			memcpy(word->macro, word->text + 1, 3);
		else if (len == 2 && word->text[0] >= 'A' &&
		    word->text[0] <= 'Z' && word->text[1] >= 'a')
			memcpy(word->macro, word->text, 3);
		else
			return true;
	}
}

static bool
is_event(const char *name)
{
	for (int i = 0; i < EVENT_COUNT; i++)
		if (strcmp(event_rows[i].name, name) == 0)
			return true;
	return false;
}

/* Has it the form of an event's name, "worker.ready"? */
static bool
looks_like_event(const char *text)
{
	const char	*dot = strchr(text, '.');

	return dot != NULL && dot > text && dot[1] != '\0' &&
	    text[strspn(text, "abcdefghijklmnopqrstuvwxyz.")] == '\0';
}

Test(moving, names_keys_that_the_program_has)
{
	char		*text = doc_read(MOVING), out[256];
	const char	*at = text;
	struct word	 word = { .macro = "" };
	int		 keys = 0;

	while (next_word(&at, &word)) {
		if (strcmp(word.macro, "Ic") != 0 ||
		    strchr(word.text, '.') == NULL || word.text[1] == '\0')
			continue;
		cr_expect_eq(conf_key_takes(word.text, out, sizeof(out)), 0,
		    "there is no key %s", word.text);
		keys++;
	}
	cr_expect_gt(keys, 100, "%d", keys);
	free(text);
}

Test(moving, names_events_that_the_program_has)
{
	char		*text = doc_read(MOVING);
	const char	*at = text;
	struct word	 word = { .macro = "" };
	int		 events = 0;

	while (next_word(&at, &word)) {
		if (strcmp(word.macro, "Li") != 0 ||
		    !looks_like_event(word.text))
			continue;
		cr_expect(is_event(word.text), "no event %s", word.text);
		events++;
	}
	cr_expect_gt(events, 5, "%d", events);
	free(text);
}

/* What is set in an example, "-s worker.ready=notify", is taken. */
Test(moving, sets_keys_that_the_program_has)
{
	char	*text = doc_read(MOVING), out[256], key[64];
	int	 settings = 0;

	for (const char *p = text; (p = strstr(p, "-s ")) != NULL; p++) {
		if (sscanf(p + 3, "%63[a-z._]=", key) != 1 ||
		    strchr(key, '.') == NULL)
			continue;
		cr_expect_eq(conf_key_takes(key, out, sizeof(out)), 0,
		    "there is no key %s", key);
		settings++;
	}
	cr_expect_gt(settings, 5, "%d", settings);
	free(text);
}
