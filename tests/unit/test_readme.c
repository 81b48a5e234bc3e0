/* The README is held to the tables that the program has, and to its files. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_table.h"
#include "common/mem.h"
#include "master/sigq.h"
#include "tests/unit/doc_rig.h"

TestSuite(readme, .timeout = 20);

#define README	"README.md"

Test(readme, begins_with_the_two_commands)
{
	char	*text = doc_read(README);

	cr_expect_not_null(strstr(text, "\nmake run "));
	cr_expect_not_null(strstr(text, "\nmake test "));
	free(text);
}

Test(readme, has_a_row_for_every_signal)
{
	char	*text = doc_read(README);
	char	*table = doc_part(text, "## Signals", "## ");

	for (int kind = 0; kind < SIGQ_KINDS; kind++) {
		const char	*name = sigq_name((enum sigq_kind)kind);
		char		*cell = xasprintf("`%s`", name);

		cr_expect_not_null(strstr(table, cell), "no row for %s", name);
		free(cell);
	}
	free(table);
	free(text);
}

Test(readme, has_a_row_for_every_exit_code)
{
	char	*text = doc_read(README), *help = doc_help();
	char	*table = doc_part(text, "## Exit codes", "## ");
	char	*codes = doc_part(help, "exit codes:", "\n");

	for (int code = 0; code < 256; code++)
		cr_expect_eq(doc_has_code(table, "| ", code, " |"),
		    doc_has_code(codes, "  ", code, " "), "exit code %d", code);
	free(codes);
	free(table);
	free(help);
	free(text);
}

Test(readme, has_a_recipe_for_every_preset_and_no_other)
{
	const struct conf_preset	*row;
	char	*text = doc_read(README);
	char	*table = doc_part(text, "## Programs", "## ");
	char	*word, name[32];

	for (row = conf_presets; row->name != NULL; row++) {
		word = xasprintf("`-s worker.preset=%s -- ", row->name);
		cr_expect_not_null(strstr(table, word), "no recipe for %s",
		    row->name);
		free(word);
	}
	for (const char *p = table; (p = strstr(p, "preset=")) != NULL; p++)
		cr_expect(sscanf(p, "preset=%31[a-z0-9-]", name) == 1 &&
		    conf_preset_find(name) != NULL, "no preset %s", name);
	free(table);
	free(text);
}

/* A file is there by its name, or by that before the first "_". */
static void
expect_in_map(const char *map, const char *file)
{
	size_t	 len = strcspn(file, "._"), whole = strcspn(file, ".");
	char	 before, after;

	for (const char *p = map; *p != '\0'; p++) {
		if (strncmp(p, file, len) != 0)
			continue;
		before = p == map ? ' ' : p[-1];
		after = strncmp(p, file, whole) == 0 ? p[whole] : p[len];
		if (strchr(" (", before) != NULL &&
		    strchr(" ,:;().\n", after) != NULL)
			return;
	}
	cr_expect_fail("%s is not there", file);
}

Test(readme, says_where_every_file_is)
{
	static const char *const	 folders[] = { "master", "worker",
					    "common" };
	char		*text = doc_read(README);
	char		*map = doc_part(text, "## Where things are", "## ");
	char		*path;
	const char	*dot;
	struct dirent	*entry;
	DIR		*dir;
	int		 files = 0;

	for (size_t i = 0; i < 3; i++) {
		path = doc_path(folders[i]);
		cr_assert_not_null(dir = opendir(path), "%s", path);
		while ((entry = readdir(dir)) != NULL) {
			dot = strrchr(entry->d_name, '.');
			if (dot == NULL || strcmp(dot, ".c") != 0)
				continue;
			expect_in_map(map, entry->d_name);
			files++;
		}
		closedir(dir);
		free(path);
	}
	cr_expect_gt(files, 100, "%d", files);
	free(map);
	free(text);
}
