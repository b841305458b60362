/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All commands that change something: expands "all of them" and posts one request each. */
#include "commands.h"

#include <curl/curl.h>
#include <stdio.h>

#include "api/api.h"
#include "base/str.h"
#include "client.h"
#include "fetch.h"
#include "json_get.h"

/* Posts the command for one object; -1 and "" leave volume and peer out. */
static int post(struct cli *cli, const char *resource, int vnr, const char *peer)
{
	char *escaped = curl_easy_escape(NULL, resource, 0);
	json_t *body = json_object(), *reply = NULL;
	char path[API_PATH_BYTES_MAX];
	struct err err = ERR_INIT;
	int rc;

	(void)str_format(path, sizeof(path), "/v1/resources/%s/%s", escaped ? escaped : "",
			 cli->command_name);
	curl_free(escaped);
	if (vnr >= 0)
		(void)json_object_set_new(body, "volume", json_integer(vnr));
	if (peer[0])
		(void)json_object_set_new(body, "peer", json_string(peer));
	if (cli->for_node)
		(void)json_object_set_new(body, "for", json_string(cli->for_node));
	if (cli->force)
		(void)json_object_set_new(body, "force", json_true());
	if (cli->discard_my_data)
		(void)json_object_set_new(body, "discard-my-data", json_true());
	if (cli->clear_bitmap)
		(void)json_object_set_new(body, "clear-bitmap", json_true());
	if (cli->keep_bitmap)
		(void)json_object_set_new(body, "keep-bitmap", json_true());
	if (cli->abort)
		(void)json_object_set_new(body, "abort", json_true());
	if (cli->repair)
		(void)json_object_set_new(body, "repair", json_true());
	if (cli->has_start)
		(void)json_object_set_new(body, "start-sector",
					  json_integer((json_int_t)cli->start_sector));
	if (cli->stop_sector)
		(void)json_object_set_new(body, "stop-sector",
					  json_integer((json_int_t)cli->stop_sector));
	if (cli->has_node_id)
		(void)json_object_set_new(body, "node-id", json_integer(cli->node_id));
	if (cli->size_sectors)
		(void)json_object_set_new(body, "size-sectors",
					  json_integer((json_int_t)cli->size_sectors));
	if (cli->assume_clean)
		(void)json_object_set_new(body, "assume-clean", json_true());
	if (cli->assume_peer_has_space)
		(void)json_object_set_new(body, "assume-peer-has-space", json_true());
	rc = client_call(cli, path, body, &reply, &err);
	json_decref(body);
	json_decref(reply);
	return rc ? cli_fail(rc, "%s", err.text) : EXIT_OK;
}

/* The daemon reads its configuration again, so that its list has what is new there. */
static int reload(struct cli *cli)
{
	json_t *body = json_object(), *reply = NULL;
	struct err err = ERR_INIT;
	int rc = client_call(cli, "/v1/reload", body, &reply, &err);

	json_decref(body);
	json_decref(reply);
	return rc ? cli_fail(rc, "%s", err.text) : EXIT_OK;
}

/* The first failure decides; the others have been reported. */
static int worse(int sum, int rc)
{
	return sum ? sum : rc;
}

int cmd_resource(struct cli *cli)
{
	struct err err = ERR_INIT;
	const json_t *r;
	json_t *array;
	size_t i;
	int rc, sum = EXIT_OK;

	if (cli->resource[0])
		return post(cli, cli->resource, -1, "");
	rc = str_eq(cli->command_name, "adjust") ? reload(cli) : EXIT_OK;
	if (rc)
		return rc;
	rc = client_status(cli, "", &array, &err);
	if (rc)
		return cli_fail(rc, "%s", err.text);
	json_array_foreach(array, i, r)
		sum = worse(sum, post(cli, get_text(r, "name"), -1, ""));
	json_decref(array);
	return sum;
}

/* What is meant of the devices or the connections of the resource. */
static int post_each(struct cli *cli, const char *key,
		     int (*post_one)(struct cli *cli, const json_t *element))
{
	const json_t *resource, *element;
	json_t *array;
	size_t i;
	int sum = fetch_resource(cli, &array, &resource);

	if (sum)
		return sum;
	json_array_foreach(get_array(resource, key), i, element)
		sum = worse(sum, post_one(cli, element));
	json_decref(array);
	return sum;
}

/*
 * Does a command for "all volumes" mean this one? Attach those that can be, detach those that are.
 * What is for a peer does not depend on the disk here.
 */
static bool volume_is_meant(const struct cli *cli, const json_t *device)
{
	bool has_backing = json_is_object(json_object_get(device, "backing"));
	bool diskless = text_is(device, "disk-state", "Diskless");

	if (cli->peer[0])
		return true;
	if (str_eq(cli->command_name, "attach"))
		return has_backing && diskless;
	if (str_eq(cli->command_name, "detach"))
		return has_backing && !diskless;
	return has_backing;
}

static int post_device(struct cli *cli, const json_t *device)
{
	if (!volume_is_meant(cli, device))
		return EXIT_OK;
	return post(cli, cli->resource, (int)get_int(device, "volume"), cli->peer);
}

int cmd_volume(struct cli *cli)
{
	if (cli->vnr >= 0)
		return post(cli, cli->resource, cli->vnr, cli->peer);
	return post_each(cli, "devices", post_device);
}

/* Of a connection that is meant: the volumes that both have on disk. */
static int post_volumes(struct cli *cli, const json_t *connection)
{
	const json_t *device;
	size_t i;
	int sum = EXIT_OK;

	if (cli->peer[0] && !text_is(connection, "name", cli->peer))
		return EXIT_OK;
	json_array_foreach(get_array(connection, "peer_devices"), i, device) {
		int vnr = (int)get_int(device, "volume");

		if (!get_bool(device, "peer-client") && (cli->vnr < 0 || cli->vnr == vnr))
			sum = worse(sum, post(cli, cli->resource, vnr,
					      get_text(connection, "name")));
	}
	return sum;
}

int cmd_peer_volumes(struct cli *cli)
{
	if (cli->peer[0] && cli->vnr >= 0)
		return post(cli, cli->resource, cli->vnr, cli->peer);
	return post_each(cli, "connections", post_volumes);
}

static int post_connection(struct cli *cli, const json_t *connection)
{
	return post(cli, cli->resource, -1, get_text(connection, "name"));
}

int cmd_peer(struct cli *cli)
{
	if (cli->peer[0])
		return post(cli, cli->resource, -1, cli->peer);
	return post_each(cli, "connections", post_connection);
}

int cmd_shutdown(struct cli *cli)
{
	json_t *body = json_object(), *reply = NULL;
	struct err err = ERR_INIT;
	int rc = client_call(cli, "/v1/shutdown", body, &reply, &err);

	json_decref(body);
	json_decref(reply);
	return rc ? cli_fail(rc, "%s", err.text) : EXIT_OK;
}
