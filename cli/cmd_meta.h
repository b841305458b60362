/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offline commands on the metadata of one volume of this node. */
#ifndef CMD_META_H
#define CMD_META_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"
#include "disk/md_offline.h"

/* Another node of the resource. */
struct meta_peer {
	const char *name;
	uint8_t node_id;
	bool has_disk; /* for this volume */
};

/* A volume as the configuration has it; strings are borrowed. */
struct meta_target {
	const char *name;           /* "RES/VOL", for messages */
	const char *title;          /* "COMMAND RES/VOL", for failures */
	struct md_where where;
	uint8_t node_id;            /* of this node */
	unsigned peer_count;
	struct meta_peer peers[NODES_MAX];
};

/* Each returns the exit code; messages go to stdout and stderr. */

/* cmd_meta.c */
int cmd_create_md(const struct cli *cli, const struct meta_target *target);
int cmd_dump_md(const struct cli *cli, const struct meta_target *target);
/* Says what went wrong; the exit code that goes with `rc`. */
int meta_fail(const struct meta_target *target, int rc, const struct err *err);
/* "on `FILE`" of messages: the store that has the metadata. */
const char *meta_store_path(const struct meta_target *target);

/* cmd_md_change.c */
int cmd_convert_md(const struct cli *cli, const struct meta_target *target);
int cmd_restore_md(const struct cli *cli, const struct meta_target *target);
int cmd_apply_al(const struct cli *cli, const struct meta_target *target);
int cmd_wipe_md(const struct cli *cli, const struct meta_target *target);

/* cmd_md_gi.c */
int cmd_get_gi(const struct cli *cli, const struct meta_target *target);
int cmd_show_gi(const struct cli *cli, const struct meta_target *target);
int cmd_set_gi(const struct cli *cli, const struct meta_target *target);

#endif
