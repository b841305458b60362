/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text dump of superblock and bitmap. */
#include "meta/meta_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "meta/meta_layout.h"
#include "meta/meta_v08.h"

#define LINE_BYTES 256
#define ROW_HALVES 8U /* 32-bit words of one slot in one line */
#define PEER_COMMENT_CHARS 76
/* drbdmeta reads the bitmap in pieces of this size and counts equal lines piece by piece. */
#define PIECE_PAGES 8192U

struct dump {
	const struct meta_text *text;
	const struct md_super *super; /* the agreed size cut down */
	int rc;                       /* sticky */
};

__attribute__((format(printf, 2, 3))) static void put(struct dump *d, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list ap;
	int n;

	if (d->rc)
		return;
	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	ASSERT(n >= 0);
	if ((size_t)n >= sizeof(line))
		n = (int)sizeof(line) - 1;
	d->rc = d->text->emit(d->text->ctx, line, (size_t)n);
}

static void put_string(struct dump *d, const char *s)
{
	if (!d->rc)
		d->rc = d->text->emit(d->text->ctx, s, strlen(s));
}

static bool is_clean(const struct dump *d)
{
	return d->text->version == META_VERSION_V09
		       ? d->super->flags & MDF_AL_CLEAN
		       : meta_v08_is_clean(d->super, d->text->version);
}

static void put_head(struct dump *d)
{
	const struct md_super *s = d->super;

	if (s->effective_sectors != d->text->super->effective_sectors)
		put(d, "# la-size-sect was too big (%" PRIu64 "), truncated (%" PRIu64 ")!\n",
		    d->text->super->effective_sectors, s->effective_sectors);
	if (d->text->command) {
		put(d, "# DRBD meta data dump\n# %s [%" PRIu64 "]\n# %s> ", d->text->date,
		    d->text->time_s, d->text->host);
		put_string(d, d->text->command);
		put(d, "\n#\n\n");
	}
	put(d, "version \"%s\";\n\n", d->text->version == META_VERSION_V09 ? "v09" : "v08");
	if (!is_clean(d))
		put(d, "This_is_an_unclean_meta_data_dump._Don't_trust_the_bitmap.\n"
		       "# You should \"apply-al\" first, if you plan to restore this.\n\n");
	if (d->text->version == META_VERSION_V09)
		put(d, "max-peers %" PRIu32 ";\n", s->max_peers);
	put(d, "# md_size_sect %" PRIu32 "\n", s->md_size_sectors);
	put(d, "# md_offset %" PRIu64 "\n", d->text->super_byte);
	put(d, "# al_offset %" PRIu64 "\n",
	    d->text->super_byte + (uint64_t)(s->al_offset_sectors * INT64_C(512)));
	put(d, "# bm_offset %" PRIu64 "\n\n",
	    d->text->super_byte + (uint64_t)(s->bm_offset_sectors * INT64_C(512)));
}

static void put_v08_uuids(struct dump *d)
{
	const struct md_super *s = d->super;

	put(d, "uuid {\n    0x%016" PRIX64 "; 0x%016" PRIX64 "; 0x%016" PRIX64 "; 0x%016" PRIX64
	       ";\n    flags 0x%08" PRIX32 ";\n}\n",
	    s->current_uuid, s->peers[0].bitmap_uuid, s->history[0], s->history[1], s->flags);
}

static void put_node(struct dump *d)
{
	const struct md_super *s = d->super;

	put(d, "node-id %" PRId32 ";\n", s->node_id);
	put(d, "current-uuid 0x%016" PRIX64 ";\n", s->current_uuid);
	put(d, "flags 0x%08" PRIX32 ";\n", s->flags);
	if (!d->text->no_members)
		put(d, "members 0x%016" PRIX64 ";\n", s->members);
}

