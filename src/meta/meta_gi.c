/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line of get-gi and set-gi. */
#include "meta/meta_gi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "meta/meta_v08.h"

#define UUIDS 4U /* current, bitmap, two of the history */

static const struct meta_gi_flag flags_v09[] = {
	{ MDF_CONSISTENT, 0, "the data are consistent" },
	{ MDF_WAS_UP_TO_DATE, 0, "the data are, or last were, up to date" },
	{ MDF_PRIMARY_IND, 0, "this node or a peer was Primary" },
	{ MDF_CRASHED_PRIMARY, 0, "this node crashed as Primary, and has met no peer since" },
	{ MDF_AL_CLEAN, 0, "the activity log is applied, the disk can be attached" },
	{ MDF_AL_DISABLED, 0, "the activity log was off" },
	{ MDF_PRIMARY_LOST_QUORUM, 0, "this node was Primary when quorum was lost" },
	{ MDF_PEER_CONNECTED, 1, "the peer was connected" },
	{ MDF_PEER_OUTDATED, 1, "the peer's disk was outdated or inconsistent" },
	{ MDF_PEER_FENCING, 1, "the connection had a fencing policy" },
	{ MDF_PEER_FULL_SYNC, 1, "all blocks count as out of sync with the peer" },
	{ MDF_PEER_DEVICE_SEEN, 1, "the peer has been seen with a disk" },
};
static const struct meta_gi_flag flags_v08[] = {
	{ MDF_CONSISTENT, 0, "the data are consistent" },
	{ MDF_WAS_UP_TO_DATE, 0, "the data are, or last were, up to date" },
	{ MDF_PRIMARY_IND, 0, "this node was Primary" },
	{ MDF_V08_CONNECTED, 0, "the peer was connected" },
	{ MDF_V08_FULL_SYNC, 0, "all blocks count as out of sync with the peer" },
	{ MDF_V08_PEER_OUTDATED, 0, "the peer's disk was outdated or inconsistent" },
	{ MDF_CRASHED_PRIMARY, 0, "this node crashed as Primary, and has met no peer since" },
};

STATIC_ASSERT(ARRAY_LEN(flags_v09) <= META_GI_FLAGS_MAX, "the line has room");

const struct meta_gi_flag *meta_gi_flags(enum meta_version version, unsigned *count)
{
	bool is_v09 = version == META_VERSION_V09;

	*count = is_v09 ? ARRAY_LEN(flags_v09) : ARRAY_LEN(flags_v08);
	return is_v09 ? flags_v09 : flags_v08;
}

static uint32_t *word_of(const struct meta_gi_flag *flag, struct md_super *super, uint8_t peer)
{
	return flag->of_peer ? &super->peers[peer].flags : &super->flags;
}

void meta_gi_format(const struct md_super *super, enum meta_version version, uint8_t peer,
		    char line[static META_GI_BYTES])
{
	struct md_super copy = *super;
	unsigned count;
	const struct meta_gi_flag *flags = meta_gi_flags(version, &count);
	int used;

	ASSERT(peer < NODES_MAX);
	used = snprintf(line, META_GI_BYTES,
			"%016" PRIX64 ":%016" PRIX64 ":%016" PRIX64 ":%016" PRIX64,
			copy.current_uuid, copy.peers[peer].bitmap_uuid, copy.history[0],
			copy.history[1]);
	for (unsigned i = 0; i < count; i++) {
		bool set = *word_of(&flags[i], &copy, peer) & flags[i].bit;

		used += snprintf(line + used, META_GI_BYTES - (size_t)used, ":%d", set);
	}
}

/* 1 to 16 hexadecimal digits, 0x in front allowed. */
static bool read_uuid(const char *text, size_t length, uint64_t *uuid)
{
	uint64_t value = 0;

	if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		length -= 2;
	}
	if (length < 1 || length > 16)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 16;

		if (digit > 15)
			return false;
		value = value << 4 | digit;
	}
	*uuid = value;
	return true;
}

static bool read_bit(const char *text, size_t length, uint32_t *word, uint32_t bit)
{
	if (length != 1 || (text[0] != '0' && text[0] != '1'))
		return false;
	*word = text[0] == '1' ? *word | bit : *word & ~bit;
	return true;
}

int meta_gi_parse(const char *line, enum meta_version version, uint8_t peer,
		  struct md_super *super, unsigned *field)
{
	uint64_t *uuids[UUIDS] = { &super->current_uuid, &super->peers[peer].bitmap_uuid,
				   &super->history[0], &super->history[1] };
	unsigned count, i = 0;
	const struct meta_gi_flag *flags = meta_gi_flags(version, &count);

	ASSERT(peer < NODES_MAX);
	for (;; line++, i++) {
		const char *colon = strchr(line, ':');
		size_t length = colon ? (size_t)(colon - line) : strlen(line);
		bool good = i < UUIDS + count;

		if (good && length)
			good = i < UUIDS ? read_uuid(line, length, uuids[i])
					 : read_bit(line, length,
						    word_of(&flags[i - UUIDS], super, peer),
						    flags[i - UUIDS].bit);
		if (!good) {
			*field = i + 1;
			return -EINVAL;
		}
		line += length;
		if (!*line)
			return 0;
	}
}
