/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Run-length code of bitmaps with variable-length integers (wire-protocol 5.3), on bit streams. */
#ifndef BASE_VLI_H
#define BASE_VLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run up to this many bits has a code, and so bounds the bitmaps that can be coded. */
#define VLI_RUN_MAX (UINT64_C(1) << 56)

/*
 * Codes the alternating runs of a bitmap from bit *pos on, until the bitmap ends or the next run
 * does not fit. Bit k is bit k % 64 of words[k / 64]; bits from `bits` on are not looked at.
 * Returns the bytes written to `out` (at most cap), sets *first_set (value of the first run) and
 * *pad_bits (unused zero bits at the end of the last byte, 0..7), moves *pos behind the last run.
 * Returns 0 and leaves *pos alone when nothing is left, when the first run does not fit, or when
 * the code has more bits than the bitmap bits it stands for. bits <= VLI_RUN_MAX.
 */
size_t vli_encode(const uint64_t *words, uint64_t bits, uint64_t *pos, uint8_t *out, size_t cap,
		  bool *first_set, unsigned *pad_bits);

/*
 * Decodes n bytes of code for a bitmap of `bits` bits, starting at bit *pos, and calls
 * set_run(ctx, first bit, bit count) for each run of ones. Returns 0 and moves *pos behind the
 * last run, or -EPROTO: empty code, pad above 7, a code cut off, a run beyond the end of the
 * bitmap. *pos stays as it was then, but runs before the fault have been reported already.
 */
int vli_decode(const uint8_t *code, size_t n, unsigned pad_bits, bool first_set, uint64_t bits,
	       uint64_t *pos, void (*set_run)(void *ctx, uint64_t first, uint64_t count),
	       void *ctx);

#endif
