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

int cmd_create_md(const struct meta_target *target, bool force, unsigned max_peers)
{
	struct err err = ERR_INIT;
	uint64_t sectors;
	int rc;

	if (max_peers == 0)
		max_peers = target->default_max_peers;
	rc = md_store_create(&target->where, max_peers, force, &sectors, &err);
	if (rc)
		return cli_fail(rc == -EINVAL ? EXIT_USAGE : EXIT_ERROR, "%s: %s", target->name,
				err.text);
	printf("%s: metadata for %u peers created on `%s`; %" PRIu64 " KiB for data\n",
	       target->name, max_peers,
	       target->where.place == MD_PLACE_INTERNAL ? target->where.data_path
							: target->where.meta_path,
	       sectors / 2);
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
		const struct md_inspect *inspect)
{
	char date[64], host[256] = "", command[NAME_MAX_BYTES + 64];
	time_t now = time(NULL);
	struct tm tm;
	struct meta_text text = {
		.super = &inspect->super,
		.super_byte = inspect->super_byte,
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
		return cli_fail(EXIT_ERROR, "%s: the dump broke off: %s", target->name,
				strerror(-rc));
	return EXIT_OK;
}

int cmd_dump_md(const struct meta_target *target, bool force)
{
	struct err err = ERR_INIT;
	struct md_inspect inspect;
	struct md_store *store;
	int rc = md_store_inspect(&target->where, &store, &inspect, &err);

	if (rc)
		return cli_fail(EXIT_ERROR, "%s: %s", target->name, err.text);
	if (!(inspect.super.flags & MDF_AL_CLEAN) && !force)
		rc = cli_fail(EXIT_ERROR,
			      "%s: the activity log is not clean, so the bitmap cannot be trusted; "
			      "bring the resource up once, or repeat with --force",
			      target->name);
	else
		rc = dump(store, target, &inspect);
	md_store_close(store);
	return rc;
}
