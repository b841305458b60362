/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recordings as text, small enough to be kept: one line per packet,
 *   NANOSECONDS FROM TO d|c CONNECTION BYTES
 * BYTES is hexadecimal with runs of zero bytes as (N); "-" is the end of a direction. Bulk data
 * are left out, that is, zero.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "capture.h"

#define LINE_BYTES 65536U
#define PACKET_BYTES (WIRE_PACKET_MAX_BYTES + BIO_MAX_BYTES)
#define ZEROES_MIN 3U

static unsigned bulk_bytes(const struct capture_packet *p)
{
	struct wire_header h;
	size_t need;

	if (wire_decode_header(p->bytes, p->n, &h, &need) ||
	    (h.type != P_DATA && h.type != P_DATA_REPLY && h.type != P_RS_DATA_REPLY))
		return 0;
	return h.length / SECTOR_BYTES * SECTOR_BYTES;
}

static void write_bytes(FILE *f, const struct capture_packet *p)
{
	size_t end = p->n - bulk_bytes(p);

	for (size_t i = 0; i < p->n;) {
		size_t zeroes = 0;

		while (i + zeroes < p->n && (i + zeroes >= end || !p->bytes[i + zeroes]))
			zeroes++;
		if (zeroes >= ZEROES_MIN) {
			fprintf(f, "(%zu)", zeroes);
			i += zeroes;
		} else {
			fprintf(f, "%02x", p->bytes[i++]);
		}
	}
}

void capture_write_text(const struct capture *c, const char *path)
{
	FILE *f = fopen(path, "w");

	ASSERT(f);
	for (unsigned i = 0; i < c->packet_count; i++) {
		const struct capture_packet *p = &c->packets[i];

		if (p->connection == CAPTURE_NO_CONNECTION || p->is_late)
			continue;
		fprintf(f, "%llu %u %u %c %u ", (unsigned long long)p->time_ns, p->from, p->to,
			p->stream == STREAM_DATA ? 'd' : 'c', p->connection);
		if (p->n)
			write_bytes(f, p);
		else
			fputc('-', f);
		fputc('\n', f);
	}
	ASSERT(!fclose(f));
}

static size_t read_bytes(const char *text, uint8_t *out)
{
	size_t n = 0;

	while (*text && !isspace((unsigned char)*text)) {
		char digits[3] = { text[0], text[1], '\0' }, *end;

		if (*text == '(') {
			unsigned long zeroes = strtoul(text + 1, &end, 10);

			ASSERT(*end == ')' && n + zeroes <= PACKET_BYTES);
			memset(out + n, 0, zeroes);
			n += zeroes;
			text = end + 1;
			continue;
		}
		ASSERT(isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]) &&
		       n < PACKET_BYTES);
		out[n++] = (uint8_t)strtoul(digits, NULL, 16);
		text += 2;
	}
	return n;
}

struct capture *capture_read_text(const char *path)
{
	static char line[LINE_BYTES];
	static uint8_t bytes[PACKET_BYTES];
	struct capture *c = calloc(1, sizeof(*c));
	FILE *f = fopen(path, "r");

	ASSERT(c && f);
	while (fgets(line, sizeof(line), f)) {
		struct capture_packet p = { .frame = c->packet_count };
		unsigned long long ns;
		unsigned from, to;
		int at = 0;
		char stream;

		ASSERT(sscanf(line, "%llu %u %u %c %u %n", &ns, &from, &to, &stream,
			      &p.connection, &at) == 5);
		ASSERT(from < CAPTURE_NODES_MAX && to < CAPTURE_NODES_MAX);
		p.time_ns = ns;
		p.from = (uint8_t)from;
		p.to = (uint8_t)to;
		p.stream = stream == 'd' ? STREAM_DATA : STREAM_CONTROL;
		if (line[at] != '-') {
			uint8_t *copy;

			p.n = read_bytes(line + at, bytes);
			copy = malloc(p.n);
			ASSERT(copy);
			memcpy(copy, bytes, p.n);
			p.bytes = copy;
		}
		if (from >= c->node_count)
			c->node_count = from + 1;
		c->packets = realloc(c->packets, (c->packet_count + 1) * sizeof(*c->packets));
		ASSERT(c->packets);
		c->packets[c->packet_count++] = p;
	}
	fclose(f);
	c->owns_packets = true;
	return c;
}
