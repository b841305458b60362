/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs drbdmeta. */
#include "drbdmeta.h"

#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "meta/meta_text.h"
#include "scratch.h"

#define ARGS_MAX 16U
#define SKIPPED 77
/* drbdmeta notes sizes per minor; minor "-" is none of a real device. */
#define LAST_KNOWN "/var/lib/drbd/drbd-minor--1.lkbd"

extern char **environ;
static bool has_members, has_bit_sizes;

static int spawn(const char *program, const char *const *argv, const char *out)
{
	posix_spawn_file_actions_t fa;
	int status;
	pid_t pid;

	ASSERT(posix_spawn_file_actions_init(&fa) == 0);
	ASSERT(posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0) == 0);
	ASSERT(posix_spawn_file_actions_addopen(&fa, 1, out ? out : "/dev/null",
						O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0);
	ASSERT(posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0) == 0);
	if (posix_spawn(&pid, program, &fa, NULL, (char **)(uintptr_t)argv, environ) != 0)
		return -1;
	posix_spawn_file_actions_destroy(&fa);
	ASSERT(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *program_path(void)
{
	const char *path = getenv("DRBDMETA");

	return path && *path ? path : "/usr/sbin/drbdmeta";
}

static int run(const char *option, const char *version, const struct md_where *where,
	       const char *out, const char *command, va_list ap)
{
	const char *store = where->meta_path ? where->meta_path : where->data_path;
	const char *argv[ARGS_MAX];
	unsigned n = 0;

	argv[n++] = "drbdmeta";
	argv[n++] = "--force";
	if (option)
		argv[n++] = option;
	argv[n++] = "-";
	argv[n++] = version;
	argv[n++] = store;
	argv[n++] = drbdmeta_place(where);
	argv[n++] = command;
	do {
		ASSERT(n < ARGS_MAX);
		argv[n] = va_arg(ap, const char *);
	} while (argv[n++]);
	return spawn(program_path(), argv, out);
}

int drbdmeta(const char *version, const struct md_where *where, const char *out,
	     const char *command, ...)
{
	va_list ap;
	int rc;

	va_start(ap, command);
	rc = run(NULL, version, where, out, command, ap);
	va_end(ap);
	return rc;
}

int drbdmeta_with(const char *option, const char *version, const struct md_where *where,
		  const char *out, const char *command, ...)
{
	va_list ap;
	int rc;

	va_start(ap, command);
	rc = run(option, version, where, out, command, ap);
	va_end(ap);
	return rc;
}

const char *drbdmeta_place(const struct md_where *where)
{
	static char index[16];

	switch (where->place) {
	case MD_PLACE_INTERNAL:
		return "internal";
	case MD_PLACE_EXTERNAL:
		return "flex-external";
	case MD_PLACE_INDEXED:
		break;
	}
	(void)snprintf(index, sizeof(index), "%" PRIu32, where->index);
	return index;
}

/* What it can do shows in what it makes. */
const char *drbdmeta_program(void)
{
	struct md_where where = { .data_path = scratch_file("probe", 1 << 20) };
	const char *out = scratch_path("probe.txt");
	char *dump;
	size_t bytes;

	if (access(program_path(), X_OK) != 0 || drbdmeta("v09", &where, NULL, "create-md", "1",
							  NULL) != 0)
		return NULL;
	ASSERT(drbdmeta("v09", &where, out, "dump-md", NULL) == 0);
	dump = drbdmeta_slurp(out, &bytes);
	has_members = strstr(dump, "\nmembers ");
	free(dump);
	where.data_path = scratch_file("probe", 1 << 20);
	has_bit_sizes = drbdmeta_with("--bitmap-block-size=8192", "v09", &where, NULL, "create-md",
				      "1", NULL) == 0;
	return program_path();
}

bool drbdmeta_has_members(void)
{
	return has_members;
}

bool drbdmeta_has_bit_sizes(void)
{
	return has_bit_sizes;
}

char *drbdmeta_slurp(const char *path, size_t *bytes)
{
	struct stat st;
	char *p;

	ASSERT(stat(path, &st) == 0);
	*bytes = (size_t)st.st_size;
	p = calloc(1, *bytes + 1);
	ASSERT(p);
	scratch_read(path, 0, p, *bytes);
	return p;
}

const char *drbdmeta_body(const char *dump)
{
	const char *body = strstr(dump, "version \"");

	ASSERT(body);
	return body;
}

struct sink {
	struct md_store *store;
	char *text;
	size_t used, room;
};

static int sink_page(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	return md_store_read_bitmap_page(((struct sink *)ctx)->store, page, block);
}

static int sink_emit(void *ctx, const char *text, size_t bytes)
{
	struct sink *sink = ctx;

	while (sink->used + bytes + 1 > sink->room) {
		sink->room = sink->room ? 2 * sink->room : 65536;
		sink->text = realloc(sink->text, sink->room);
		ASSERT(sink->text);
	}
	memcpy(sink->text + sink->used, text, bytes);
	sink->used += bytes;
	sink->text[sink->used] = '\0';
	return 0;
}

char *drbdmeta_our_dump(const struct md_where *where)
{
	struct sink sink = { 0 };
	struct md_view view;
	struct meta_text text = { .super = &view.super, .no_members = !has_members,
				  .read_page = sink_page, .emit = sink_emit, .ctx = &sink };
	struct err err = ERR_INIT;

	if (md_offline_open(where, false, &sink.store, &view, &err) != 0) {
		printf("%s\n", err.text);
		ASSERT(false);
	}
	text.version = view.version;
	text.super_byte = view.super_byte;
	text.usable_sectors = view.dump_sectors;
	ASSERT(meta_text_dump(&text) == 0);
	md_store_close(sink.store);
	return sink.text;
}

int drbdmeta_read_stdio(void *ctx, char *buf, size_t room, size_t *got)
{
	*got = fread(buf, 1, room, ctx);
	return ferror((FILE *)ctx) ? -1 : 0;
}

/* drbd-utils before 9.34 print 0 there whatever the flags of v08 are. */
static void mend_v08_flags(const char *version, char *theirs, const char *ours)
{
	char *at = strstr(theirs, "\n    flags 0x");
	const char *from = strstr(ours, "\n    flags 0x");

	if (!has_bit_sizes && strcmp(version, "v08") == 0 && at && from)
		memcpy(at, from, strlen("\n    flags 0x00000000"));
}

void drbdmeta_same_dump(const struct md_where *where, const char *version)
{
	const char *out = scratch_path("dump"), *a, *b;
	char *ours = drbdmeta_our_dump(where), *theirs;
	size_t bytes, at = 0;

	ASSERT(drbdmeta(version, where, out, "dump-md", NULL) == 0);
	theirs = drbdmeta_slurp(out, &bytes);
	mend_v08_flags(version, theirs, ours);
	/* What both say about a size that was cut down. */
	ASSERT(!strstr(theirs, "# la-size-sect was") == !strstr(ours, "# la-size-sect was"));
	a = drbdmeta_body(ours);
	b = drbdmeta_body(theirs);
	if (strcmp(a, b) != 0) {
		while (a[at] == b[at])
			at++;
		at = at > 400 ? at - 400 : 0;
		printf("%.800s\n--- drbdmeta printed\n%.800s\n", a + at, b + at);
		(void)fflush(stdout);
		ASSERT(false);
	}
	free(theirs);
	free(ours);
}

void drbdmeta_random_peers(struct md_super *s, struct prng *rng)
{
	int32_t slot = 0;

	for (int32_t i = 0; i < NODES_MAX; i++) {
		s->peers[i].bitmap_uuid = prng_u64(rng);
		s->peers[i].bitmap_dagtag = prng_u64(rng);
		s->peers[i].flags = (uint32_t)(prng_u64(rng) & prng_u64(rng)) & 0x7fffffff;
		if (i != s->node_id && slot < (int32_t)s->max_peers && prng_chance(rng, 1, 3))
			s->peers[i].bitmap_index = slot++;
	}
}

void drbdmeta_random_bitmap(uint8_t *bitmap, size_t bytes, unsigned max_peers, struct prng *rng)
{
	ASSERT(bitmap);
	memset(bitmap, 0, bytes);
	for (size_t i = 0; i < bytes; i += 4) {
		size_t n = 4 * (size_t)prng_exp(rng, 24 * max_peers);
		unsigned kind = (unsigned)prng_below(rng, 4);

		if (n > bytes - i)
			n = bytes - i;
		if (kind == 0)
			memset(bitmap + i, 0xff, n);
		else if (kind == 1 && n)
			bitmap[i + prng_below(rng, n)] = (uint8_t)prng_u64(rng);
		else if (kind == 2 && n < 64)
			prng_bytes(rng, bitmap + i, n);
		i += n / 4 * 4;
	}
}

static void say_assertion(const char *expr, const char *file, int line)
{
	(void)fflush(stdout);
	fprintf(stderr, "%s:%d: %s\n", file, line, expr);
}

int drbdmeta_test(uint64_t seed, void (*run_all)(uint64_t seed))
{
	bool noted = access(LAST_KNOWN, F_OK) == 0, found;

	printf("seed %" PRIu64 "\n", seed);
	assert_hook = say_assertion;
	scratch_begin();
	found = drbdmeta_program();
	if (found)
		run_all(seed);
	else
		printf("needs a drbdmeta (drbd-utils) that works on a file here\n");
	scratch_end();
	if (!noted)
		(void)unlink(LAST_KNOWN);
	return found ? 0 : SKIPPED;
}
