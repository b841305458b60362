/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status. */
#include "commands.h"

#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "out_status.h"

int cmd_status(struct cli *cli)
{
	struct out_style style = {
		.tty = isatty(STDOUT_FILENO),
		.verbose = cli->verbose,
		.statistics = cli->statistics,
	};
	struct err err = ERR_INIT;
	json_t *reply;
	int rc;

	if (cli->watch)
		return watch_status(cli);
	rc = client_status(cli, cli->resource, &reply, &err);
	if (rc)
		return cli_fail(rc, "%s", err.text);
	style.colour = style.tty && !getenv("NO_COLOR");
	if (cli->json)
		rc = json_dumpf(reply, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(8)) ||
				     fputc('\n', stdout) == EOF ?
			     EXIT_USAGE : EXIT_OK;
	else
		out_status(stdout, reply, &style);
	json_decref(reply);
	return rc;
}
