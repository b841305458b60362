/* SPDX-License-Identifier: GPL-2.0-or-later */
/* create-md and dump-md. */
#include "cmd_meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "cli.h"
#include "meta/meta_text.h"

int meta_fail(const struct meta_target *target, int rc, const struct err *err)
{
	switch (rc) {
	case -EINVAL:
		return cli_fail(EXIT_USAGE, "%s: %s", target->title, err->text);
	case -ENODATA:
	case -EBADMSG:
	case -EMEDIUMTYPE:
		return cli_fail(EXIT_NO_METADATA, "%s: No valid meta data found: %s", target->title,
				err->text);
	default:
		return cli_fail(EXIT_ERROR, "%s: %s", target->title, err->text);
	}
}

const char *meta_store_path(const struct meta_target *target)
{
	return target->where.place == MD_PLACE_INTERNAL ? target->where.data_path
							: target->where.meta_path;
}

/* As many bitmap slots as other nodes have a disk for the volume, at least one. */
static unsigned slots_needed(const struct meta_target *target)
{
	unsigned n = 0;

	for (unsigned i = 0; i < target->peer_count; i++)
		n += target->peers[i].has_disk;
	return n ? n : 1;
}

int cmd_create_md(const struct cli *cli, const struct meta_target *target)
{
	unsigned max_peers = cli->max_peers == CLI_PEERS_MAX_UNSET ? slots_needed(target)
								   : cli->max_peers;
	struct err err = ERR_INIT;
	uint64_t sectors;
	int rc = md_store_create(&target->where, max_peers, cli->force, &sectors, &err);

	if (rc)
		return meta_fail(target, rc, &err);
	printf("%s: metadata for %u peers created on `%s`; %" PRIu64 " KiB for data\n",
	       target->name, max_peers, meta_store_path(target), sectors / 2);
	return EXIT_OK;
}

static int read_page(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	return md_store_read_bitmap_page(ctx, page, block);
}

static int emit(void *ctx, const char *text, size_t bytes)
{
	(void)ctx;
	return fwrite(text, 1, bytes, stdout) == bytes ? 0 : -EIO;
}

static int dump(struct md_store *store, const struct meta_target *target,
		const struct md_view *view, bool no_members)
{
	char date[64], host[256] = "", command[NAME_MAX_BYTES + 64];
	time_t now = time(NULL);
	struct tm tm;
	struct meta_text text = {
		.version = view->version,
		.super = &view->super,
		.super_byte = view->super_byte,
		.usable_sectors = view->dump_sectors,
		.no_members = no_members,
		.date = date,
		.time_s = (uint64_t)now,
		.host = host,
		.command = command,
		.read_page = read_page,
		.emit = emit,
		.ctx = store,
	};
	int rc;

	(void)localtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S %z", &tm);
	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(command, sizeof(command), "drbdctl dump-md %s", target->name);
	rc = meta_text_dump(&text);
	if (!rc && fflush(stdout) != 0)
		rc = -errno;
	if (rc)
		return cli_fail(EXIT_ERROR, "%s: the dump broke off: %s", target->title,
				strerror(-rc));
	return EXIT_OK;
}

int cmd_dump_md(const struct cli *cli, const struct meta_target *target)
{
	struct err err = ERR_INIT;
	struct md_store *store;
	struct md_view view;
	int rc = md_offline_open(&target->where, false, &store, &view, &err);

	if (rc)
		return meta_fail(target, rc, &err);
	if (!view.is_clean && !cli->force)
		rc = cli_fail(EXIT_NO_METADATA,
			      "%s: Found meta data is \"unclean\", please apply-al first: its "
			      "bitmap cannot be trusted yet; or repeat with --force",
			      target->name);
	else
		rc = dump(store, target, &view, cli->no_members);
	md_store_close(store);
	return rc;
}
