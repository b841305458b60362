/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drbdmeta of drbd-utils as judge: runs it, and makes our dump of the same store. */
#ifndef DRBDMETA_H
#define DRBDMETA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "disk/md_offline.h"

/* The program: $DRBDMETA, else the installed one. NULL when there is none that works on a file. */
const char *drbdmeta_program(void);
/* The words that drbdmeta takes for a place. */
const char *drbdmeta_place(const struct md_where *where);
/*
 * `drbdmeta --force [OPTION] - VERSION STORE PLACE COMMAND [ARG...]`; stdout into the file `out`,
 * if any. Its exit code.
 */
int drbdmeta(const char *version, const struct md_where *where, const char *out,
	     const char *command, ...) __attribute__((sentinel));
/* The same with an option in front. */
int drbdmeta_with(const char *option, const char *version, const struct md_where *where,
		  const char *out, const char *command, ...) __attribute__((sentinel));
/* drbd-utils from 9.27 on print and read `members`. */
bool drbdmeta_has_members(void);
/* From 9.34 on: bitmap blocks of any size, flags of v08 in dumps. */
bool drbdmeta_has_bit_sizes(void);

/* A whole file, 0 behind it; owned by the caller. */
char *drbdmeta_slurp(const char *path, size_t *bytes);
/* From the line `version` on (a size that was cut down stands before it). */
const char *drbdmeta_body(const char *dump);
/* What dump-md would print, without the head that names host and time; owned by the caller. */
char *drbdmeta_our_dump(const struct md_where *where);
/* A struct md_text_source of a FILE. */
int drbdmeta_read_stdio(void *ctx, char *buf, size_t room, size_t *got);
/* Anything about each of the nodes; some of them, not the own one, get a bitmap slot. */
void drbdmeta_random_peers(struct md_super *s, struct prng *rng);
/* Runs of equal words, single bits and noise. */
void drbdmeta_random_bitmap(uint8_t *bitmap, size_t bytes, unsigned max_peers, struct prng *rng);
/*
 * The whole of a test with drbdmeta as judge, in a scratch directory: its exit code, 77 without the
 * program.
 */
int drbdmeta_test(uint64_t seed, void (*run)(uint64_t seed));
/* Ends the test, and shows where they part, if the dumps are not equal. */
void drbdmeta_same_dump(const struct md_where *where, const char *version);

#endif
