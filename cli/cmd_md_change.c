/* SPDX-License-Identifier: GPL-2.0-or-later */
/* restore-md, apply-al, wipe-md and create-md --from-v08. */
#include "cmd_meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* ---- restore-md ---- */

static int read_file(void *ctx, char *buf, size_t room, size_t *got)
{
	FILE *f = ctx;

	*got = fread(buf, 1, room, f);
	return *got || !ferror(f) ? 0 : errno ? -errno : -EIO;
}

static void say_restored(const struct meta_target *target, const struct md_restored *restored)
{
	if (restored->sectors != restored->dumped_sectors)
		printf("%s: the agreed size of %" PRIu64 " sectors does not fit, %" PRIu64
		       " do\n",
		       target->name, restored->dumped_sectors, restored->sectors);
	printf("%s: %s restored on `%s`\n", target->name, meta_version_name(restored->version),
	       meta_store_path(target));
}

int cmd_restore_md(const struct cli *cli, const struct meta_target *target)
{
	bool standard_input = str_eq(cli->operand, "-");
	struct err err = ERR_INIT;
	struct md_restored restored;
	struct md_text_source source = { .read = read_file };
	FILE *f = standard_input ? stdin : fopen(cli->operand, "re");
	int rc;

	if (!f)
		return cli_fail(EXIT_USAGE, "%s: cannot open the dump '%s': %s", target->title,
				cli->operand, strerror(errno));
	source.ctx = f;
	rc = md_offline_restore(&target->where, &source, cli->force, &restored, &err);
	if (!standard_input)
		(void)fclose(f);
	if (rc)
		return cli_fail(EXIT_ERROR, "%s: %s", target->title, err.text);
	say_restored(target, &restored);
	return EXIT_OK;
}

/* ---- apply-al ---- */

static void say_applied(const struct meta_target *target, const struct md_applied *applied)
{
	if (applied->was_clean)
		printf("%s: the activity log was clean, nothing to do\n", target->name);
	else if (applied->is_damaged)
		printf("%s: the activity log is damaged: everything is marked as out of sync\n",
		       target->name);
	else
		printf("%s: activity log applied: %" PRIu64 " extents of 4 MiB marked as out of "
		       "sync\n",
		       target->name, applied->extent_count);
}

int cmd_apply_al(const struct cli *cli, const struct meta_target *target)
{
	struct err err = ERR_INIT;
	struct md_applied applied;
	struct md_store *store;
	struct md_view view;
	int rc = md_offline_open(&target->where, true, &store, &view, &err);

	(void)cli;
	if (rc)
		return meta_fail(target, rc, &err);
	rc = md_offline_apply(store, &applied, &err);
	md_store_close(store);
	if (rc)
		return cli_fail(EXIT_ERROR, "%s: %s", target->title, err.text);
	say_applied(target, &applied);
	return EXIT_OK;
}

/* ---- wipe-md ---- */

int cmd_wipe_md(const struct cli *cli, const struct meta_target *target)
{
	struct err err = ERR_INIT;
	struct md_store *store;
	struct md_view view;
	int rc;

	if (!cli->force) {
		rc = md_offline_open(&target->where, false, &store, &view, &err);
		if (!rc) {
			md_store_close(store);
			return cli_fail(EXIT_ERROR,
					"%s: `%s` has %s, and with it the record of what differs "
					"from the peers; if it is not needed any more, repeat with "
					"--force",
					target->name, meta_store_path(target),
					meta_version_name(view.version));
		}
	} else {
		rc = md_offline_wipe(&target->where, &err);
	}
	if (rc == -ENODATA) {
		printf("%s: there is no DRBD metadata on `%s`\n", target->name,
		       meta_store_path(target));
		return EXIT_OK;
	}
	if (rc)
		return cli_fail(EXIT_ERROR, "%s: %s", target->title, err.text);
	printf("%s: metadata wiped from `%s`\n", target->name, meta_store_path(target));
	return EXIT_OK;
}

/* ---- create-md --from-v08 ---- */

/* The node that --peer names, else the only other one with a disk, else the only other one. */
static const struct meta_peer *find_peer(const struct cli *cli, const struct meta_target *target)
{
	const struct meta_peer *with_disk = NULL;
	unsigned disks = 0;

	for (unsigned i = 0; i < target->peer_count; i++) {
		const struct meta_peer *peer = &target->peers[i];

		if (cli->peer[0] && str_eq(cli->peer, peer->name))
			return peer;
		if (peer->has_disk) {
			with_disk = peer;
			disks++;
		}
	}
	if (cli->peer[0])
		return NULL;
	return disks == 1		   ? with_disk
	       : target->peer_count == 1 ? &target->peers[0]
					 : NULL;
}

static int convert(const struct meta_target *target, struct md_store *store,
		   const struct meta_peer *peer)
{
	struct err err = ERR_INIT;
	struct md_applied applied;
	int rc = md_offline_convert(store, target->node_id, peer->node_id, &applied, &err);

	if (rc)
		return cli_fail(EXIT_ERROR, "%s: %s", target->title, err.text);
	if (!applied.was_clean)
		say_applied(target, &applied);
	printf("%s: metadata on `%s` converted from v08: %s is peer with bitmap slot 0\n",
	       target->name, meta_store_path(target), peer->name);
	return EXIT_OK;
}

int cmd_convert_md(const struct cli *cli, const struct meta_target *target)
{
	const struct meta_peer *peer = find_peer(cli, target);
	struct err err = ERR_INIT;
	struct md_store *store;
	struct md_view view;
	int rc;

	if (!peer && cli->peer[0])
		return cli_fail(EXIT_ERROR, "%s: there is no other node '%s'", target->title,
				cli->peer);
	if (!peer)
		return cli_fail(EXIT_ERROR,
				"%s: which node was the peer under DRBD 8? Name it with --peer",
				target->title);
	rc = md_offline_open(&target->where, true, &store, &view, &err);
	if (rc)
		return meta_fail(target, rc, &err);
	rc = convert(target, store, peer);
	md_store_close(store);
	return rc;
}
