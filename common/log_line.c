#include "common/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIELD_ROOM	64	/* kept for each field still to come */
#define ENDING		2	/* "}" and the newline */
#define CUT		"..."
#define CUT_ENDING	(sizeof(CUT) - 1 + 1)	/* and the closing quote */

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

int
log_level_find(const char *name, size_t len)
{
	int	 i;

	for (i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strlen(level_names[i]) == len &&
		    memcmp(level_names[i], name, len) == 0)
			return i;
	return -1;
}

/* ---- characters */

/*
 * Take one UTF-8 character of at most len bytes; len is not 0. Returns its
 * length, or 0 if the first byte begins none: overlong forms, surrogates and
 * what lies beyond U+10FFFF are none either (RFC 3629).
 */
static size_t
utf8_take(const unsigned char *s, size_t len, uint32_t *out)
{
	static const uint32_t	 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t		 c;
	size_t			 i, need;

	if (s[0] < 0x80) {
		*out = s[0];
		return 1;
	}
	need = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len < need)
		return 0;
	c = s[0] & (0xffU >> (need + 1));
	for (i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fU);
	}
	if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return need;
}

/*
 * May c not stand in a line as it is? The controls of both sets steer
 * terminals; U+2028 and U+2029 end lines for some readers; the others turn
 * the order of what is read (Unicode's bidirectional controls).
 */
