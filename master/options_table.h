#ifndef MUSTER_OPTIONS_TABLE_H
#define MUSTER_OPTIONS_TABLE_H

/* One row per option, for options.c and the help; the last has no word. */
#define OPTION_ROWS_MAX	24

/* In place of a letter, for what has none. */
#define LETTER_ADOPT	1

struct option_row {
	char		 letter;	/* or LETTER_ADOPT */
	const char	*word;
	const char	*arg;	/* NULL: takes none */
	const char	*key;	/* the config key it sets, or NULL */
	const char	*value;	/* what it sets it to, without arg */
	const char	*takes;	/* for messages, without key */
	const char	*help;
};

extern const struct option_row	 option_rows[];

/* The version of the libevent that we run with. */
const char	*options_libevent(void);

#endif
