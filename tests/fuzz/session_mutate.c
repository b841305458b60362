/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fuzz_session's inputs vary: whole operations, and inside of raw bytes whole packets, whose
 * headers stay right most of the time, so that what is behind them is reached.
 */
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "proto/proto_enum.h"
#include "session.h"
#include "session_input.h"

#define OPS_SEEN_MAX 512U
#define PACKETS_SEEN_MAX 64U
#define HEADER_BYTES 16U
#define NEW_BODY_MAX 96U
#define DATA_BODY_BYTES 24U       /* of P_DATA, in front of the payload */

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two,
				 size_t two_size, uint8_t *out, size_t max_out, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static const uint16_t types[] = {
#define X(number, name) number,
	PACKETS(X)
#undef X
};

#define TYPES (sizeof(types) / sizeof(types[0]))

/* Lengths, sectors, identifiers and masks at the edges. */
static const uint64_t edges[] = {
	0, 1, 7, 8, 511, 512, 4096, 0x7ff8, 0x8000, 0x10000, 1 << 20, 1 << 27, INT32_MAX,
	UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 50, UINT64_C(1) << 54, UINT64_C(1) << 55,
	INT64_MAX, UINT64_MAX, SESSION_UUID_OWN, SESSION_UUID_BASE, SESSION_UUID_PEER,
};

struct input {
	uint8_t *data;
	size_t size, max;
	struct prng prng;
	size_t at[OPS_SEEN_MAX + 1]; /* of the operations, and behind the last */
	unsigned count;
};

static void find_ops(struct input *in)
{
	size_t at = CONF_BYTES;

	in->count = 0;
	while (at < in->size && in->count < OPS_SEEN_MAX) {
		in->at[in->count++] = at;
		at += op_bytes(in->data + at, in->size - at);
	}
	in->at[in->count] = at < in->size ? at : in->size;
}

static bool put_in(struct input *in, size_t at, const uint8_t *p, size_t n)
{
	if (in->size + n > in->max)
		return false;
	memmove(in->data + at + n, in->data + at, in->size - at);
	memcpy(in->data + at, p, n);
	in->size += n;
	return true;
}

static void take_out(struct input *in, size_t at, size_t n)
{
	memmove(in->data + at, in->data + at + n, in->size - at - n);
	in->size -= n;
}

static uint16_t any_type(struct input *in)
{
	return types[prng_below(&in->prng, TYPES)];
}

static void put_header(struct input *in, uint8_t *p, size_t body)
{
	put_be32(p, SESSION_MAGIC_100);
	put_be16(p + 4, prng_chance(&in->prng, 1, 3) ? VNR_NONE : 0);
	put_be16(p + 6, any_type(in));
	put_be32(p + 8, (uint32_t)body);
	put_be32(p + 12, 0);
}

/* Any length, or one that a payload could have. */
static void put_length(struct input *in, uint8_t *header)
{
	static const uint32_t payloads[] = {
		0, SECTOR_BYTES, BIO_MAX_BYTES, BIO_MAX_BYTES + SECTOR_BYTES, 1 << 24, 1 << 27,
	};

	if (prng_chance(&in->prng, 1, 2)) {
		put_be32(header + 8, (uint32_t)edges[prng_below(&in->prng, 19)]);
		return;
	}
	put_be16(header + 4, 0);
	put_be16(header + 6, prng_chance(&in->prng, 1, 2) ? P_DATA : P_RS_DATA_REPLY);
	put_be32(header + 8, DATA_BODY_BYTES + payloads[prng_below(&in->prng, 6)]);
}

/* ---- operations ---- */

static bool is_packet(const uint8_t *op)
{
	return (op[0] & 0x0f) == OP_PACKET || (op[0] & 0x0f) == OP_PACKET_TOO;
}

