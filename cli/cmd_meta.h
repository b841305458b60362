/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offline commands on the metadata of one volume of this node. */
#ifndef CMD_META_H
#define CMD_META_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/md_store.h"

/* A volume as the configuration has it; strings are borrowed. */
struct meta_target {
	const char *name;           /* "RES/VOL", for messages */
	struct md_where where;
	unsigned default_max_peers; /* without --max-peers */
};

/* create-md; max_peers 0 = the default. Returns the exit code, messages on stdout and stderr. */
int cmd_create_md(const struct meta_target *target, bool force, unsigned max_peers);
/* dump-md on stdout; force: also while the activity log is unclean. Returns the exit code. */
int cmd_dump_md(const struct meta_target *target, bool force);

#endif
