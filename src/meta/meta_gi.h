/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generations and flags towards one peer as one line of text, the form of get-gi and set-gi. */
#ifndef META_GI_H
#define META_GI_H

#include <stddef.h>
#include <stdint.h>

#include "meta/meta_version.h"
#include "proto/proto_md.h"

#define META_GI_BYTES 128U /* a line with its 0 */
#define META_GI_FLAGS_MAX 12U

/* One flag of the line. */
struct meta_gi_flag {
	uint32_t bit;
	uint8_t of_peer;  /* 1 = of the peer's entry, 0 = of the device */
	const char *text; /* what it means when it is 1 */
};

/* The flags of a version in their order; *count of them. */
const struct meta_gi_flag *meta_gi_flags(enum meta_version version, unsigned *count);
/* "CURRENT:BITMAP:HISTORY:HISTORY:1:0:..."; `peer` is 0 for v08. */
void meta_gi_format(const struct md_super *super, enum meta_version version, uint8_t peer,
		    char line[static META_GI_BYTES]);
/*
 * Takes the fields that are given: empty ones and those left out at the end keep their value. 0, or
 * -EINVAL with *super undefined and *field the number, from 1 on, of the field that is wrong.
 */
int meta_gi_parse(const char *line, enum meta_version version, uint8_t peer,
		  struct md_super *super, unsigned *field);

#endif
