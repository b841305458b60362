/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our node in the place of each node of the recordings in the directory $DRBDFS_CAPTURES. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/replay.h"

#define COUNT(steps) (sizeof(steps) / sizeof(steps[0]))
#define STEPS(list) .steps = list, .step_count = COUNT(list)

/* The Primary writes alone while it is disconnected. */
static const struct replay_step v9_c[] = {
	{ .at_ms = 0, .what = STEP_WRITE, .sector = 0, .bytes = 8192 },
	{ .at_ms = 0, .what = STEP_WRITE, .sector = 16000, .bytes = 4096 },
	{ .at_ms = 0, .what = STEP_WRITE, .sector = 512, .bytes = 65536 },
	{ .at_ms = 2200, .what = STEP_WRITE, .sector = 24, .bytes = 4096 },
};

static const struct replay_step v9_e[] = {
	{ .at_ms = 2300, .what = STEP_WRITE, .sector = 160, .bytes = 4096 },
	{ .at_ms = 2350, .what = STEP_WRITE, .sector = 168, .bytes = 4096 },
};

static const struct replay_step v84_c[] = {
	{ .at_ms = 0, .what = STEP_WRITE, .sector = 0, .bytes = 8192 },
	{ .at_ms = 0, .what = STEP_WRITE, .sector = 16000, .bytes = 4096 },
	{ .at_ms = 0, .what = STEP_WRITE, .sector = 512, .bytes = 65536 },
	{ .at_ms = 1950, .what = STEP_WRITE, .sector = 24, .bytes = 4096 },
};

static const struct replay_step mix_0[] = {
	{ .at_ms = 4700, .what = STEP_WRITE, .sector = 16000, .bytes = 4096 },
};

/* Node 0 dies as Primary and comes back with its disk. */
static const struct replay_step v9_g_0[] = {
	{ .at_ms = 3850, .what = STEP_CRASH },
	{ .at_ms = 23700, .what = STEP_RESTART },
};

/* Node 1 goes on alone when node 0 is dead. */
static const struct replay_step v9_g_1[] = {
	{ .at_ms = 15210, .what = STEP_COMMAND, .cmd = CMD_PRIMARY },
	{ .at_ms = 15310, .what = STEP_WRITE, .sector = 40, .bytes = 4096 },
	{ .at_ms = 15380, .what = STEP_WRITE, .sector = 2400, .bytes = 4096 },
};

/* Blocks of 4 KiB that were written before; and, at node 1, those that were changed while it was
 * down. */
#define BLOCK(n, ms, line)                                                                         \
	{ .at_ms = (ms), .what = STEP_CHANGE, .sector = (n) * 8, .bytes = 4096, .text = (line) }
#define BLOCKS_D                                                                                   \
	BLOCK(9, 0, "LAB d block 9"), BLOCK(10, 0, "LAB d block 10"),                              \
		BLOCK(100, 0, "LAB d block 100"), BLOCK(101, 0, "LAB d block 101")
#define CHANGED_D(ms)                                                                              \
	BLOCK(10, ms, "LAB d corrupt 10"), BLOCK(100, ms, "LAB d corrupt 100"),                    \
		BLOCK(101, ms, "LAB d corrupt 101")
static const struct replay_step v9_d_0[] = { BLOCKS_D };
static const struct replay_step v9_d_1[] = { BLOCKS_D, CHANGED_D(950) };
static const struct replay_step v9_d2_1[] = { BLOCKS_D, CHANGED_D(1550) };
static const struct replay_step v84_d_1[] = { BLOCKS_D, CHANGED_D(3380) };

