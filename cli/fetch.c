/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the question for one resource, and what to say when it is not up. */
#include "fetch.h"

#include "client.h"
#include "json_get.h"

int fetch_resource(struct cli *cli, json_t **array, const json_t **resource)
{
	struct err err = ERR_INIT;
	int rc = client_status(cli, cli->resource, array, &err);

	if (rc)
		return cli_fail(rc, "%s", err.text);
	*resource = json_array_get(*array, 0);
	if (!text_is(*resource, "verdict", "DOWN"))
		return EXIT_OK;
	json_decref(*array);
	return cli_fail(EXIT_ERROR, "%s %s: the resource is down; start it with 'drbdctl up'",
			cli->command_name, cli->resource);
}
