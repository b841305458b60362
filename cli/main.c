/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drbdctl: controls the daemon of this node, and makes metadata. */
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "base/assert.h"
#include "base/std_fds.h"
#include "base/str.h"
#include "client.h"
#include "commands.h"

const struct cli_command cli_commands[] = {
	{ "create-md", cmd_offline_create_md, TARGET_VOLUME_OPTIONAL,
	  OPT_FORCE | OPT_MAX_PEERS | OPT_FROM_V08 | OPT_PEER,
	  "write metadata onto the backing store of a volume that is down" },
	{ "dump-md", cmd_offline_dump_md, TARGET_VOLUME_OPTIONAL, OPT_FORCE | OPT_NO_MEMBERS,
	  "print the metadata of a volume that is down" },
	{ "restore-md", cmd_offline_restore_md, TARGET_VOLUME_FILE, OPT_FORCE,
	  "write metadata from a dump onto a volume that is down" },
	{ "apply-al", cmd_offline_apply_al, TARGET_VOLUME_OPTIONAL, 0,
	  "mark what was being written when this node crashed" },
	{ "wipe-md", cmd_offline_wipe_md, TARGET_VOLUME_OPTIONAL, OPT_FORCE,
	  "make the metadata of a volume that is down unfindable" },
	{ "get-gi", cmd_offline_get_gi, TARGET_PEER_VOLUMES, 0,
	  "print the generations of a volume that is down" },
	{ "show-gi", cmd_offline_show_gi, TARGET_PEER_VOLUMES, 0, "the same, explained" },
	{ "set-gi", cmd_offline_set_gi, TARGET_PEER_GI, OPT_FORCE,
	  "change the generations of a volume that is down" },
	{ "tls", cmd_tls, TARGET_TLS, 0,
	  "make a certificate authority (init), and certificates for nodes (issue)" },
	{ "status", cmd_status, TARGET_RES_OPTIONAL,
	  OPT_JSON | OPT_VERBOSE | OPT_STATISTICS | OPT_WATCH,
	  "how resources, volumes and connections are" },
	{ "why", cmd_why, TARGET_WHY, OPT_JSON | OPT_VERBOSE,
	  "what is not as it should be, who has to act and how; the last changes" },
	{ "split-brain", cmd_split_brain, TARGET_RES, OPT_JSON,
	  "what each of two nodes has changed alone, and how to go on" },
	{ "resolve", cmd_resolve, TARGET_RES, OPT_KEEP | OPT_VOLUME | OPT_SAVE | OPT_TIMEOUT,
	  "end a split brain: this node takes over, or hands out, the data of NODE" },
	{ "apply-undo", cmd_apply_undo, TARGET_UNDO, 0,
	  "write what resolve has saved to a volume's file, or only look at it" },
	{ "up", cmd_resource, TARGET_RES_OR_ALL, 0, "attach all volumes, connect to all peers" },
	{ "down", cmd_resource, TARGET_RES_OR_ALL, OPT_FORCE,
	  "disconnect and detach; must not be in use" },
	{ "adjust", cmd_resource, TARGET_RES_OR_ALL, 0,
	  "read the configuration again and follow it" },
	{ "attach", cmd_volume, TARGET_VOLUME_OPTIONAL, 0, "take the local disk into use" },
	{ "detach", cmd_volume, TARGET_VOLUME_OPTIONAL, OPT_FORCE,
	  "give the local disk up; I/O goes on through the peers" },
	{ "connect", cmd_peer, TARGET_PEER_OPTIONAL, OPT_DISCARD, "connect to a peer, or all" },
	{ "disconnect", cmd_peer, TARGET_PEER_OPTIONAL, OPT_FORCE,
	  "disconnect from a peer, or all" },
	{ "primary", cmd_resource, TARGET_RES, OPT_FORCE, "become the node that uses the data" },
	{ "secondary", cmd_resource, TARGET_RES, OPT_FORCE, "give that up" },
	{ "suspend-io", cmd_resource, TARGET_RES, 0, "let reads and writes wait" },
	{ "resume-io", cmd_resource, TARGET_RES, 0,
	  "let them go on; what waits for data out of reach fails, a peer counts as fenced" },
	{ "invalidate", cmd_volume, TARGET_VOLUME_OPTIONAL, OPT_RESET,
	  "distrust the local copy: fetch all of it from a peer" },
	{ "outdate", cmd_volume, TARGET_VOLUME_OPTIONAL, OPT_FOR,
	  "another node goes on without this one: its data are old from now on" },
	{ "invalidate-remote", cmd_volume, TARGET_PEER, OPT_RESET,
	  "distrust a peer's copy: send all of it" },
	{ "pause-sync", cmd_peer_volumes, TARGET_PEER_VOLUMES, 0,
	  "let no resync with a peer go on" },
	{ "resume-sync", cmd_peer_volumes, TARGET_PEER_VOLUMES, 0, "let them go on again" },
	{ "verify", cmd_peer_volumes, TARGET_PEER_VOLUMES, OPT_START | OPT_STOP | OPT_ABORT |
	  OPT_REPAIR, "compare with the peers while in use; mark what differs" },
	{ "resize", cmd_volume, TARGET_VOLUME, OPT_SIZE | OPT_CLEAN | OPT_HAS_SPACE,
	  "take larger disks into use; or make the volume smaller, to --size" },
	{ "forget-peer", cmd_resource, TARGET_NODE_ID, 0,
	  "give back the bitmap slot of a node that is no peer any more" },
	{ "new-current-uuid", cmd_volume, TARGET_VOLUME, OPT_CLEAR,
	  "begin a new generation of the data" },
	{ "wait-sync", cmd_wait_sync, TARGET_PEER_OPTIONAL, OPT_TIMEOUT,
	  "wait until no resync runs" },
	{ "wait-connect", cmd_wait_connect, TARGET_PEER_OPTIONAL, OPT_TIMEOUT,
	  "wait until the peers are connected" },
	{ "role", cmd_role, TARGET_RES, 0, "print Primary or Secondary" },
	{ "dstate", cmd_dstate, TARGET_VOLUME_OPTIONAL, 0,
	  "print disk states: the local one, then the peers'" },
	{ "cstate", cmd_cstate, TARGET_PEER_OPTIONAL, 0, "print connection states" },
	{ "version", cmd_version, TARGET_NONE, 0, "print the versions" },
	{ "shutdown", cmd_shutdown, TARGET_NONE, 0, "end the daemon of this node" },
	{ "help", cmd_help, TARGET_COMMAND_OPTIONAL, 0, "print this, or all about a command" },
};
const unsigned cli_command_count = ARRAY_LEN(cli_commands);

