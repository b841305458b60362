/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the volumes that create-md and dump-md are about in the configuration. */
#include "commands.h"

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

/* As many bitmap slots as other nodes have a disk for the volume, at least one. */
static unsigned peers_with_disk(const struct conf_resource *res, const struct conf_node *self,
				unsigned volume_idx)
{
	unsigned n = 0;

	for (unsigned i = 0; i < res->node_count; i++)
		n += &res->nodes[i] != self && res->nodes[i].volumes[volume_idx].disk[0];
	return n ? n : 1;
}

static int create(const struct cli *cli, const struct meta_target *target)
{
	return cmd_create_md(target, cli->force, cli->max_peers);
}

static int dump(const struct cli *cli, const struct meta_target *target)
{
	return cmd_dump_md(target, cli->force);
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
		char name[NAME_MAX_BYTES + 8];
		struct meta_target target = {
			.name = name,
			.where = { .data_path = v->disk,
				   .place = place_of(v->meta),
				   .meta_path = v->meta_device[0] ? v->meta_device : NULL,
				   .index = v->meta_index },
			.default_max_peers = peers_with_disk(res, self, i),
		};

		if (!v->disk[0] || (cli->vnr >= 0 && res->vnr[i] != cli->vnr))
			continue;
		(void)str_format(name, sizeof(name), "%s/%u", res->name, res->vnr[i]);
		rc = run(cli, &target);
		done++;
	}
	if (rc == EXIT_OK && !done)
		return nothing_to_do(cli, res, self);
	return rc;
}

int cmd_offline_create_md(struct cli *cli)
{
	return each_volume(cli, create);
}

int cmd_offline_dump_md(struct cli *cli)
{
	return each_volume(cli, dump);
}