/* " # connected | seen", cut as drbdmeta cuts it. */
static void put_peer_flags(struct dump *d, uint32_t flags)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ MDF_PEER_CONNECTED, "connected" },   { MDF_PEER_OUTDATED, "<=outdated" },
		{ MDF_PEER_FENCING, "fencing" },       { MDF_PEER_FULL_SYNC, "full-sync" },
		{ MDF_PEER_DEVICE_SEEN, "seen" },      { MDF_PEER_NODE_EXISTS, "exists" },
	};
	char comment[2 * LINE_BYTES];
	size_t used = 0;

	put(d, "    flags 0x%08" PRIX32 ";", flags);
	for (unsigned bit = 0; bit < 32; bit++) {
		uint32_t mask = UINT32_C(1) << bit;
		const char *name = NULL;

		if (!(flags & mask) || used >= PEER_COMMENT_CHARS)
			continue;
		for (unsigned i = 0; i < ARRAY_LEN(names); i++)
			if (names[i].bit == mask)
				name = names[i].name;
		if (name)
			used += (size_t)snprintf(comment + used, sizeof(comment) - used, "%s%s",
						 used ? " | " : "", name);
		else
			used += (size_t)snprintf(comment + used, sizeof(comment) - used,
						 "%s0x%" PRIx32 "=?", used ? " | " : "", mask);
	}
	if (used)
		put(d, " # %.*s", PEER_COMMENT_CHARS, comment);
	put(d, "\n");
}

static void put_peers(struct dump *d)
{
	const struct md_super *s = d->super;

	for (unsigned i = 0; i < NODES_MAX; i++) {
		put(d, "peer[%u] {\n    bitmap-index %" PRId32 ";\n", i, s->peers[i].bitmap_index);
		put(d, "    bitmap-uuid 0x%016" PRIX64 ";\n", s->peers[i].bitmap_uuid);
		put(d, "    bitmap-dagtag 0x%016" PRIX64 ";\n", s->peers[i].bitmap_dagtag);
		put_peer_flags(d, s->peers[i].flags);
		put(d, "}\n");
	}
	put(d, "history-uuids {");
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		put(d, "%s 0x%016" PRIX64 ";", i % 4 ? "" : "\n       ", s->history[i]);
	put(d, "\n}\n");
}

static void put_geometry(struct dump *d, uint64_t bitmap_bytes)
{
	const struct md_super *s = d->super;

	put(d, "# al-extents %" PRIu32 ";\n", s->al_nr_extents);
	put(d, "la-size-sect %" PRIu64 ";\n", s->effective_sectors);
	put(d, "bm-byte-per-bit %" PRIu32 ";\n", s->bm_bytes_per_bit);
	put(d, "device-uuid 0x%016" PRIX64 ";\n", s->device_uuid);
	put(d, "la-peer-max-bio-size %" PRId32 ";\n", (int32_t)s->la_peer_max_bio_bytes);
	put(d, "al-stripes %" PRIu32 ";\n", s->al_stripes);
	put(d, "al-stripe-size-4k %" PRIu32 ";\n", s->al_stripe_4k);
	put(d, "# bm-bytes %" PRIu64 ";\n", bitmap_bytes);
}

/*
 * One slot's words as lines of 4 x 64 bits. Two or more equal lines of one repeated 32-bit word are
 * written as a count. Positions are in disk words (all slots), as drbdmeta counts them.
 */
struct slot_dump {
	struct dump *d;
	uint32_t slot;
	uint32_t max_peers;
	uint32_t row[ROW_HALVES];
	unsigned row_fill;
	uint64_t next_word;   /* disk word of the next half to come */
	uint64_t row_word;    /* disk word that the present line began with */
	/* pending run */
	uint32_t run_half;
	uint64_t run_word;    /* where it began */
	uint64_t run_rows;    /* counted in earlier pieces */
	uint64_t piece_rows;  /* counted in this piece */
	uint64_t piece_word;  /* where this piece's share began */
	uint64_t bits_set;
};

static void put_line_start(struct slot_dump *s, uint64_t word)
{
	put(s->d, "\n");
	if (word % 64 == s->slot)
		put(s->d, "   # at %" PRIu64 "kB\n", 128 * (word - s->slot));
	put(s->d, "   ");
}

static void put_halves(struct slot_dump *s, const uint32_t *half, unsigned count)
{
	for (unsigned i = 0; i + 1 < count; i += 2)
		put(s->d, " 0x%08" PRIX32 "%08" PRIX32 ";", half[i + 1], half[i]);
}

static void put_run(struct slot_dump *s, uint64_t rows)
{
	put_line_start(s, s->run_word);
	put(s->d, " %" PRIu64 " times 0x%08" PRIX32 "%08" PRIX32 ";", rows * (ROW_HALVES / 2),
	    s->run_half, s->run_half);
}

