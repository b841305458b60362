/* SPDX-License-Identifier: GPL-2.0-or-later */
/* why: what is not as it should be, who has to act, and the changes that led there. */
#include "commands.h"

#include <curl/curl.h>
#include <stdio.h>

#include "api/api.h"
#include "base/str.h"
#include "client.h"
#include "json_get.h"
#include "out_status.h"
#include "why.h"

#define CHANGES_SHOWN 20U /* without --verbose */

/* What the operator asked about. */
static bool is_meant(const struct cli *cli, const json_t *element)
{
	const json_t *volume = json_object_get(element, "volume");

	if (cli->peer[0] && !text_is(element, "peer", cli->peer) &&
	    json_is_string(json_object_get(element, "peer")))
		return false;
	return cli->vnr < 0 || !json_is_integer(volume) ||
	       json_integer_value(volume) == cli->vnr;
}

/* "volume 0 with beta", "connection to beta", "resource" */
static void object_text(const json_t *element, bool connection, char *out, size_t bytes)
{
	const char *peer = get_text(element, "peer");
	const json_t *volume = json_object_get(element, "volume");

	if (json_is_integer(volume))
		(void)str_format(out, bytes, "volume %d%s%s",
				 (int)json_integer_value(volume), peer[0] ? " with " : "", peer);
	else if (peer[0])
		(void)str_format(out, bytes, "%s%s", connection ? "connection to " : "", peer);
	else
		(void)str_copy(out, bytes, "resource");
}

static void print_item(const json_t *item)
{
	char object[NAME_MAX_BYTES + 40], pause[64];
	const char *who = get_text(item, "who");
	const json_t *holds = get_array(item, "holds"), *retry = json_object_get(item, "retry-ms");
	const json_t *held;
	size_t i;

	object_text(item, true, object, sizeof(object));
	(void)printf("  %s: %s: %s\n", object, get_text(item, "state"), get_text(item, "text"));
	json_array_foreach(holds, i, held) {
		const char *word = json_string_value(held);

		(void)printf("%s%s", i ? ", " : "    holds up: ",
			     str_eq(word, "primary") ? "promotion" : str_eq(word, "io") ? "I/O" :
								     "replication");
	}
	if (json_array_size(holds))
		(void)printf("\n");
	if (who[0])
		(void)printf("    to do on %s: %s\n", who, get_text(item, "command"));
	else
		(void)printf("    goes on by itself; wait for it with: %s\n",
			     get_text(item, "command"));
	if (json_is_integer(retry)) {
		out_duration(pause, sizeof(pause), (json_integer_value(retry) + 999) / 1000);
		(void)printf("    tried again in %s\n", pause);
	}
}

static size_t print_items(const struct cli *cli, const json_t *items)
{
	const json_t *item;
	size_t i, n = 0;

	json_array_foreach(items, i, item) {
		if (!is_meant(cli, item))
			continue;
		print_item(item);
		n++;
	}
	return n;
}

static void print_change(const json_t *c)
{
	char object[NAME_MAX_BYTES + 40];

	object_text(c, text_is(c, "what", "connection"), object, sizeof(object));
	(void)printf("  %s  %s: %s %s -> %s, by %s%s%s\n", get_text(c, "time"), object,
		     get_text(c, "what"), get_text(c, "from"), get_text(c, "to"),
		     get_text(c, "by"), get_text(c, "reason")[0] ? ": " : "",
		     get_text(c, "reason"));
}

static void print_changes(const struct cli *cli, const json_t *changes)
{
	size_t i, n = 0, from = 0;
	const json_t *c;

	json_array_foreach(changes, i, c)
		n += is_meant(cli, c);
	if (!cli->verbose && n > CHANGES_SHOWN)
		from = n - CHANGES_SHOWN;
	(void)printf("\nLast changes%s, the newest last:\n", from ? " (--verbose: all)" : "");
	if (!n)
		(void)printf("  none since the daemon was started\n");
	n = 0;
	json_array_foreach(changes, i, c) {
		if (is_meant(cli, c) && n++ >= from)
			print_change(c);
	}
}

static int print_primary(const struct cli *cli, const json_t *why)
{
	const json_t *primary = json_object_get(why, "primary");
	bool possible = get_bool(primary, "possible");

	if (text_is(why, "role", "Primary")) {
		(void)printf("%s is Primary\n", get_text(why, "node"));
		return EXIT_OK;
	}
	(void)printf("%s could %sbecome Primary now%s\n", get_text(why, "node"),
		     possible ? "" : "not ",
		     possible ? ", unless a peer that has it open for reading refuses" : ":");
	(void)print_items(cli, get_array(primary, "items"));
	return possible ? EXIT_OK : EXIT_REFUSED;
}

static void print_why(const struct cli *cli, const json_t *why)
{
	const char *reason = get_text(why, "reason");

	(void)printf("%s on %s, %s: %s%s%s\n", get_text(why, "name"), get_text(why, "node"),
		     get_text(why, "role"), get_text(why, "verdict"), reason[0] ? ": " : "",
		     reason);
	if (!print_items(cli, get_array(why, "items")))
		(void)printf("  everything is as it should be\n");
	print_changes(cli, get_array(why, "changes"));
}

int why_fetch(struct cli *cli, json_t **why)
{
	char *escaped = curl_easy_escape(NULL, cli->resource, 0);
	char path[API_PATH_BYTES_MAX];
	struct err err = ERR_INIT;
	int rc;

	(void)str_format(path, sizeof(path), "/v1/why/%s", escaped ? escaped : "");
	curl_free(escaped);
	rc = client_call(cli, path, NULL, why, &err);
	return rc ? cli_fail(rc, "%s", err.text) : EXIT_OK;
}

int cmd_why(struct cli *cli)
{
	bool primary = str_eq(cli->operand, "primary");
	json_t *why = NULL;
	int rc;

	if (cli->operand[0] && !primary)
		return cli_fail(EXIT_USAGE, "why: '%s' is not 'primary'; see 'drbdctl help why'",
				cli->operand);
	rc = why_fetch(cli, &why);
	if (rc)
		return rc;
	if (cli->json) {
		(void)json_dumpf(why, stdout, JSON_INDENT(1));
		(void)printf("\n");
		rc = primary && !get_bool(json_object_get(why, "primary"), "possible") ?
			     EXIT_REFUSED : EXIT_OK;
	} else if (primary) {
		rc = print_primary(cli, why);
	} else {
		print_why(cli, why);
	}
	json_decref(why);
	return rc;
}
