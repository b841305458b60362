/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A text as one frame for a terminal: cut to its size,
 * written over the last one without clearing it. */
#ifndef SCREEN_H
#define SCREEN_H

/* The other screen of the terminal, without cursor; and back. */
#define SCREEN_ENTER "\033[?1049h\033[?25l\033[H\033[2J"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"

/* Lines longer than `columns` are cut, as are lines beyond `rows` (the last one then counts them).
 * Colour escapes take no columns. Caller frees; NULL without memory. */
char *screen_frame(const char *text, unsigned columns, unsigned rows);

#endif
