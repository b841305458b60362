/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the cutting of a text into a terminal's frame. */
#include "screen.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"
#define RESET "\033[0m"

/* Length of the escape sequence at p, 0 if there is none. */
static size_t escape_length(const char *p, const char *end)
{
	size_t n = 2;

	if (p + 1 >= end || p[0] != '\033' || p[1] != '[')
		return 0;
	while (p + n < end && p[n] != 'm')
		n++;
	return p + n < end ? n + 1 : n;
}

/* Continuation bytes of UTF-8 take no column of their own. */
static bool takes_column(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static void line_put(FILE *out, const char *p, const char *end, unsigned columns)
{
	unsigned used = 0;

	while (p < end) {
		size_t n = escape_length(p, end);

		if (n) {
			(void)fwrite(p, 1, n, out);
			p += n;
			continue;
		}
		if (takes_column(*p) && used++ == columns)
			break;
		(void)fputc(*p++, out);
	}
	/* A cut may have taken the end of a colour away. */
	(void)fputs(p < end ? RESET CLEAR_LINE : CLEAR_LINE, out);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

char *screen_frame(const char *text, unsigned columns, unsigned rows)
{
	unsigned lines = count_lines(text), shown = lines <= rows ? lines : rows - 1;
	char *frame = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&frame, &bytes);

	if (!out)
		return NULL;
	(void)fputs(HOME, out);
	for (unsigned i = 0; i < shown; i++) {
		const char *end = strchr(text, '\n');

		line_put(out, text, end, columns);
		/* No newline behind the last row: it would scroll. */
		if (i + 1 < rows)
			(void)fputs("\r\n", out);
		text = end + 1;
	}
	if (shown < lines)
		(void)fprintf(out, "... %u more lines" CLEAR_LINE, lines - shown);
	(void)fputs(CLEAR_BELOW, out);
	if (fclose(out))
		return NULL;
	return frame;
}
