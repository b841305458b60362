/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Castagnoli checksum, as used by the metadata and by the integrity digests. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Raw reflected CRC-32C (polynomial 0x82f63b78): no initial or final inversion, so that
 * crc32c(crc32c(i, a), b) == crc32c(i, a followed by b). The metadata starts from 0. The usual
 * published form is ~crc32c(~0, p, n). Uses the processor's instruction where there is one.
 */
uint32_t crc32c(uint32_t init, const void *p, size_t n);

/* The portable table version of the same function; for tests and measurements. */
uint32_t crc32c_table(uint32_t init, const void *p, size_t n);

#endif