static const struct replay_case cases[] = {
	{ .file = "v9-a-connect-skip-sync-write", .us = 0 },
	{ .file = "v9-a-connect-skip-sync-write", .us = 1 },
	{ .file = "v9-b-full-initial-sync", .us = 0 },
	{ .file = "v9-b-full-initial-sync", .us = 1 },
	{ .file = "v9-b2-full-sync-thin", .us = 0 },
	{ .file = "v9-b2-full-sync-thin", .us = 1 },
	{ .file = "v9-c-bitmap-resync", .us = 0, .primary = true, .alone = true, .reconnects = true,
	  STEPS(v9_c) },
	{ .file = "v9-c-bitmap-resync", .us = 1, .reconnects = true },
	{ .file = "v9-d-online-verify", .us = 0, .primary = true, .reconnects = true,
	  .dagtag = 32, STEPS(v9_d_0) },
	{ .file = "v9-d-online-verify", .us = 1, STEPS(v9_d_1) },
	{ .file = "v9-d2-verify-then-reconnect-stuck", .us = 0, .primary = true,
	  .reconnects = true, .dagtag = 32, STEPS(v9_d_0) },
	{ .file = "v9-d2-verify-then-reconnect-stuck", .us = 1, STEPS(v9_d2_1) },
	{ .file = "v9-e-auth-integrity-csums", .us = 0, .cram_hmac_alg = "sha256",
	  .secret = "lab-secret-1", .integrity_alg = "crc32c",
	  STEPS(v9_e) },
	{ .file = "v9-e-auth-integrity-csums", .us = 1, .cram_hmac_alg = "sha256",
	  .secret = "lab-secret-1", .integrity_alg = "crc32c" },
	{ .file = "v9-e2-wrong-secret", .us = 0, .cram_hmac_alg = "sha256",
	  .secret = "lab-secret-1" },
	{ .file = "v9-e2-wrong-secret", .us = 1, .cram_hmac_alg = "sha256",
	  .secret = "wrong-secret" },
	{ .file = "v9-f-three-nodes-diskless", .us = 0, .diskless = 4, .until_ms = 6500,
	  .stop_why = "the next one goes on, where this node is alone" },
	{ .file = "v9-f-three-nodes-diskless", .us = 0, .diskless = 4, .from_ms = 6500 },
	{ .file = "v9-f-three-nodes-diskless", .us = 1, .diskless = 4, .until_ms = 4950,
	  .stop_why = "a transaction that is begun again here, because a resync began in between" },
	{ .file = "v9-f-three-nodes-diskless", .us = 2, .diskless = 4, .until_ms = 2640,
	  .stop_why = "a generation without any node that misses it" },
	{ .file = "v9-g-role-change-peer-crash", .us = 0, STEPS(v9_g_0) },
	{ .file = "v9-g-role-change-peer-crash", .us = 1, STEPS(v9_g_1) },
	{ .file = "mix-v9-v84", .us = 0, STEPS(mix_0) },
	{ .file = "mix-v9-v84", .us = 1, .max_apv = 101, .features = 0xf },
	{ .file = "v84-a-connect-skip-sync-write", .us = 0 },
	{ .file = "v84-a-connect-skip-sync-write", .us = 1 },
	{ .file = "v84-b-full-initial-sync", .us = 0 },
	{ .file = "v84-b-full-initial-sync", .us = 1 },
	{ .file = "v84-c-bitmap-resync", .us = 0, .primary = true, .alone = true,
	  STEPS(v84_c) },
	{ .file = "v84-c-bitmap-resync", .us = 1 },
	{ .file = "v84-d-online-verify", .us = 0, .primary = true, STEPS(v9_d_0) },
	{ .file = "v84-d-online-verify", .us = 1, STEPS(v84_d_1) },
	{ .file = "v84-e-auth-integrity-csums", .us = 0, .cram_hmac_alg = "sha256",
	  .secret = "lab-secret-1", .integrity_alg = "crc32c",
	  STEPS(v9_e) },
	{ .file = "v84-e-auth-integrity-csums", .us = 1, .cram_hmac_alg = "sha256",
	  .secret = "lab-secret-1", .integrity_alg = "crc32c" },
	{ .file = "v9-h-protocol-a", .us = 0 },
	{ .file = "v9-h-protocol-a", .us = 1 },
};


#define CASES COUNT(cases)

/*
 * What is free to differ, each with its reason; everything else is a defect. Not compared at all,
 * see replay.c: pings (each node's own), the same P_STATE or P_UUIDS110 told twice in a row, sizes
 * of resync requests (the target's choice; the ranges are compared as a whole), how peer acks are
 * merged (the last one is compared), UUIDs, transaction ids, block ids, barrier and flush numbers
 * (paired: the same one stands for the same one).
 */
