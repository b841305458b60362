/* SPDX-License-Identifier: GPL-2.0-or-later */
/* get-gi, show-gi and set-gi: generations and flags of a volume that is down. */
#include "cmd_meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "meta/meta_gi.h"

#define GI_UUIDS 4U
#define UUID_COLUMNS 17U /* with its colon */

static void print_line(const struct md_view *view, const struct md_super *super, uint8_t peer)
{
	char line[META_GI_BYTES];

	meta_gi_format(super, view->version, peer, line);
	printf("%s\n", line);
}

/* The size in three or four digits, as drbdmeta prints it. */
static void print_size(uint64_t sectors)
{
	static const char units[] = "KMGTPE";
	uint64_t size = sectors / 2;
	unsigned unit = 0;

	for (; size >= 10000 && units[unit + 1]; unit++)
		size = (size >> 10) + (size >> 9 & 1);
	printf("last agreed size: %" PRIu64 " %cB (%" PRIu64 " sectors)\n", size, units[unit],
	       sectors);
}

/* A line with its legend: every value has a stroke that leads down or up to its meaning. */
static void print_explained(const struct md_view *view, uint8_t peer)
{
	static const char *const names[GI_UUIDS] = {
		"current generation", "generation that the bitmap counts from",
		"generation before", "the one before that"
	};
	unsigned count;
	const struct meta_gi_flag *flags = meta_gi_flags(view->version, &count);
	const unsigned first = GI_UUIDS * UUID_COLUMNS;

	printf("\n");
	for (unsigned i = 0; i < GI_UUIDS; i++) {
		for (unsigned k = 0; k < i; k++)
			printf("|%*s", (int)UUID_COLUMNS - 1, "");
		printf("+- %s\n", names[i]);
	}
	print_line(view, &view->super, peer);
	for (unsigned i = count; i-- > 0;) {
		printf("%*s", (int)first, "");
		for (unsigned k = 0; k < i; k++)
			printf("| ");
		printf("+- %s\n", flags[i].text);
	}
	printf("\n");
	if (!view->super.effective_sectors) {
		printf("zero size device -- never seen peer yet?\n");
		return;
	}
	print_size(view->super.effective_sectors);
	printf("last agreed max bio size: %" PRIu32 " Byte\n", view->super.la_peer_max_bio_bytes);
}

static const struct meta_peer *find_peer(const struct cli *cli, const struct meta_target *target)
{
	for (unsigned i = 0; i < target->peer_count; i++)
		if (str_eq(cli->peer, target->peers[i].name))
			return &target->peers[i];
	(void)cli_fail(EXIT_ERROR, "%s: there is no other node '%s'", target->title, cli->peer);
	return NULL;
}

static void print_plain(const struct md_view *view, uint8_t peer)
{
	print_line(view, &view->super, peer);
}

/* The peers that are meant; v08 knows one, whichever it is. */
static int look(const struct cli *cli, const struct meta_target *target,
		void (*print)(const struct md_view *view, uint8_t peer))
{
	const struct meta_peer *peer = cli->peer[0] ? find_peer(cli, target) : NULL;
	struct err err = ERR_INIT;
	struct md_store *store;
	struct md_view view;
	int rc;

	if (cli->peer[0] && !peer)
		return EXIT_ERROR;
	rc = md_offline_open(&target->where, false, &store, &view, &err);
	if (rc)
		return meta_fail(target, rc, &err);
	md_store_close(store);
	if (view.version != META_VERSION_V09)
		print(&view, 0);
	else if (peer)
		print(&view, peer->node_id);
	else
		for (unsigned i = 0; i < target->peer_count; i++)
			print(&view, target->peers[i].node_id);
	return EXIT_OK;
}

int cmd_get_gi(const struct cli *cli, const struct meta_target *target)
{
	return look(cli, target, print_plain);
}

int cmd_show_gi(const struct cli *cli, const struct meta_target *target)
{
	return look(cli, target, print_explained);
}

static int set(const struct cli *cli, const struct meta_target *target, struct md_store *store,
	       const struct md_view *view, uint8_t peer)
{
	struct md_super super = view->super;
	struct err err = ERR_INIT;
	unsigned field;
	int rc;

	if (meta_gi_parse(cli->operand, view->version, peer, &super, &field))
		return cli_fail(EXIT_ERROR,
				"%s: field %u of '%s' is wrong: 4 generations in hexadecimal, then "
				"flags of 0 or 1, separated by colons, empty ones stay as they are",
				target->title, field, cli->operand);
	printf("previously ");
	print_line(view, &view->super, peer);
	printf("set GI to  ");
	print_line(view, &super, peer);
	if (!cli->force)
		return cli_fail(EXIT_ERROR, "%s: nothing was written; repeat with --force if that "
					    "is what is wanted", target->name);
	rc = md_offline_put(store, &super, &err);
	return rc ? meta_fail(target, rc, &err) : EXIT_OK;
}

int cmd_set_gi(const struct cli *cli, const struct meta_target *target)
{
	const struct meta_peer *peer = find_peer(cli, target);
	struct err err = ERR_INIT;
	struct md_store *store;
	struct md_view view;
	int rc;

	if (!peer)
		return EXIT_ERROR;
	rc = md_offline_open(&target->where, true, &store, &view, &err);
	if (rc)
		return meta_fail(target, rc, &err);
	rc = set(cli, target, store, &view,
		 view.version == META_VERSION_V09 ? peer->node_id : 0);
	md_store_close(store);
	return rc;
}
