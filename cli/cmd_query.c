/* SPDX-License-Identifier: GPL-2.0-or-later */
/* role, dstate, cstate, version: one word per line, for scripts (config-and-utilities 3.5). */
#include "commands.h"

#include <stdio.h>

#include "client.h"
#include "fetch.h"
#include "json_get.h"

int cmd_role(struct cli *cli)
{
	const json_t *resource;
	json_t *array;
	int rc = fetch_resource(cli, &array, &resource);

	if (rc)
		return rc;
	(void)puts(get_text(resource, "role"));
	json_decref(array);
	return EXIT_OK;
}

/* The peer's disk state of a volume; DUnknown when it is not connected. */
static const char *peer_disk(const json_t *connection, json_int_t volume)
{
	const json_t *d;
	size_t i;

	json_array_foreach(get_array(connection, "peer_devices"), i, d) {
		if (get_int(d, "volume") == volume)
			return get_text(d, "peer-disk-state");
	}
	return "DUnknown";
}

int cmd_dstate(struct cli *cli)
{
	const json_t *resource, *device, *connection;
	json_t *array;
	bool found = false;
	size_t i, k;
	int rc = fetch_resource(cli, &array, &resource);

	if (rc)
		return rc;
	json_array_foreach(get_array(resource, "devices"), i, device) {
		json_int_t volume = get_int(device, "volume");

		if (cli->vnr >= 0 && volume != cli->vnr)
			continue;
		found = true;
		(void)printf("%s", get_text(device, "disk-state"));
		json_array_foreach(get_array(resource, "connections"), k, connection)
			(void)printf("/%s", peer_disk(connection, volume));
		(void)putchar('\n');
	}
	json_decref(array);
	if (cli->vnr >= 0 && !found)
		return cli_fail(EXIT_ERROR, "dstate %s/%d: the resource has no such volume",
				cli->resource, cli->vnr);
	return EXIT_OK;
}

int cmd_cstate(struct cli *cli)
{
	const json_t *resource, *connection;
	json_t *array;
	bool found = false;
	size_t i;
	int rc = fetch_resource(cli, &array, &resource);

	if (rc)
		return rc;
	json_array_foreach(get_array(resource, "connections"), i, connection) {
		if (cli->peer[0] && !text_is(connection, "name", cli->peer))
			continue;
		(void)puts(get_text(connection, "connection-state"));
		found = true;
	}
	json_decref(array);
	if (cli->peer[0] && !found)
		return cli_fail(EXIT_ERROR, "cstate %s:%s: the resource has no such peer",
				cli->resource, cli->peer);
	return EXIT_OK;
}

int cmd_version(struct cli *cli)
{
	struct err err = ERR_INIT;
	json_t *reply;

	(void)printf("drbdctl %s\n", DRBDFS_VERSION);
	/* The version of this program is known even when no daemon runs. */
	if (client_call(cli, "/v1/version", NULL, &reply, &err))
		return EXIT_OK;
	(void)printf("drbdfs %s (running; DRBD protocol %lld-%lld, control interface v%lld)\n",
		     get_text(reply, "version"), (long long)get_int(reply, "protocol-min"),
		     (long long)get_int(reply, "protocol-max"), (long long)get_int(reply, "api"));
	json_decref(reply);
	return EXIT_OK;
}