/* The range that this operation names, if it does, begins at a border. */
static void put_border(struct input *in, uint8_t *op, size_t n)
{
	uint64_t blocks = 1 + prng_below(&in->prng, 8);

	if (is_packet(op) && n >= 5 && prng_chance(&in->prng, 1, 2)) {
		/* It ends with the device, or a block later. */
		op[2] = (uint8_t)(CHOICE_END - blocks);
		op[3] = (uint8_t)(blocks - prng_below(&in->prng, 2));
		op[4] |= CHOICE_OWN_RANGE;
	} else if (is_packet(op) && n >= 3) {
		op[2] = (uint8_t)(CHOICE_BORDERS + prng_below(&in->prng, 256 - CHOICE_BORDERS));
	}
	if ((op[0] & 0x0f) == OP_SUBMIT && n >= 4)
		put_be16(op + 2, (uint16_t)(disk_edge((unsigned)prng_u64(&in->prng)) /
					    BM_BLOCK_SECTORS));
}

static size_t new_op(struct input *in, uint8_t op[3 + HEADER_BYTES + NEW_BODY_MAX])
{
	op[0] = (uint8_t)(prng_u64(&in->prng) & 0x70);
	if (prng_chance(&in->prng, 1, 4))
		op[0] |= 0x80;
	op[0] |= (uint8_t)(prng_chance(&in->prng, 1, 2) ? OP_PACKET
							  : prng_below(&in->prng, OP_KINDS));
	prng_bytes(&in->prng, op + 1, 13);
	if ((op[0] & 0x0f) == OP_SUBMIT)
		put_be16(op + 2, (uint16_t)prng_below(&in->prng, STORE_BYTES / BM_BLOCK_BYTES));
	if (prng_chance(&in->prng, 1, 3))
		put_border(in, op, 14);
	if (is_packet(op))
		op[1] = (uint8_t)any_type(in);
	if ((op[0] & 0x0f) == OP_RAW) {
		size_t body = 4 * prng_below(&in->prng, NEW_BODY_MAX / 4);

		put_be16(op + 1, (uint16_t)(HEADER_BYTES + body));
		put_header(in, op + 3, body);
		if (prng_chance(&in->prng, 1, 2))
			put_length(in, op + 3);
		prng_bytes(&in->prng, op + 3 + HEADER_BYTES, body);
	}
	return op_bytes(op, 3 + HEADER_BYTES + NEW_BODY_MAX);
}

static void insert_op(struct input *in)
{
	uint8_t op[3 + HEADER_BYTES + NEW_BODY_MAX];
	size_t n = new_op(in, op);

	put_in(in, in->at[prng_below(&in->prng, in->count + 1)], op, n);
}

static void copy_op(struct input *in, unsigned from, unsigned to)
{
	uint8_t op[512];
	size_t n = in->at[from + 1] - in->at[from];

	if (n > sizeof(op))
		return;
	memcpy(op, in->data + in->at[from], n);
	put_in(in, in->at[to], op, n);
}

/* ---- packets in raw bytes ---- */

static unsigned find_packets(const uint8_t *p, size_t n, size_t at[PACKETS_SEEN_MAX + 1])
{
	unsigned count = 0;
	size_t pos = 0;

	while (pos + HEADER_BYTES <= n && count < PACKETS_SEEN_MAX) {
		size_t body = get_be32(p + pos + 8);

		if (get_be32(p + pos) != SESSION_MAGIC_100)
			break;
		at[count++] = pos;
		pos += HEADER_BYTES;
		pos += body < n - pos ? body : n - pos;
	}
	at[count] = pos;
	return count;
}

static void put_edge(struct input *in, uint8_t *body, size_t n)
{
	uint64_t edge = prng_chance(&in->prng, 1, 4) ?
				disk_edge((unsigned)prng_u64(&in->prng)) :
				edges[prng_below(&in->prng, sizeof(edges) / sizeof(edges[0]))];
	size_t at = n >= 8 ? 4 * prng_below(&in->prng, n / 4 - 1) : 0;

	if (n >= 8 && prng_chance(&in->prng, 1, 2))
		put_be64(body + at, edge);
	else if (n >= 4)
		put_be32(body + at, (uint32_t)edge);
}

