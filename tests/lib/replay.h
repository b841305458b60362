/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replays a recording against our node: what the others sent there is fed to one core by way of
 * the codec, and what the core sends is compared with what the real node sent. What operators and
 * applications did at the real node is seen in its own packets and done here at the same place.
 * No sockets; time is virtual.
 */
#ifndef TESTS_LIB_REPLAY_H
#define TESTS_LIB_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

/* What the recording does not show: done before the recording's time `at_ms`. */
struct replay_step {
	uint32_t at_ms;
	/* STEP_CHANGE: behind the node's back, or before the recording */
	enum { STEP_WRITE, STEP_COMMAND, STEP_CRASH, STEP_RESTART, STEP_CHANGE } what;
	uint64_t sector;
	uint32_t bytes;
	enum core_command cmd;
	uint8_t peer;
	const char *text; /* STEP_CHANGE: lines of this fill the bytes */
};

struct replay_case {
	const char *file;      /* without .pcap */
	uint8_t us;            /* the node that we are, by ascending address */
	uint32_t diskless;     /* mask of nodes */
	bool alone;            /* it wrote alone since the connection before: with `primary` */
	bool primary;          /* since before the first connection that is replayed */
	bool reconnects;       /* there was a connection before it */
	uint64_t dagtag;       /* what it had written as Primary before */
	enum wire_protocol protocol; /* 0 = C */
	const char *cram_hmac_alg, *secret;
	const char *integrity_alg;
	uint32_t from_ms;      /* what comes before is not replayed */
	uint32_t max_apv, features; /* what if the others had offered only this; 0 = as recorded */
	uint32_t until_ms;     /* what comes after is not replayed, 0 = all is */
	const char *stop_at;   /* first packet that is not replayed, with all behind it */
	const char *stop_why;
	const struct replay_step *steps;
	unsigned step_count;
};

enum replay_difference {
	DIFF_FIELD,   /* a field of a packet that both sent */
	DIFF_MISSING, /* the real node sent it, we did not */
	DIFF_EXTRA,   /* we sent it, the real node did not */
	DIFF_ORDER,   /* we sent it later than another packet that it preceded there */
};

struct replay_note {
	enum replay_difference kind;
	char packet[32];
	char field[32];   /* ORDER: the packet that overtook it */
	char text[256];
};

#define REPLAY_NOTES_MAX 4096U

struct replay_result {
	unsigned fed, expected, equal;
	unsigned note_count;
	struct replay_note notes[REPLAY_NOTES_MAX];
	bool stopped;
};

/* Either DIR/FILE.pcap, or the excerpt DIR/FILE.txt. */
void replay_run(const struct replay_case *rc, const char *dir, bool is_text,
		struct replay_result *result);

#endif
