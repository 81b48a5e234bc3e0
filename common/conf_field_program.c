#include "common/conf_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* As conf_field.c, for the types of values that only programs have. */

#define COMMAND_LONGEST	8000

/* Any signal a program may understand, or none: it goes to programs alone. */
enum value_result
conf_set_signal_or_none(const struct conf_key *key, void *field, void *aux,
    const char *text)
{
	int	 signo;

	(void)key, (void)aux;
	if (strcmp(text, "none") == 0) {
		*(int *)field = 0;
		return VALUE_OK;
	}
	if (value_parse_signal(text, &signo) != VALUE_OK)
		return VALUE_BAD;
	if (conf_stops_nobody(signo))
		return VALUE_RANGE;
	*(int *)field = signo;
	return VALUE_OK;
}

char *
conf_get_signal_or_none(const struct conf_key *key, const void *field,
    const void *aux)
{
	int	 signo = *(const int *)field;

	(void)key, (void)aux;
	return signo == 0 ? xstrdup("none") : value_print_signal(signo);
}

enum value_result
conf_set_command(const struct conf_key *key, void *field, void *aux,
    const char *text)
{
	enum value_result	 result;
	char			***list = field, **words, *printed;
	size_t			 count, len;

	(void)key;
	result = value_parse_command(text, &words, &count);
	if (result != VALUE_OK)
		return result;
	/* What is printed has to fit a file's line again. */
	printed = value_print_command(words, count);
	len = strlen(printed);
	free(printed);
	if (len > COMMAND_LONGEST) {
		value_free_command(words);
		return VALUE_RANGE;
	}
	value_free_command(*list);
	*list = words;
	*(size_t *)aux = count;
	return VALUE_OK;
}

char *
conf_get_command(const struct conf_key *key, const void *field, const void *aux)
{
	size_t	 count = *(const size_t *)aux;

	(void)key;
	return count == 0 ? NULL :
	    value_print_command(*(char **const *)field, count);
}

enum value_result
conf_set_ready(const struct conf_key *key, void *field, void *aux, const char *text)
{
	(void)aux;
	return value_parse_ready(text, key->max, field);
}

char *
conf_get_ready(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_ready(field);
}

enum value_result
conf_set_sockets(const struct conf_key *key, void *field, void *aux,
    const char *text)
{
	(void)key, (void)aux;
	return value_parse_sockets(text, field);
}

char *
conf_get_sockets(const struct conf_key *key, const void *field, const void *aux)
{
	(void)key, (void)aux;
	return value_print_sockets(*(const unsigned int *)field);
}