static const struct {
	enum replay_difference kind;
	const char *packet, *field;
	const char *reason;
} free_to_differ[] = {
	{ DIFF_FIELD, "CONNECTION_FEATURES", "min", "what a node refuses is its own business" },
	{ DIFF_FIELD, "CONNECTION_FEATURES", "feat",
	  "features that are not offered: src/wire/README.md" },
	{ DIFF_FIELD, "SIZES", "phys", "a property of the disk" },
	{ DIFF_FIELD, "SIZES", "iomin", "a property of the disk" },
	{ DIFF_FIELD, "SIZES", "ioopt", "a property of the disk" },
	{ DIFF_FIELD, "SIZES", "disc", "a diskless node passes discards on" },
	{ DIFF_FIELD, "SIZES", "d",
	  "a diskless node has no size of its own; c says what it shows" },
	{ DIFF_FIELD, "OV_RESULT_ID", "id",
	  "addresses, which the kernel uses again while our request is still under way" },
	{ DIFF_ORDER, "STATE", "TWOPC_PREPARE", "the end of a verify is told by both sides" },
	{ DIFF_MISSING, "UNPLUG_REMOTE", "",
	  "a hint to submit what is queued; nothing is held back here" },
	{ DIFF_FIELD, "DAGTAG", "dagtag", "counts what was written before the recording" },
	{ DIFF_EXTRA, "DAGTAG", "", "told when connected, not with the first write" },
	{ DIFF_ORDER, "DAGTAG", "STATE", "told when connected, not with the first write" },
	{ DIFF_ORDER, "DAGTAG", "UUIDS110", "told when connected, not with the first write" },
	{ DIFF_ORDER, "UUIDS110", "DAGTAG", "the count and the generations are independent" },
	{ DIFF_ORDER, "TWOPC_YES", "PING_ACK", "two threads answer there" },
	{ DIFF_ORDER, "RS_DATA_REPLY", "RS_DATA_REPLY", "replies come as the disk has read" },
	{ DIFF_MISSING, "PEERS_IN_SYNC", "",
	  "only to who can use it: a target knows by its own acks" },
	{ DIFF_EXTRA, "PEERS_IN_SYNC", "", "a node that became equal otherwise is told of, too" },
	{ DIFF_EXTRA, "STATE", "",
	  "a resync's steps are told one by one; the kernel merges some" },
	{ DIFF_ORDER, "STATE", "UUIDS110", "a change is told before what follows from it" },
	{ DIFF_ORDER, "UUIDS110", "STATE", "generations are told as soon as they change" },
	{ DIFF_EXTRA, "UUIDS110", "",
	  "who takes over or settles generations tells its neighbours" },
	{ DIFF_MISSING, "UUIDS110", "", "again with another weak mask, or to a diskless node" },
	{ DIFF_FIELD, "UUIDS110", "bitmap_uuids",
	  "to a diskless node, before it is cleared a moment later" },
	{ DIFF_FIELD, "UUIDS110", "history",
	  "a target keeps what it had; the kernel's push comes too early" },
	{ DIFF_FIELD, "UUIDS110", "history_uuids",
	  "a target keeps what it had; the kernel's push comes too early" },
};

/* The same with 8.4 in one of the two places, or in both. */
static const struct {
	enum replay_difference kind;
	const char *packet, *field;
	const char *text; /* part of the note */
	const char *reason;
} free_with_8_4[] = {
	{ DIFF_FIELD, "CONNECTION_FEATURES", "max", "", "8.4 was there" },
	{ DIFF_FIELD, "CONNECTION_FEATURES", "sender", "", "8.4 has no node ids" },
	{ DIFF_FIELD, "CONNECTION_FEATURES", "receiver", "", "8.4 has no node ids" },
	{ DIFF_FIELD, "STATE", "bits17+", "want 0x0 got 0x40", "8.4 has no quorum" },
	{ DIFF_FIELD, "STATE", "peer", "want 2 got 0", "not known before it is connected" },
	{ DIFF_FIELD, "STATE", "peer", "want 1 got 0", "not known before it is connected" },
	{ DIFF_FIELD, "STATE", "conn", "want 9(Off) got 8(Connecting)", "as 8.4 says it" },
	{ DIFF_FIELD, "STATE", "disk", "want 8 got 5",
	  "a Secondary whose Primary has left has old data; 8.4 says so when they meet again" },
	{ DIFF_FIELD, "UUIDS", "flags", "want 0x0 got 0x4", "the state says it as well" },
	{ DIFF_FIELD, "UUIDS", "bm", "want 0000000000000004", "nothing to refer to: 0, or random" },
	{ DIFF_FIELD, "UUIDS", "flags", "want 0x8 got 0xc", "the state says it as well" },
	{ DIFF_FIELD, "UUIDS", "cur", "want 3d8eb82c04c56733 got 3d8eb82c04c56732",
	  "8.4 marks a generation as a Primary's when it is promoted; it counts nowhere" },
	{ DIFF_FIELD, "SYNC_UUID", "uuid", "", "random where there was no reference" },
	{ DIFF_ORDER, "STATE", "CONN_ST_CHG_REQ", "", "a change of the disk is told, too" },
	{ DIFF_EXTRA, "UUIDS", "", "", "generations that changed are told; 8.4 knows by itself" },
	{ DIFF_MISSING, "UUIDS", "", "", "the same again, at once" },
	{ DIFF_FIELD, "STATE_CHG_REQ", "vol", "", "asked for the connection, as by DRBD 9" },
	{ DIFF_ORDER, "STATE", "UUIDS", "", "a change is told before what follows from it" },
	{ DIFF_ORDER, "UUIDS", "STATE", "", "generations are told as soon as they change" },
};