static bool
unprintable(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* One character, or one byte that is none, and how it is to be written. */
struct piece {
	size_t	 taken;		/* bytes of the source */
	size_t	 len;		/* bytes of text */
	char	 text[8];
	bool	 plain;		/* text is what the source says */
};

static void
escape(struct piece *piece, uint32_t c)
{
	static const char	 hex[] = "0123456789abcdef";
	static const char	 shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	int			 i;

	piece->plain = false;
	piece->text[0] = '\\';
	for (i = 0; shorts[i] != '\0'; i += 2) {
		if ((unsigned char)shorts[i] != c)
			continue;
		piece->text[1] = shorts[i + 1];
		piece->len = 2;
		return;
	}
	piece->text[1] = 'u';
	for (i = 0; i < 4; i++)
		piece->text[2 + i] = hex[c >> (12 - 4 * i) & 0xf];
	piece->len = 6;
}

/*
 * The next piece of text, of which len bytes are left, as JSON writes it in a
 * string. A byte that is not UTF-8 is taken as Latin-1, which it likely is.
 */
static void
next_piece(struct piece *piece, const char *text, size_t len)
{
	uint32_t	 c;

	piece->taken = utf8_take((const unsigned char *)text, len, &c);
	if (piece->taken == 0) {
		piece->taken = 1;
		escape(piece, (unsigned char)text[0]);
		return;
	}
	if (unprintable(c)) {
		escape(piece, c);
		return;
	}
	piece->plain = true;
	piece->len = piece->taken;
	memcpy(piece->text, text, piece->taken);
}

/*
 * Nearly all of most text is plain ASCII, which needs no closer look: it
 * stands as it is within quotes, and without them if it is no mark either.
 */
enum { ODD, PLAIN, MARK };

static const unsigned char	 ascii[256] = {
	[' '] = MARK, ['!'] = PLAIN, ['#' ... '<'] = PLAIN, ['='] = MARK,
	['>' ... '['] = PLAIN, [']' ... '~'] = PLAIN,
};

static size_t
plain_span(const char *text, size_t len)
{
	size_t	 i = 0;

	while (i < len && ascii[(unsigned char)text[i]] != ODD)
		i++;
	return i;
}

/* ---- the line */

static void
put(struct log_line *line, const char *text, size_t len)
{
	if (len > line->max - line->len)
		len = line->max - line->len;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void
put_string(struct log_line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* For what is known to be short. */
static void __attribute__((format(printf, 2, 3)))
putf(struct log_line *line, const char *fmt, ...)
{
	char	 text[160];
	va_list	 ap;
	int	 len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len > 0)
		put(line, text, (size_t)len < sizeof(text) ? (size_t)len :
		    sizeof(text) - 1);
}

/* Put what is plain at the beginning of text as far as limit allows. */
static size_t
put_plain(struct log_line *line, const char *text, size_t len, size_t limit)
{
	size_t	 room = limit > line->len + 1 ? limit - line->len - 1 : 0;

	len = plain_span(text, len < room ? len : room);
	put(line, text, len);
	return len;
}

/*
 * Put text, escaped, up to limit; what does not fit is cut. With quoted,
 * quotes and backslashes are escaped, too. The closing quote has room.
 */
static void
put_escaped(struct log_line *line, const char *text, size_t len, size_t limit,
    bool quoted)
{
	struct piece	 piece;
	size_t		 cut = line->len;	/* here the dots would fit */
	size_t		 plain;

	for (; len > 0; text += piece.taken, len -= piece.taken) {
		plain = put_plain(line, text, len, limit);
		text += plain;
		len -= plain;
		if (line->len + CUT_ENDING <= limit)
			cut = line->len;
		else if (plain > 0 && line->len - plain + CUT_ENDING <= limit)
			cut = limit - CUT_ENDING;
		if (len == 0)
			return;
		next_piece(&piece, text, len);
		if (quoted && (text[0] == '"' || text[0] == '\\'))
			escape(&piece, (unsigned char)text[0]);
		if (line->len + piece.len + 1 > limit) {
			line->len = cut;
			put(line, CUT, sizeof(CUT) - 1);
			return;
		}
		put(line, piece.text, piece.len);
	}
}

static bool
needs_quotes(const char *text, size_t len)
{
	struct piece	 piece;

	if (len == 0)
		return true;
	for (; len > 0; text += piece.taken, len -= piece.taken) {
		piece.taken = 1;
		switch (ascii[(unsigned char)text[0]]) {
		case PLAIN:
			continue;
		case MARK:
			return true;
		}
		next_piece(&piece, text, len);
		if (!piece.plain || text[0] == '"')
			return true;
	}
	return false;
}

/* number / unit with so many decimals, cut, without trailing zeros. */
static void
put_decimal(struct log_line *line, uint64_t number, uint64_t unit, int decimals)
{
	char	 digits[8];
	int	 n;

	putf(line, "%llu", (unsigned long long)(number / unit));
	for (n = 0; n < decimals; n++) {
		number = number % unit * 10;
		digits[n] = (char)('0' + number / unit);
	}
	while (n > 0 && digits[n - 1] == '0')
		n--;
	if (n > 0) {
		put(line, ".", 1);
		put(line, digits, (size_t)n);
	}
}

static void
put_duration(struct log_line *line, int64_t us, enum log_format format)
{
	uint64_t	 size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;

	if (us < 0)
		put(line, "-", 1);
	if (format == LOG_JSON) {
		put_decimal(line, size, 1000000, 6);
	} else if (size >= 1000000 || size == 0) {
		put_decimal(line, size, 1000000, 1);
		put(line, "s", 1);
	} else if (size >= 1000) {
		put_decimal(line, size, 1000, 1);
		put(line, "ms", 2);
	} else {
		put_decimal(line, size, 1, 0);
		put(line, "us", 2);
	}
}

/*
 * UTC from the seconds since 1970, by counting days in years that begin in
 * March, so that a leap day is the last; gmtime(3) could read files.
 */
static void
put_time(struct log_line *line, const struct timespec *when)
{
	int64_t	 days = when->tv_sec / 86400, era, year;
	int	 secs = (int)(when->tv_sec % 86400);
	int	 day, year_of_era, month;

	if (secs < 0) {
		secs += 86400;
		days--;
	}
	days += 719468;			/* since 1 March of the year 0 */
	era = (days >= 0 ? days : days - 146096) / 146097;
	day = (int)(days - era * 146097);
	year_of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
	month = (5 * day + 2) / 153;	/* 0 is March */
	day -= (153 * month + 2) / 5;
	year = era * 400 + year_of_era + (month >= 10);
	putf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    (int)(year < 0 ? 0 : year > 9999 ? 9999 : year),
	    month < 10 ? month + 3 : month - 9, day + 1,
	    secs / 3600, secs / 60 % 60, secs % 60,
	    (int)(when->tv_nsec / 1000000));
}

/* ---- fields */

static bool
is_listed(const struct event_row *row, const char *name)
{
	const char	*at = row->fields;
	size_t		 len = strlen(name);

	while ((at = strstr(at, name)) != NULL) {
		if ((at == row->fields || at[-1] == ' ') &&
		    (at[len] == ' ' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

bool
log_line_fits(const struct event_row *row, const struct log_field *fields)
{
	for (; fields->kind != LOG_FIELD_END; fields++)
		if (!is_listed(row, fields->name))
			return false;
	return true;
}

static bool
is_there(const struct log_field *field)
{
	return (field->kind != LOG_FIELD_STR &&
	    field->kind != LOG_FIELD_BYTES) || field->text != NULL;
}

static void
put_text(struct log_line *line, enum log_format format, const char *text,
    size_t len, size_t limit)
{
	bool	 quotes = format == LOG_JSON || needs_quotes(text, len);

	if (quotes)
		put(line, "\"", 1);
	put_escaped(line, text, len, limit, quotes);
	if (quotes)
		put(line, "\"", 1);
}

static void
put_field(struct log_line *line, enum log_format format,
    const struct log_field *field, size_t limit)
{

	put_string(line, format == LOG_JSON ? ",\"" : " ");
	put_string(line, field->name);
	put_string(line, format == LOG_JSON ? "\":" : "=");
	if (field->kind == LOG_FIELD_INT) {
		putf(line, "%lld", (long long)field->number);
	} else if (field->kind == LOG_FIELD_US) {
		put_duration(line, field->number, format);
	} else if (field->kind == LOG_FIELD_BYTES) {
		put_text(line, format, field->text, (size_t)field->number,
		    limit);
	} else {
		put_text(line, format, field->text, strlen(field->text),
		    limit);
	}
}

void
log_line_fields(struct log_line *line, enum log_format format,
    const struct log_field *fields)
{
	const struct log_field	*f;
	size_t			 limit = line->max - ENDING, left = 0;

	for (f = fields; f->kind != LOG_FIELD_END; f++)
		left += is_there(f);
	for (f = fields; f->kind != LOG_FIELD_END; f++) {
		if (!is_there(f))
			continue;
		left--;
		/* Only with dozens of fields, which no row lists. */
		if (line->len + (left + 1) * FIELD_ROOM > limit)
			continue;
		put_field(line, format, f, limit - left * FIELD_ROOM);
	}
}

void
log_line_begin(struct log_line *line, size_t max, enum log_format format,
    const struct timespec *when, const struct event_row *row)
{
	line->len = 0;
	line->max = max < LOG_LINE_MAX ? max : LOG_LINE_MAX;
	if (format == LOG_JSON) {
		putf(line, "{\"time\":\"");
		put_time(line, when);
		putf(line, "\",\"level\":\"%s\",\"event\":\"%s\"",
		    log_level_name(row->level), row->name);
	} else {
		put_time(line, when);
		putf(line, " %-5s %s", log_level_name(row->level), row->name);
	}
}

void
log_line_end(struct log_line *line, enum log_format format)
{
	if (format == LOG_JSON)
		put(line, "}", 1);
	put(line, "\n", 1);
}

void
log_line_build(struct log_line *line, size_t max, enum log_format format,
    const struct timespec *when, const struct event_row *row,
    const struct log_field *fields)
{
	log_line_begin(line, max, format, when, row);
	log_line_fields(line, format, fields);
	log_line_end(line, format);
}

void
log_line_relay(struct log_line *line, const char *text, size_t len)
{
	line->len = 0;
	line->max = LOG_LINE_MAX;
	put_escaped(line, text, len, LOG_LINE_MAX - 1, false);
	put(line, "\n", 1);
}
