/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve: the whole repair of a split brain, on the node that gives its data up or on one that has
 * those that are kept. Each step may find that it is done already.
 */
#include "commands.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "base/str.h"
#include "client.h"
#include "fetch.h"
#include "json_get.h"
#include "out_status.h"
#include "wait.h"
#include "why.h"

#define POLL_MS 200
#define SILENT_MS 2000 /* then it says for whom it waits */

struct resolve {
	struct cli *cli;
	json_t *why;                  /* as it was to begin with */
	char save_to[PATH_MAX];       /* "" = not saved */
	uint64_t end_ms;              /* 0 = no limit */
	bool told;                    /* for whom it waits */
	unsigned parted_count;
	char parted[NODES_MAX][NAME_MAX_BYTES]; /* disconnected here, to be connected again */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- requests ---- */

/* Takes the body; the peer is added. A failure is printed. */
static int post(struct resolve *r, const char *command, const char *peer, json_t *body)
{
	char *escaped = curl_easy_escape(NULL, r->cli->resource, 0);
	char path[API_PATH_BYTES_MAX];
	json_t *reply = NULL;
	struct err err = ERR_INIT;
	int rc;

	(void)str_format(path, sizeof(path), "/v1/resources/%s/%s", escaped ? escaped : "",
			 command);
	curl_free(escaped);
	(void)json_object_set_new(body, "peer", json_string(peer));
	rc = client_call(r->cli, path, body, &reply, &err);
	json_decref(body);
	json_decref(reply);
	return rc ? cli_fail(rc, "%s", err.text) : EXIT_OK;
}

static const json_t *connection_of(const json_t *resource, const char *peer)
{
	const json_t *connection;
	size_t i;

	json_array_foreach(get_array(resource, "connections"), i, connection) {
		if (text_is(connection, "name", peer))
			return connection;
	}
	return NULL;
}

static bool is_connected(const json_t *connection)
{
	return text_is(connection, "connection-state", "Connected");
}

static bool is_standalone(const json_t *connection)
{
	return text_is(connection, "connection-state", "StandAlone");
}

/* ---- waiting ---- */

static void tell_once(struct resolve *r, const char *peer)
{
	if (r->told)
		return;
	r->told = true;
	(void)printf("waiting for %s; there: drbdctl resolve %s --keep %s\n", peer,
		     r->cli->resource, r->cli->keep);
	(void)fflush(stdout);
}

/* False: the time is up. */
static bool pause_poll(const struct resolve *r)
{
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

	if (r->end_ms && now_ms() >= r->end_ms)
		return false;
	(void)nanosleep(&pause, NULL);
	return true;
}

/* One look at a connection that is to be made and synced. EXIT_TIMED_OUT: not yet. */
static int look(struct resolve *r, const char *peer, bool again, uint64_t begun_ms)
{
	const json_t *resource, *connection;
	char missing[512] = "";
	json_t *array;
	int rc = fetch_resource(r->cli, &array, &resource);

	if (rc)
		return rc;
	connection = connection_of(resource, peer);
	if (is_connected(connection)) {
		rc = wait_done(resource, peer, true, missing, sizeof(missing)) ? EXIT_OK :
										 EXIT_TIMED_OUT;
	} else if (!is_standalone(connection)) {
		rc = EXIT_TIMED_OUT;
	} else if (again) {
		/* Refused: the peer was not told to give its data up yet. */
		rc = post(r, "connect", peer, json_object());
		rc = rc ? rc : EXIT_TIMED_OUT;
	} else {
		rc = cli_fail(EXIT_REFUSED, "resolve %s: %s: %s", r->cli->resource, peer,
			      get_text(connection, "reason"));
	}
	if (rc == EXIT_TIMED_OUT && !is_connected(connection) && now_ms() - begun_ms > SILENT_MS)
		tell_once(r, peer);
	json_decref(array);
	return rc;
}

static int wait_synced(struct resolve *r, const char *peer, bool again)
{
	uint64_t begun_ms = now_ms();

	for (;;) {
		int rc = look(r, peer, again, begun_ms);

		if (rc != EXIT_TIMED_OUT)
			return rc;
		if (!pause_poll(r))
			return cli_fail(EXIT_TIMED_OUT,
					"resolve %s: not connected and in sync with %s within "
					"%u s; 'drbdctl why %s:%s' tells why", r->cli->resource,
					peer, r->cli->timeout_s, r->cli->resource, peer);
	}
}

/* ---- the node that gives its data up ---- */

/* While it is saved nobody else may write to the volume. */
static int part_from_others(struct resolve *r, const json_t *resource)
{
	const json_t *connection;
	int sum = EXIT_OK;
	size_t i;

	json_array_foreach(get_array(resource, "connections"), i, connection) {
		const char *name = get_text(connection, "name");
		int rc;

		if (is_standalone(connection) || str_eq(name, r->cli->keep) ||
		    r->parted_count == NODES_MAX)
			continue;
		rc = post(r, "disconnect", name, json_object());
		if (rc)
			sum = rc;
		else
			(void)str_copy(r->parted[r->parted_count++], NAME_MAX_BYTES, name);
	}
	return sum;
}

static int rejoin_others(struct resolve *r)
{
	int sum = EXIT_OK;

	for (unsigned i = 0; i < r->parted_count; i++) {
		int rc = post(r, "connect", r->parted[i], json_object());

		sum = rc ? rc : sum;
	}
	return sum;
}

static int give_up(struct resolve *r, const json_t *resource, const json_t *connection)
{
	const char *keep = r->cli->keep;
	json_t *body;
	int rc = EXIT_OK;

	if (text_is(resource, "role", "Primary"))
		return cli_fail(EXIT_REFUSED,
				"resolve %s: this node is Primary, its data are in use; end that "
				"first: drbdctl secondary %s", r->cli->resource, r->cli->resource);
	if (r->save_to[0])
		rc = part_from_others(r, resource);
	if (rc == EXIT_OK && !is_standalone(connection))
		rc = post(r, "disconnect", keep, json_object());
	if (rc != EXIT_OK)
		return rc;
	body = json_pack("{s:b}", "discard-my-data", 1);
	if (r->save_to[0])
		(void)json_object_set_new(body, "save-to", json_string(r->save_to));
	if (r->cli->only_vnr >= 0)
		(void)json_object_set_new(body, "only-volume", json_integer(r->cli->only_vnr));
	rc = post(r, "connect", keep, body);
	return rc ? rc : wait_synced(r, keep, false);
}

/* ---- a node that has the data that are kept ---- */

static bool is_split(const json_t *connection)
{
	const char *reason = get_text(connection, "reason");

	return is_standalone(connection) &&
	       (strcasestr(reason, "split brain") || strcasestr(reason, "ended the connection"));
}

/* Also while it tries to connect again. */
static bool split_known(const struct resolve *r, const char *peer)
{
	const json_t *split;
	size_t i;

	json_array_foreach(get_array(r->why, "split-brains"), i, split) {
		if (text_is(json_array_get(get_array(split, "sides"), 1), "node", peer))
			return true;
	}
	return false;
}

/* The losers come to us, each in its own time; all are waited for where `wait` says so. */
static int receive_losers(struct resolve *r, bool wait)
{
	const json_t *resource, *connection;
	json_t *array;
	int sum = fetch_resource(r->cli, &array, &resource);
	bool any = false;
	size_t i;

	if (sum)
		return sum;
	json_array_foreach(get_array(resource, "connections"), i, connection) {
		const char *name = get_text(connection, "name");
		int rc = EXIT_OK;

		if (str_eq(name, r->cli->keep) || is_connected(connection) ||
		    !(is_split(connection) || split_known(r, name)))
			continue;
		any = true;
		r->told = false;
		if (is_standalone(connection))
			rc = post(r, "connect", name, json_object());
		if (rc == EXIT_OK && wait)
			rc = wait_synced(r, name, true);
		sum = rc ? rc : sum;
	}
	if (wait && !any)
		(void)printf("no split brain is known here\n");
	json_decref(array);
	return sum;
}

/* ---- all of it ---- */

static int absolute_path(struct resolve *r)
{
	const char *given = r->cli->save_to;
	char cwd[PATH_MAX];

	if (!given)
		return EXIT_OK;
	if (given[0] == '/' ? str_copy(r->save_to, sizeof(r->save_to), given) :
			      getcwd(cwd, sizeof(cwd)) &&
				      str_format(r->save_to, sizeof(r->save_to), "%s/%s", cwd,
						 given))
		return EXIT_OK;
	return cli_fail(EXIT_USAGE, "resolve: --save-loser '%s' is no path that can be used",
			given);
}

static int resolve_here(struct resolve *r, const json_t *resource, const json_t *connection)
{
	int rc, rejoined;

	if (is_connected(connection)) {
		if (r->save_to[0])
			(void)printf("connected with %s already: there is nothing to save\n",
				     r->cli->keep);
		rc = wait_synced(r, r->cli->keep, false);
	} else {
		rc = give_up(r, resource, connection);
	}
	rejoined = rejoin_others(r);
	if (rc == EXIT_OK)
		rc = rejoined;
	return rc ? rc : receive_losers(r, false);
}

static int resolve(struct resolve *r)
{
	const json_t *resource, *connection;
	json_t *array;
	int rc = fetch_resource(r->cli, &array, &resource);

	if (rc)
		return rc;
	connection = connection_of(resource, r->cli->keep);
	if (text_is(r->why, "node", r->cli->keep) && r->save_to[0])
		rc = cli_fail(EXIT_USAGE, "resolve %s: --save-loser is for the node whose data "
					  "are given up; run it there", r->cli->resource);
	else if (text_is(r->why, "node", r->cli->keep))
		rc = receive_losers(r, true);
	else if (!connection)
		rc = cli_fail(EXIT_ERROR, "resolve %s: '%s' is no node of the resource",
			      r->cli->resource, r->cli->keep);
	else
		rc = resolve_here(r, resource, connection);
	json_decref(array);
	return rc;
}

int cmd_resolve(struct cli *cli)
{
	struct resolve *r;
	int rc;

	if (!cli->keep)
		return cli_fail(EXIT_USAGE, "resolve: --keep NODE is missing; 'drbdctl "
					    "split-brain %s' shows what each has changed",
				cli->resource);
	r = calloc(1, sizeof(*r));
	if (!r)
		return cli_fail(EXIT_USAGE, "resolve: no memory");
	r->cli = cli;
	r->end_ms = cli->timeout_s ? now_ms() + (uint64_t)cli->timeout_s * 1000 : 0;
	rc = absolute_path(r);
	if (rc == EXIT_OK)
		rc = why_fetch(cli, &r->why);
	if (rc == EXIT_OK)
		rc = resolve(r);
	json_decref(r->why);
	free(r);
	return rc;
}