/* In one recording only. */
static const struct {
	const char *file, *packet, *field, *text, *reason;
} free_in_one[] = {
	/* What the kernel makes of bits that a verify has set, when it connects again. */
	{ "v9-d2", "UUIDS110", "dirty", "want 0 got 3",
	  "the kernel drops the bits, here they are kept" },
	{ "v9-d2", "STATE", "disk", "want 9 got 6",
	  "Outdated as long as blocks are marked towards the good disk" },
	{ "v9-d2", "STATE", "pdsk", "want 6 got 9",
	  "the kernel goes on saying Outdated of a peer that has told otherwise" },
	{ "v9-d2", "DAGTAG", "", "dagtag=32", "told again without a write in between" },
	{ "v9-f", "STATE", "bits17+", "want 0x42 got 0x40",
	  "that a resync runs with another node is told also to one without a disk" },
	{ "v9-f", "STATE", "disk", "want 5 got 9", "the same: one of these instead of the next" },
	{ "v9-f", "STATE", "", "peer=1 conn=10(Established) disk=5 pdsk=0", "the same" },
	{ "v9-f", "STATE", "", "peer=1 conn=10(Established) disk=9 pdsk=0", "the same" },
	{ "v9-f", "PEERS_IN_SYNC", "mask", "want 6 got 2", "a node without a disk is not named" },
	{ "v9-f", "UUIDS110", "COMPRESSED_BITMAP", "", "our bitmap comes when the peer asks" },
	{ "v9-f", "STATE", "COMPRESSED_BITMAP", "", "the same" },
	{ "v9-f", "STATE", "FLUSH_REQUESTS_ACK", "", "the same" },
	{ "v9-f", "STATE", "pdsk", "want 8 got 6", "the same: it has told Outdated" },
	{ "v9-f", "UUIDS110", "dirty", "want 0 got 1", "how far a resync is at that moment" },
};

static bool is_free_in_one(const struct replay_case *rc, const struct replay_note *n)
{
	for (unsigned i = 0; i < COUNT(free_in_one); i++) {
		if (strstr(rc->file, free_in_one[i].file) &&
		    !strcmp(n->packet, free_in_one[i].packet) &&
		    !strcmp(n->field, free_in_one[i].field) &&
		    strstr(n->text, free_in_one[i].text))
			return true;
	}
	return false;
}

static bool is_free_with_8_4(const struct replay_note *n)
{
	for (unsigned i = 0; i < COUNT(free_with_8_4); i++) {
		if (n->kind == free_with_8_4[i].kind &&
		    !strcmp(n->packet, free_with_8_4[i].packet) &&
		    !strcmp(n->field, free_with_8_4[i].field) &&
		    strstr(n->text, free_with_8_4[i].text))
			return true;
	}
	return false;
}

static bool is_free(const struct replay_note *n)
{
	for (unsigned i = 0; i < COUNT(free_to_differ); i++) {
		if (n->kind == free_to_differ[i].kind &&
		    !strcmp(n->packet, free_to_differ[i].packet) &&
		    !strcmp(n->field, free_to_differ[i].field))
			return true;
	}
	return false;
}

