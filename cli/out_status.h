/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's status as text for people (config-and-utilities
 * 3.2, with a verdict line in front). */
#ifndef OUT_STATUS_H
#define OUT_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct out_style {
	bool colour;
	bool tty;         /* leaves out what only programs need */
	bool verbose;
	bool statistics;
	unsigned bar;     /* columns of a progress bar, 0 = no bars */
};

/* `resources`: the array of /v1/status. An empty one gives one line that says so. */
void out_status(FILE *out, const json_t *resources, const struct out_style *style);
/* "12 s", "3 min 20 s", "2 h 5 min" */
void out_duration(char *text, size_t bytes, long long seconds);
/* Order of the replication states; -1 for an unknown word. Established is OUT_ESTABLISHED. */
int out_repl_rank(const char *word);
#define OUT_ESTABLISHED 10
/* The same for connection states: StandAlone 0 ... Connected 9. */
int out_conn_rank(const char *word);
#define OUT_UNCONNECTED 2
#define OUT_CONNECTED 9

#endif
