/* SPDX-License-Identifier: GPL-2.0-or-later */
/* split-brain: what each of two nodes has changed alone. */
#include "commands.h"

#include <stdio.h>

#include "base/str.h"
#include "json_get.h"
#include "why.h"

static void print_side(const json_t *side, bool whole)
{
	const char *generation = get_text(side, "generation");

	(void)printf("  %s: generation %s, %lld KiB changed%s%s%s\n", get_text(side, "node"),
		     generation[0] ? generation : "not known",
		     (long long)get_int(side, "changed-kib"), whole ? " at least" : "",
		     get_bool(side, "was-primary") ? ", Primary when they parted" : "",
		     get_bool(side, "is-primary") ? ", Primary at the last attempt" : "");
}

static void print_split(const struct cli *cli, const json_t *split)
{
	const json_t *sides = get_array(split, "sides"), *side;
	const char *ancestor = get_text(split, "ancestor"), *since = get_text(split, "apart-since");
	bool whole = get_bool(split, "copies-all");
	size_t i;

	(void)printf("%s/%d: %s and %s have changed their data alone since generation %s\n",
		     cli->resource, (int)get_int(split, "volume"),
		     get_text(json_array_get(sides, 0), "node"),
		     get_text(json_array_get(sides, 1), "node"),
		     ancestor[0] ? ancestor : "(not known)");
	(void)printf("  apart since %s\n", since[0] ? since : "before this daemon was started");
	json_array_foreach(sides, i, side)
		print_side(side, whole);
	if (whole)
		(void)printf("  the bitmaps do not tell all that differs: the whole volume is "
			     "copied\n");
}

static void print_ways(const struct cli *cli, const json_t *splits)
{
	const json_t *sides = get_array(json_array_get(splits, 0), "sides"), *side;
	size_t i;

	(void)printf("\nOn both nodes, one of:\n");
	json_array_foreach(sides, i, side)
		(void)printf("  drbdctl resolve %s --keep %s\n", cli->resource,
			     get_text(side, "node"));
	(void)printf("On the node whose data are given up, --save-loser FILE keeps what it has "
		     "changed.\n");
}

static void print_json(const json_t *why)
{
	json_t *out = json_pack("{s:O, s:O, s:O, s:O}", "version", json_object_get(why, "version"),
				"name", json_object_get(why, "name"), "node",
				json_object_get(why, "node"), "split-brains",
				json_object_get(why, "split-brains"));

	(void)json_dumpf(out, stdout, JSON_INDENT(1));
	(void)printf("\n");
	json_decref(out);
}

int cmd_split_brain(struct cli *cli)
{
	const json_t *splits, *split;
	json_t *why = NULL;
	int rc = why_fetch(cli, &why);
	size_t i;

	if (rc)
		return rc;
	splits = get_array(why, "split-brains");
	if (cli->json) {
		print_json(why);
	} else {
		json_array_foreach(splits, i, split)
			print_split(cli, split);
		if (json_array_size(splits))
			print_ways(cli, splits);
		else
			(void)printf("%s: no split brain is known on %s\n", cli->resource,
				     get_text(why, "node"));
	}
	json_decref(why);
	return EXIT_OK;
}