int cli_fail(int code, const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fputs("drbdctl: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return code;
}

int cli_load(struct cli *cli)
{
	struct conf_messages messages = { 0 };
	struct err err = ERR_INIT;
	char file[CONF_PATH_MAX];

	if (cli->conf)
		return EXIT_OK;
	conf_default_file(file);
	cli->conf = conf_load(cli->conf_file ? cli->conf_file : file, &messages);
	conf_messages_print(&messages, stderr);
	conf_messages_clear(&messages);
	if (!cli->conf)
		return EXIT_ERROR;
	if (conf_node_select(cli->conf, cli->node, cli->node_name, &err))
		return cli_fail(EXIT_ERROR, "%s", err.text);
	return EXIT_OK;
}

static int resource_unknown(struct cli *cli)
{
	struct str_nearest n = { .wanted = cli->resource };

	for (unsigned i = 0; i < cli->conf->resource_count; i++)
		str_nearest_try(&n, cli->conf->resources[i].name);
	return cli_fail(EXIT_ERROR, "%s: %s: No such resource in %s%s%s", cli->command_name,
			cli->resource, cli->conf->file, n.best ? ", did you mean " : "",
			n.best ? n.best : "");
}

int cli_load_resource(struct cli *cli, const struct conf_resource **res,
		      const struct conf_node **node)
{
	int rc = cli_load(cli);

	if (rc)
		return rc;
	*res = conf_resource_find(cli->conf, cli->resource);
	if (!*res)
		return resource_unknown(cli);
	*node = conf_node_find(*res, cli->node_name);
	if (!*node)
		return cli_fail(EXIT_ERROR,
				"%s: '%s' not defined in your config (for this host, '%s'); its "
				"nodes are in %s:%u, -n names another one",
				cli->command_name, cli->resource, cli->node_name, (*res)->file,
				(*res)->line);
	return EXIT_OK;
}

int cmd_help(struct cli *cli)
{
	const struct cli_command *command =
		cli->resource[0] ? args_command(cli->resource) : NULL;

	if (cli->resource[0] && !command)
		return args_command_unknown(cli->resource);
	args_help(stdout, command);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	int rc;

	std_fds_occupy();
	rc = args_parse(argc, argv, &cli);
	if (rc != EXIT_OK)
		return rc;
	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return cli_fail(EXIT_USAGE, "libcurl cannot be initialised");
	rc = cli.command->run(&cli);
	client_close(&cli);
	conf_free(cli.conf);
	curl_global_cleanup();
	if (fflush(stdout) && rc == EXIT_OK)
		rc = cli_fail(EXIT_USAGE, "cannot write to standard output");
	return rc;
}
