/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our trace of a recording reads like that of the dissector that lies beside the recordings. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/capture.h"
#include "../lib/wire_check.h"

#define LINE_BYTES 4096U
#define KEY_BYTES 64U

/* One direction, in the order of its packets. */
struct direction {
	char key[KEY_BYTES]; /* "10.0.0.1:7789>40000": all that had these ports, one by one */
	char **line;         /* "NAME fields" */
	unsigned count, at;
};

struct dissected {
	struct direction dir[256];
	unsigned count;
};

static struct direction *find(struct dissected *d, const char *key)
{
	for (unsigned i = 0; i < d->count; i++) {
		if (!strcmp(d->dir[i].key, key))
			return &d->dir[i];
	}
	cr_assert_lt(d->count, 256);
	snprintf(d->dir[d->count].key, KEY_BYTES, "%s", key);
	return &d->dir[d->count++];
}

/* "TIME STREAM ADDR:PORT>PORT vN hN vol=V NAME len=N FIELDS" */
static void add_line(struct dissected *d, const char *text)
{
	char stream[8], from[40], incarnation[8], vol[16], name[40];
	int at = 0;
	struct direction *dir;

	if (sscanf(text, "%*f %7s %39s %7s h%*d vol=%15s %39s len=%*d %n", stream, from,
		   incarnation, vol, name, &at) != 5)
		return; /* a comment or a summary */
	if (!strncmp(name, "INITIAL_", 8))
		return;
	dir = find(d, from);
	dir->line = realloc(dir->line, (dir->count + 1) * sizeof(*dir->line));
	cr_assert_not_null(dir->line);
	cr_assert_geq(asprintf(&dir->line[dir->count++], "vol=%s %s %s", vol, name, text + at), 0);
}

static struct dissected *dissect(const char *dir, const char *name)
{
	struct dissected *d = calloc(1, sizeof(*d));
	char command[2 * LINE_BYTES], line[LINE_BYTES];
	FILE *f;

	snprintf(command, sizeof(command), "python3 '%s/../tools/drbd-dissect.py' '%s/%s'", dir,
		 dir, name);
	f = popen(command, "r");
	cr_assert(d && f);
	while (fgets(line, sizeof(line), f))
		add_line(d, line);
	cr_assert_eq(pclose(f), 0, "%s fails", command);
	return d;
}

/* The next field "name=" of a line; its value goes up to the next one. False: there is none. */
static bool next_field(const char **text, char name[KEY_BYTES], char value[LINE_BYTES])
{
	const char *p = *text, *begin, *end;
	size_t n = 0;

	while (*p && !(isalnum((unsigned char)*p) && strchr(p, '=') &&
		       strcspn(p, " =") == strcspn(p, "=")))
		p++;
	if (!*p)
		return false;
	begin = p;
	p += strcspn(p, "=");
	snprintf(name, KEY_BYTES, "%.*s", (int)(p - begin), begin);
	p++;
	end = p;
	while (*end && *end != '=')
		end++;
	if (*end) { /* back to the name of the next field */
		while (end > p && *end != ' ')
			end--;
	}
	for (; p < end; p++) {
		if (!strncmp(p, "\\x00", 4)) {
			p += 3;
			continue;
		}
		if (*p == 'b' && p[1] == '\'')
			continue;
		if (!strchr(" '[]\n", *p))
			value[n++] = *p;
	}
	value[n] = '\0';
	*text = end;
	return true;
}

/* Where the dissector names fields, ours have the same names and values in the same order. */
static void compare(const char *want, const char *got, bool has_volume, const char *where)
{
	char name[2][KEY_BYTES], value[2][LINE_BYTES];
	const char *w = want, *g = got;
	bool has_fields = strchr(strchr(want, ' '), '=');

	cr_assert(!has_volume || !strncmp(want, got, strcspn(want, " ")),
		  "%s: %s / %s", where, want, got);
	w += strcspn(w, " ") + 1;
	g += strcspn(g, " ") + 1;
	cr_assert(strcspn(w, " ") == strcspn(g, " ") && !strncmp(w, g, strcspn(w, " ")),
		  "%s: other name: %s / %s", where, want, got);
	w += strcspn(w, " ");
	g += strcspn(g, " ");
	while (next_field(&w, name[0], value[0])) {
		cr_assert(next_field(&g, name[1], value[1]), "%s: fields end: %s / %s", where,
			  want, got);
		cr_assert_str_eq(name[0], name[1], "%s: other field: %s / %s", where, want, got);
		/* The dissector counts empty entries as well. */
		if (strcmp(name[0], "history") != 0)
			cr_assert_str_eq(value[0], value[1], "%s: %s: %s / %s", where, name[0],
					 want, got);
	}
	cr_assert(!has_fields || !next_field(&g, name[1], value[1]), "%s: more fields: %s / %s",
		  where, want, got);
}