/* The operation `op` is raw; its packet of n bytes at `at` is changed. */
static void mutate_packet(struct input *in, unsigned op, size_t at, size_t n)
{
	uint8_t *raw = in->data + in->at[op] + 3, *p = raw + at;
	size_t length = (size_t)raw[-2] << 8 | raw[-1], body = n - HEADER_BYTES;
	uint8_t copy[256];

	switch (prng_below(&in->prng, 6)) {
	case 0:
		put_be16(p + 6, any_type(in));
		return;
	case 1:
		if (body)
			LLVMFuzzerMutate(p + HEADER_BYTES, body, body);
		return;
	case 2:
		put_length(in, p);
		return;
	case 3:
		if (n > sizeof(copy) || length + n > UINT16_MAX)
			return;
		memcpy(copy, p, n);
		if (put_in(in, in->at[op] + 3 + at, copy, n))
			put_be16(raw - 2, (uint16_t)(length + n));
		return;
	case 4:
		/* Longer by a word, and the header says so. */
		memset(copy, 0, 4);
		if (length + 4 > UINT16_MAX || !put_in(in, in->at[op] + 3 + at + n, copy, 4))
			return;
		put_be32(p + 8, (uint32_t)body + 4);
		put_be16(raw - 2, (uint16_t)(length + 4));
		return;
	default:
		put_edge(in, p + HEADER_BYTES, body);
		return;
	}
}

static void mutate_op(struct input *in, unsigned i)
{
	uint8_t *op = in->data + in->at[i];
	size_t at[PACKETS_SEEN_MAX + 1], n = in->at[i + 1] - in->at[i];
	unsigned count, k;

	if ((op[0] & 0x0f) != OP_RAW || n < 3) {
		if (n > 1)
			LLVMFuzzerMutate(op + 1, n - 1, n - 1);
		if (prng_chance(&in->prng, 1, 4))
			put_border(in, op, n);
		return;
	}
	count = find_packets(op + 3, n - 3, at);
	if (count == 0) {
		if (n >= 3 + HEADER_BYTES)
			put_header(in, op + 3, n - 3 - HEADER_BYTES);
		return;
	}
	k = (unsigned)prng_below(&in->prng, count);
	mutate_packet(in, i, at[k], at[k + 1] - at[k]);
}

static void mutate_once(struct input *in)
{
	unsigned i, k;

	find_ops(in);
	i = in->count ? (unsigned)prng_below(&in->prng, in->count) : 0;
	k = (unsigned)prng_below(&in->prng, in->count + 1);
	/* As much goes as comes: else all sessions would end up as long as they may be. */
	switch (in->count ? prng_below(&in->prng, 12) : 0) {
	case 0:
	case 1:
		insert_op(in);
		return;
	case 2:
		copy_op(in, i, k);
		return;
	case 3:
	case 4:
	case 5:
		take_out(in, in->at[i], in->at[i + 1] - in->at[i]);
		return;
	case 6:
		in->data[in->at[i]] ^= (uint8_t)(0x10U << prng_below(&in->prng, 4));
		return;
	case 7:
		in->data[prng_below(&in->prng, CONF_BYTES)] = (uint8_t)prng_u64(&in->prng);
		return;
	default:
		mutate_op(in, i);
		return;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static struct input in;
	unsigned again;

	if (size < CONF_BYTES || seed % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	in.data = data;
	in.size = size;
	in.max = max_size;
	prng_seed(&in.prng, seed);
	for (uint64_t n = 1 + prng_below(&in.prng, 4); n > 0; n--)
		mutate_once(&in);
	/* One in eight over sockets. */
	again = CARRIER_BITS | (prng_chance(&in.prng, 1, 4) ? BITMAP_BITS : 0);
	data[CONF_CARRIER] = (uint8_t)((data[CONF_CARRIER] & ~again) |
				       (prng_u64(&in.prng) & again));
	return in.size;
}

/* The beginning of one, the rest of the other, at the limits of operations. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two,
				 size_t two_size, uint8_t *out, size_t max_out, unsigned int seed)
{
	static struct input a, b;
	size_t head, from;

	if (one_size < CONF_BYTES || two_size < CONF_BYTES)
		return 0;
	a.data = (uint8_t *)(uintptr_t)one;
	a.size = one_size;
	b.data = (uint8_t *)(uintptr_t)two;
	b.size = two_size;
	prng_seed(&a.prng, seed);
	find_ops(&a);
	find_ops(&b);
	head = a.at[prng_below(&a.prng, a.count + 1)];
	from = b.at[prng_below(&a.prng, b.count + 1)];
	if (head + two_size - from > max_out)
		return 0;
	memcpy(out, one, head);
	memcpy(out + head, two + from, two_size - from);
	return head + two_size - from;
}
