/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the text that dump-md prints, of this program or of drbdmeta, v08 and v09. */
#ifndef META_PARSE_H
#define META_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "meta/meta_version.h"
#include "proto/proto_md.h"

struct meta_parse {
	/* Up to `room` bytes of the text, *got 0 at its end; 0 or -errno, which ends the parse. */
	int (*read)(void *ctx, char *buf, size_t room, size_t *got);
	/*
	 * All in front of the bitmap, fields in range by meta_super_check(). What is no part of the
	 * text (offsets, sizes, al_nr_extents) is zero. 0 or -errno, which ends the parse.
	 */
	int (*head)(void *ctx, enum meta_version version, const struct md_super *super);
	/*
	 * Words [first, first + count) of a slot, 64 bits each and all equal, in ascending order;
	 * slot after slot. Not bounded by any device. 0 or -errno, which ends the parse.
	 */
	int (*words)(void *ctx, uint32_t slot, uint64_t first, uint64_t count, uint64_t value);
	void *ctx;
};

struct meta_parse_error {
	uint64_t line;
	char text[160]; /* "... expected, but there is `...`" */
};

/* 0, -EBADMSG with *error filled, or the error of a callback. */
int meta_parse(const struct meta_parse *parse, struct meta_parse_error *error);

#endif