static void key_of(const struct capture_half *h, char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "%u.%u.%u.%u:%u>%u", h->addr[0] >> 24, h->addr[0] >> 16 & 255,
		 h->addr[0] >> 8 & 255, h->addr[0] & 255, h->port[0], h->port[1]);
}

static unsigned check_half(const struct capture_half *h, struct wire_ctx agreed,
			   struct dissected *d, const char *where)
{
	struct wire_ctx early = { 0 };
	struct direction *dir;
	char key[KEY_BYTES], line[LINE_BYTES];
	uint32_t at = h->skip;
	unsigned n = 0;

	key_of(h, key);
	dir = find(d, key);
	while (at < h->end) {
		struct decoded p;
		int rc = decode_packet(&agreed, (enum stream)h->stream, h->bytes + at,
				       h->end - at, &p);

		if (rc == WIRE_ERR_PHASE || rc == WIRE_ERR_MAGIC)
			rc = decode_packet(&early, (enum stream)h->stream, h->bytes + at,
					   h->end - at, &p);
		if (rc == WIRE_MORE ||
		    (!rc && h->end - at < p.header.bytes + p.header.length))
			break;
		cr_assert_eq(rc, 0, "%s: %s", where, wire_error_text(rc));
		if (p.pkt.type == P_PROTOCOL && p.pkt.u.protocol.integrity_alg[0])
			agreed.integrity_bytes = 4; /* crc32c */
		wire_format(&p.pkt, line, sizeof(line));
		cr_assert_lt(dir->at, dir->count, "%s: %s has no more: %s", where, key, line);
		compare(dir->line[dir->at++], line,
			p.header.form == WIRE_HEADER_100 && agreed.apv >= 110, where);
		at += p.header.bytes + p.header.length;
		n++;
	}
	return n;
}

static unsigned check_file(const char *dir, const char *name)
{
	struct dissected *d = dissect(dir, name);
	char path[LINE_BYTES];
	struct wire_ctx agreed;
	struct capture *c;
	unsigned n = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	c = capture_read(path);
	capture_agreed(c, &agreed);
	for (unsigned i = 0; i < c->half_count; i++) {
		if (c->halves[i].stream >= 0)
			n += check_half(&c->halves[i], agreed, d, name);
	}
	for (unsigned i = 0; i < d->count; i++) {
		for (unsigned k = 0; k < d->dir[i].count; k++)
			free(d->dir[i].line[k]);
		free(d->dir[i].line);
	}
	free(d);
	capture_free(c);
	return n;
}

Test(wire_names, trace_reads_like_the_dissector, .timeout = 250)
{
	const char *dir_name = getenv("DRBDFS_CAPTURES");
	DIR *dir = dir_name && *dir_name ? opendir(dir_name) : NULL;
	char tool[LINE_BYTES];
	unsigned packets = 0;
	struct dirent *e;

	snprintf(tool, sizeof(tool), "%s/../tools/drbd-dissect.py", dir ? dir_name : "");
	if (!dir || access(tool, R_OK) || access("/usr/bin/python3", X_OK)) {
		printf("SKIP: no recordings with a dissector beside them, or no python3\n");
		return;
	}
	while ((e = readdir(dir))) {
		const char *dot = strrchr(e->d_name, '.');

		if (dot && !strcmp(dot, ".pcap"))
			packets += check_file(dir_name, e->d_name);
	}
	closedir(dir);
	printf("%u packets read alike\n", packets);
}