static void put_single(struct slot_dump *s)
{
	uint32_t half[ROW_HALVES];

	for (unsigned i = 0; i < ROW_HALVES; i++)
		half[i] = s->run_half;
	put_line_start(s, s->piece_word);
	put_halves(s, half, ROW_HALVES);
}

static bool run_is_pending(const struct slot_dump *s)
{
	return s->run_rows + s->piece_rows > 0;
}

/* A share of a single line is not added to a run but stands alone. */
static void finish_run(struct slot_dump *s)
{
	if (s->piece_rows > 1) {
		put_run(s, s->run_rows + s->piece_rows);
	} else {
		if (s->run_rows)
			put_run(s, s->run_rows);
		if (s->piece_rows)
			put_single(s);
	}
	s->run_rows = 0;
	s->piece_rows = 0;
}

static bool row_is_uniform(const struct slot_dump *s)
{
	for (unsigned i = 1; i < ROW_HALVES; i++)
		if (s->row[i] != s->row[0])
			return false;
	return true;
}

static void finish_row(struct slot_dump *s)
{
	bool uniform = row_is_uniform(s);

	if (run_is_pending(s) && !(uniform && s->row[0] == s->run_half))
		finish_run(s);
	if (!uniform) {
		put_line_start(s, s->row_word);
		put_halves(s, s->row, ROW_HALVES);
	} else {
		if (!run_is_pending(s)) {
			s->run_half = s->row[0];
			s->run_word = s->row_word;
		}
		if (!s->piece_rows++)
			s->piece_word = s->row_word;
	}
	s->row_fill = 0;
}

static void finish_piece(struct slot_dump *s)
{
	if (s->piece_rows > 1) {
		s->run_rows += s->piece_rows;
		s->piece_rows = 0;
	} else if (s->piece_rows) {
		finish_run(s);
	}
}

static void add_half(struct slot_dump *s, uint32_t half)
{
	if (!s->row_fill)
		s->row_word = s->next_word;
	s->row[s->row_fill++] = half;
	s->bits_set += (uint64_t)__builtin_popcount(half);
	s->next_word += s->max_peers;
	if (s->row_fill == ROW_HALVES)
		finish_row(s);
}

static void put_slot(struct slot_dump *s, uint64_t page_count)
{
	uint64_t piece = PIECE_PAGES / s->max_peers * s->max_peers;
	uint8_t block[MD_PAGE_BYTES];

	if (s->d->text->version == META_VERSION_V09)
		put(s->d, "bitmap[%" PRIu32 "] {", s->slot);
	else
		put(s->d, "bm {");
	for (uint64_t page = 0; page < page_count && !s->d->rc; page++) {
		uint64_t end = (page + 1) * MD_PAGE_WORDS;

		if (page && page % piece == 0)
			finish_piece(s);
		s->d->rc = s->d->text->read_page(s->d->text->ctx, page, block);
		while (!s->d->rc && s->next_word < end)
			add_half(s, get_le32(block + 4 * (s->next_word % MD_PAGE_WORDS)));
	}
	finish_run(s);
	if (s->row_fill) {
		put_line_start(s, s->row_word);
		put_halves(s, s->row, s->row_fill);
	}
	put(s->d, "\n}\n");
}

int meta_text_dump(const struct meta_text *text)
{
	struct md_super super = *text->super;
	struct dump d = { .text = text, .super = &super };
	uint64_t page_count, bits_set = 0;

	if (super.effective_sectors > text->usable_sectors)
		super.effective_sectors = text->usable_sectors;
	page_count = meta_bitmap_sectors(super.effective_sectors, super.max_peers,
					 super.bm_bytes_per_bit) / 8;
	put_head(&d);
	if (text->version == META_VERSION_V09) {
		put_node(&d);
		put_peers(&d);
	} else {
		put_v08_uuids(&d);
	}
	put_geometry(&d, page_count * MD_PAGE_BYTES);
	for (uint32_t slot = 0; slot < super.max_peers && !d.rc; slot++) {
		struct slot_dump s = { .d = &d, .slot = slot, .max_peers = super.max_peers,
				       .next_word = slot };

		put_slot(&s, page_count);
		bits_set = s.bits_set;
	}
	/* Of the last slot only: that is what drbdmeta prints. */
	put(&d, "# bits-set %" PRIu64 ";\n", bits_set);
	return d.rc;
}
