/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form of fuzz_session's inputs: who interprets them and who mutates them share it. */
#ifndef FUZZ_SESSION_INPUT_H
#define FUZZ_SESSION_INPUT_H

#include <stddef.h>
#include <stdint.h>

#define CONF_BYTES 8U
#define CONF_CARRIER 7U           /* that byte's upper three bits all set: sockets of the system */
#define CARRIER_BITS 0xe0U
#define BITMAP_BITS 0x18U         /* of the same byte: the peers' bitmaps are plain, come later */
#define CHOICE_BORDERS 216U       /* packet_choice.a: from here on at the borders of something */
#define CHOICE_END 240U           /* where the device ends, in blocks */
#define CHOICE_OWN_RANGE 0x80U    /* packet_choice.c: not that of an earlier packet */

/*
 * Low four bits of an operation's first byte; bits 4-5 the peer, bit 6 the control stream, bit 7:
 * the next operation follows before our node has reacted.
 */
enum op {
	OP_RAW,        /* u16 length, bytes */
	OP_PACKET,     /* u8 type, a, b, c, u16 d: script_send_choice() */
	OP_PACKET_TOO,
	OP_TIME,       /* u8: 2^n ms */
	OP_SUBMIT,     /* u8 request, u16 block, u8 blocks */
	OP_COMMAND,    /* u8 command, u8 flag */
	OP_CLOSE,      /* u8: bit 0 one stream only, bit 1 which */
	OP_TAMPER,     /* u8 skip, u8 kind, u16 at, u8 count, 8 bytes */
	OP_SILENT,
	OP_DISK,       /* u8: bit 7 so many fail, else bit 0 completions are held */
};
#define OP_KINDS (OP_DISK + 1U)

/* Bytes of the operation at p, at most `left`. */
static inline size_t op_bytes(const uint8_t *p, size_t left)
{
	static const uint8_t fixed[16] = {
		[OP_RAW] = 3,	  [OP_PACKET] = 7, [OP_PACKET_TOO] = 7, [OP_TIME] = 2,
		[OP_SUBMIT] = 5,  [OP_COMMAND] = 3, [OP_CLOSE] = 2, [OP_TAMPER] = 14,
		[OP_SILENT] = 1, [OP_DISK] = 2,
	};
	size_t n = fixed[*p & 0x0f] ? fixed[*p & 0x0f] : 1;

	if ((*p & 0x0f) == OP_RAW && left >= 3)
		n += (size_t)p[1] << 8 | p[2];
	return n < left ? n : left;
}

#endif
