/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trace lines of packets that are not among the recorded ones, and the limits of the line. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/assert.h"
#include "wire/wire.h"

static const struct {
	struct pkt pkt;
	const char *text;
} cases[] = {
	{ { .type = P_OUT_OF_SYNC, .vnr = 7, .u.block = { .sector = 8, .bytes = 4096 } },
	  "vol=7 OUT_OF_SYNC sector=8 size=4096" },
	{ { .type = P_NEG_ACK,
	    .vnr = 65534,
	    .u.block = { .sector = 16, .block_id = UINT64_MAX, .bytes = 512, .seq = 3 } },
	  "vol=65534 NEG_ACK sector=16 id=ffffffffffffffff size=512 seq=3" },
	{ { .type = P_CSUM_RS_REQUEST, .var_bytes = 20, .u.block = { .bytes = 4096 } },
	  "vol=0 CSUM_RS_REQUEST sector=0 id=0000000000000000 size=4096 extra=20" },
	{ { .type = P_BITMAP, .var_bytes = 4080 }, "vol=0 BITMAP len=4080" },
	{ { .type = P_CONFIRM_STABLE,
	    .vnr = VNR_NONE,
	    .u.confirm = { .oldest_block_id = 1, .youngest_block_id = 2, .set_size = 3 } },
	  "vol=- CONFIRM_STABLE oldest=0000000000000001 youngest=0000000000000002 n=3" },
	{ { .type = P_TWOPC_PREP_RSZ,
	    .u.twopc = { .tid = 0xab,
			 .flags = TWOPC_FLAG_V2,
			 .target = -1,
			 .user_sectors = 0x1000,
			 .dds_flags = 2 } },
	  "vol=0 TWOPC_PREP_RSZ tid=000000ab flags=0x80000000 init=0 tgt=-1 "
	  "reach=0000000000000000 A=0000000000001000 B=0002000000000000" },
	{ { .type = P_TWOPC_ABORT,
	    .vnr = VNR_NONE,
	    .u.twopc = { .tid = 1, .initiator = 3, .target = 31, .mask = 0x1f3, .val = 0x91 } },
	  "vol=- TWOPC_ABORT tid=00000001 init=3 tgt=31 reach=0000000000000000 "
	  "A=0000000000000000 B=000001f300000091" },
	{ { .type = P_TWOPC_NO, .vnr = VNR_NONE, .u.twopc_reply = { .tid = 1, .weak_nodes = 0xf } },
	  "vol=- TWOPC_NO tid=00000001 init=0 reachable=0 primary=0 weak=f" },
	{ { .type = P_STATE, .u.state = 0x1f0 },
	  "vol=0 STATE role=0 peer=0 conn=31(?) disk=0 pdsk=0 bits17+=0x0" },
	{ { .type = P_PROTOCOL,
	    .vnr = VNR_NONE,
	    .u.protocol = { .integrity_alg = "a\033[1m\xff" } },
	  "vol=- PROTOCOL prot=0 sb=0/0/0 cf=0 2pri=0 alg=a?[1m?" },
	{ { .type = P_AUTH_RESPONSE, .vnr = VNR_NONE, .u.auth = { .bytes = 32 } },
	  "vol=- AUTH_RESPONSE" },
	{ { .type = P_DISCONNECT, .vnr = VNR_NONE }, "vol=- DISCONNECT" },
	{ { .type = P_INITIAL_DATA, .vnr = VNR_NONE }, "vol=- INITIAL_DATA" },
	{ { .type = 0x1234, .vnr = VNR_NONE }, "vol=- 0x1234" },
};

Test(wire_trace, text)
{
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		char line[512];
		int n = wire_format(&cases[i].pkt, line, sizeof(line));

		cr_assert_str_eq(line, cases[i].text);
		cr_assert_eq(n, (int)strlen(line));
	}
}

Test(wire_trace, line_is_cut_at_its_space)
{
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		size_t whole = strlen(cases[i].text);

		for (size_t room = 0; room <= whole + 1; room++) {
			char line[512];
			size_t want = room ? room - 1 : 0;

			memset(line, 'x', sizeof(line));
			if (want > whole)
				want = whole;
			cr_assert_eq(wire_format(&cases[i].pkt, line, room), (int)want);
			cr_assert_eq(memcmp(line, cases[i].text, want), 0);
			cr_assert_eq(line[want], room ? '\0' : 'x');
			cr_assert_eq(line[want + 1], 'x');
		}
	}
}
