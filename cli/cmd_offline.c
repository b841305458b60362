/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the volumes that the commands on metadata are about in the configuration. */
#include "commands.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "cmd_meta.h"

static enum md_place place_of(enum conf_meta meta)
{
	switch (meta) {
	case CONF_META_INTERNAL:
		return MD_PLACE_INTERNAL;
	case CONF_META_FLEXIBLE:
		return MD_PLACE_EXTERNAL;
	case CONF_META_INDEXED:
		return MD_PLACE_INDEXED;
	}
	ASSERT(false); /* place in range */
	return MD_PLACE_INTERNAL;
}

static void fill_peers(const struct conf_resource *res, const struct conf_node *self,
		       unsigned volume_idx, struct meta_target *target)
{
	target->peer_count = 0;
	for (unsigned i = 0; i < res->node_count; i++) {
		const struct conf_node *node = &res->nodes[i];

		if (node == self)
			continue;
		target->peers[target->peer_count++] =
			(struct meta_peer){ .name = node->name,
					    .node_id = node->node_id,
					    .has_disk = node->volumes[volume_idx].disk[0] };
	}
}

static int nothing_to_do(const struct cli *cli, const struct conf_resource *res,
			 const struct conf_node *self)
{
	if (cli->vnr < 0)
		return cli_fail(EXIT_ERROR, "%s %s: node '%s' has no disk for any volume",
				cli->command_name, res->name, self->name);
	for (unsigned i = 0; i < res->volume_count; i++) {
		if (res->vnr[i] == cli->vnr)
			return cli_fail(EXIT_ERROR, "%s %s/%d: node '%s' has no disk for it",
					cli->command_name, res->name, cli->vnr, self->name);
	}
	return cli_fail(EXIT_ERROR, "%s %s/%d: the resource has no such volume in %s:%u",
			cli->command_name, res->name, cli->vnr, res->file, res->line);
}

static int each_volume(struct cli *cli,
		       int (*run)(const struct cli *cli, const struct meta_target *target))
{
	const struct conf_resource *res;
	const struct conf_node *self;
	unsigned done = 0;
	int rc = cli_load_resource(cli, &res, &self);

	for (unsigned i = 0; rc == EXIT_OK && i < res->volume_count; i++) {
		const struct conf_node_volume *v = &self->volumes[i];
		char title[NAME_MAX_BYTES + 32];
		struct meta_target target = {
			.title = title,
			.where = { .data_path = v->disk,
				   .place = place_of(v->meta),
				   .meta_path = v->meta_device[0] ? v->meta_device : NULL,
				   .index = v->meta_index },
			.node_id = self->node_id,
		};

		if (!v->disk[0] || (cli->vnr >= 0 && res->vnr[i] != cli->vnr))
			continue;
		(void)str_format(title, sizeof(title), "%s %s/%u", cli->command_name, res->name,
				 res->vnr[i]);
		target.name = title + strlen(cli->command_name) + 1;
		fill_peers(res, self, i, &target);
		rc = run(cli, &target);
		done++;
	}
	if (rc == EXIT_OK && !done)
		return nothing_to_do(cli, res, self);
	return rc;
}

int cmd_offline_create_md(struct cli *cli)
{
	if (!cli->from_v08 && cli->peer[0])
		return cli_fail(EXIT_USAGE, "create-md: --peer goes with --from-v08");
	if (cli->from_v08 && cli->max_peers != CLI_PEERS_MAX_UNSET)
		return cli_fail(EXIT_USAGE, "create-md: metadata converted from v08 has one bitmap "
					    "slot: --max-peers does not go with --from-v08");
	return each_volume(cli, cli->from_v08 ? cmd_convert_md : cmd_create_md);
}

int cmd_offline_dump_md(struct cli *cli)
{
	return each_volume(cli, cmd_dump_md);
}

int cmd_offline_restore_md(struct cli *cli)
{
	return each_volume(cli, cmd_restore_md);
}

int cmd_offline_apply_al(struct cli *cli)
{
	return each_volume(cli, cmd_apply_al);
}

int cmd_offline_wipe_md(struct cli *cli)
{
	return each_volume(cli, cmd_wipe_md);
}

int cmd_offline_get_gi(struct cli *cli)
{
	return each_volume(cli, cmd_get_gi);
}

int cmd_offline_show_gi(struct cli *cli)
{
	return each_volume(cli, cmd_show_gi);
}

int cmd_offline_set_gi(struct cli *cli)
{
	return each_volume(cli, cmd_set_gi);
}