static unsigned run_case(const struct replay_case *rc, const char *dir, bool is_text)
{
	static struct replay_result result;
	static const char *kinds[] = { "other field", "not sent", "sent as well", "other order" };
	unsigned defects = 0;

	replay_run(rc, dir, is_text, &result);
	for (unsigned k = 0; k < result.note_count; k++) {
		const struct replay_note *n = &result.notes[k];
		bool ok = is_free(n) || (strstr(rc->file, "v84") && is_free_with_8_4(n)) ||
			  is_free_in_one(rc, n);

		defects += !ok;
		if (!ok || getenv("REPLAY_VERBOSE"))
			printf("   %s%s: %s %s: %s\n", ok ? "free: " : "", kinds[n->kind],
			       n->packet, n->field, n->text);
	}
	printf("%s as node %u: %u packets fed, %u expected, %u equal in all, %u defects%s%s\n",
	       rc->file, rc->us, result.fed, result.expected, result.equal, defects,
	       result.stopped ? "; up to here: " : "", result.stopped ? rc->stop_why : "");
	return defects;
}

Test(replay, recordings, .timeout = 250)
{
	const char *dir = getenv("DRBDFS_CAPTURES");
	const char *only = getenv("REPLAY_ONLY");
	unsigned defects = 0;

	if (!dir || !*dir) {
		printf("SKIP: no recordings: DRBDFS_CAPTURES does not name a directory\n");
		return;
	}
	for (unsigned i = 0; i < CASES; i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s:%u", cases[i].file, cases[i].us);
		if (!only || strstr(name, only))
			defects += run_case(&cases[i], dir, false);
	}
	cr_assert_eq(defects, 0, "%u differences without a reason", defects);
}

/* Excerpts of the recordings that are kept here. */
Test(replay, excerpts)
{
	static const struct replay_case excerpts[] = {
		{ .file = "connect-skip-sync-write", .us = 0 },
		{ .file = "connect-skip-sync-write", .us = 1 },
		{ .file = "bitmap-resync", .us = 0, .primary = true, .alone = true,
		  .reconnects = true, STEPS(v9_c) },
		{ .file = "bitmap-resync", .us = 1, .reconnects = true },
		{ .file = "full-initial-sync", .us = 0 },
		{ .file = "full-initial-sync", .us = 1 },
		{ .file = "role-change-peer-crash", .us = 0, STEPS(v9_g_0) },
		{ .file = "role-change-peer-crash", .us = 1, STEPS(v9_g_1) },
		{ .file = "drbd-9-and-8-4-v84", .us = 0, STEPS(mix_0) },
		{ .file = "drbd-9-and-8-4-v84", .us = 1, .max_apv = 101, .features = 0xf },
		{ .file = "bitmap-resync-v84", .us = 0, .primary = true, .alone = true,
		  STEPS(v84_c) },
		{ .file = "bitmap-resync-v84", .us = 1 },
		{ .file = "full-initial-sync-v84", .us = 0 },
		{ .file = "full-initial-sync-v84", .us = 1 },
		{ .file = "protocol-a", .us = 0 },
		{ .file = "protocol-a", .us = 1 },
		{ .file = "wrong-secret", .us = 0, .cram_hmac_alg = "sha256",
		  .secret = "lab-secret-1" },
		{ .file = "wrong-secret", .us = 1, .cram_hmac_alg = "sha256",
		  .secret = "wrong-secret" },
	};
	unsigned defects = 0;

	for (unsigned i = 0; i < COUNT(excerpts); i++)
		defects += run_case(&excerpts[i], "tests/vectors/replay", true);
	cr_assert_eq(defects, 0, "%u differences without a reason", defects);
}

/* The exchange of older releases: what they agree on instead follows from theirs being less. */
Test(replay, what_if_the_other_is_older)
{
	static const uint32_t features[] = { 0xf, 0x2f, 0x6f };
	unsigned defects = 0;

	for (uint32_t apv = 118; apv <= 123; apv++) {
		for (unsigned i = 0; i < 2 * COUNT(features); i++) {
			struct replay_case rc = { .file = "connect-skip-sync-write",
						  .us = i % 2,
						  .max_apv = apv,
						  .features = features[i / 2] };

			defects += run_case(&rc, "tests/vectors/replay", true);
		}
	}
	cr_assert_eq(defects, 0, "%u differences without a reason", defects);
}
