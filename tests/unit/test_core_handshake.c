/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connecting two and three cores: versions, authentication,
 * sizes, the exchange inside the transaction. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/assert.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "../lib/core_pair.h"

static const char *reason(struct pair *p, unsigned node, unsigned peer)
{
	return pair_core(p, node)->peer[peer]->reason;
}

Test(handshake, two_fresh_nodes_connect)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 1, 0), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_repl(p, 0, 1), REPL_ESTABLISHED);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_ESTABLISHED);
	cr_assert_eq(pair_disk(p, 0), DISK_INCONSISTENT);
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_INCONSISTENT);
	cr_assert_eq(pair_core(p, 0)->peer[1]->apv, APV_MAX);
	cr_assert_eq(pair_core(p, 0)->peer[1]->features, FEATURES_OFFERED);
	pair_free(p);
}

Test(handshake, order_of_the_exchange)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up(p);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(pair_sent(p, i, 1 - i, P_PROTOCOL), 1);
		cr_assert_eq(pair_sent(p, i, 1 - i, P_SYNC_PARAM89), 1);
		cr_assert_eq(pair_sent(p, i, 1 - i, P_SIZES), 1);
		cr_assert_eq(pair_sent(p, i, 1 - i, P_UUIDS110), 1);
		/* One inside the transaction, one as Connected. */
		cr_assert_eq(pair_sent(p, i, 1 - i, P_STATE), 2);
	}
	/* Only the lower node id initiates. */
	cr_assert_eq(pair_sent(p, 0, 1, P_TWOPC_PREPARE), 1);
	cr_assert_eq(pair_sent(p, 0, 1, P_TWOPC_COMMIT), 1);
	cr_assert_eq(pair_sent(p, 1, 0, P_TWOPC_PREPARE), 0);
	cr_assert_eq(pair_sent(p, 1, 0, P_TWOPC_YES), 1);
	pair_free(p);
}

/* Else many nodes would begin from the streams on again and again, each time without a pause. */
Test(handshake, streams_outlast_the_longest_pause_between_two_tries)
{
	static const unsigned counts[] = { 1, 8, 11, 17, 31 };
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core = pair_core(p, 0);
	struct peer *peer = core->peer[1];

	pair_up(p);
	peer->phase = HS_READY;
	for (unsigned i = 0; i < ARRAY_LEN(counts) * 200; i++) {
		core->peer_count = counts[i % ARRAY_LEN(counts)];
		core->twopc.connects_failed = 100;
		handshake_deadline_arm(core, peer);
		handshake_failed(core, peer, SS_TIMEOUT);
		cr_assert_lt(peer->hs_again_ns, peer->hs_deadline_ns, "%u", core->peer_count);
	}
	core->peer_count = 1;
	pair_free(p);
}

Test(handshake, skip_initial_sync)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

Test(handshake, three_nodes_in_any_order_of_delivery)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .seed = seed });

		pair_up_to_date(p);
		cr_assert(pair_wait(p, 10000, pair_healthy), "seed %llu\n%s",
			  (unsigned long long)seed, pair_describe(p));
		pair_free(p);
	}
}

Test(handshake, four_nodes)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 4 });

	pair_up_to_date(p);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	pair_free(p);
}

/* ---- authentication ---- */

static void with_secret(struct core_conf *conf)
{
	for (unsigned i = 0; i < conf->peer_count; i++) {
		strcpy(conf->peers[i].net.cram_hmac_alg, "sha256");
		strcpy(conf->peers[i].net.shared_secret, "open sesame");
	}
}

static void with_own_secret(struct core_conf *conf)
{
	with_secret(conf);
	if (conf->node_id == 1)
		strcpy(conf->peers[0].net.shared_secret, "open barley");
}

static void one_sided_secret(struct core_conf *conf)
{
	if (conf->node_id == 1)
		with_secret(conf);
}

Test(auth, same_secret_connects)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = with_secret });

	pair_up(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, 0, 1, P_AUTH_CHALLENGE), 1);
	cr_assert_eq(pair_sent(p, 0, 1, P_AUTH_RESPONSE), 1);
	pair_free(p);
}

Test(auth, other_secret_ends_standalone)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = with_own_secret });

	pair_up(p);
	cr_assert(pair_conn(p, 0, 1) == CONN_STANDALONE || pair_conn(p, 1, 0) == CONN_STANDALONE,
		  "%s", pair_describe(p));
	cr_assert(strstr(pair_describe(p), "shared-secret"), "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, 0, 1, P_PROTOCOL), 0);
	cr_assert_eq(pair_sent(p, 1, 0, P_PROTOCOL), 0);
	pair_free(p);
}

Test(auth, one_sided_never_connects)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = one_sided_secret });

	pair_up(p);
	pair_pass_ms(p, 10000);
	cr_assert_neq(pair_conn(p, 0, 1), CONN_CONNECTED);
	cr_assert_neq(pair_conn(p, 1, 0), CONN_CONNECTED);
	pair_free(p);
}

/* ---- a hostile or wrong peer, played by hand towards node 0 ---- */

static struct pair *half_open(void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = tune, .no_connect = true });

	pair_up(p);
	/* What the real node 1 says does not get through. */
	pair_hold(p, 1, 0, STREAM_DATA, true);
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_peer_command(p, 1, CMD_CONNECT, 0);
	pair_peer_command(p, 0, CMD_CONNECT, 1);
	cr_assert_eq(pair_core(p, 0)->peer[1]->phase, HS_FEATURES);
	return p;
}

static void say(struct pair *p, enum stream stream, const struct pkt *pkt)
{
	struct core_event ev = { .kind = EV_PKT, .now_ns = pair_core(p, 0)->now_ns };
	struct core_action a;

	ev.u.pkt.peer = 1;
	ev.u.pkt.stream = (uint8_t)stream;
	ev.u.pkt.pkt = pkt;
	core_step(pair_core(p, 0), &ev);
	while (core_next(pair_core(p, 0), &a))
		;
}

static struct pkt features(void)
{
	struct pkt pkt = { .type = P_CONNECTION_FEATURES, .vnr = VNR_NONE };

	pkt.u.features = (struct pkt_features){
		.protocol_min = 86,
		.protocol_max = 124,
		.features = FEATURES_OFFERED,
		.sender_node_id = 1,
		.receiver_node_id = 0,
	};
	return pkt;
}

static struct pkt protocol(void)
{
	struct pkt pkt = { .type = P_PROTOCOL, .vnr = VNR_NONE };

	pkt.u.protocol.protocol = PROTOCOL_C;
	return pkt;
}

Test(features, versions)
{
	static const struct {
		uint32_t min, max, features;
		unsigned apv; /* 0 = StandAlone */
	} cases[] = {
		{ 86, 124, FEATURES_OFFERED, 124 },
		{ 86, 123, FEATURES_OFFERED | 0x40000000U, 123 },
		{ 121, 121, FEATURES_OFFERED & ~FEATURE_RESYNC_DAGTAG, 121 },
		{ 86, 121, FEATURES_OFFERED, 0 },
		{ 118, 200, FEATURES_OFFERED, 124 },
		{ 86, 120, FEATURES_OFFERED, 120 },
		{ 86, 118, 0xf, 118 },
		{ 86, 117, 0xf, 0 },
		{ 125, 130, FEATURES_OFFERED, 0 },
		{ 124, 0, FEATURES_OFFERED, 124 },
		{ 86, 101, 0xf, 101 },
		{ 86, 100, 0xf, 0 },
		{ 0, 0, 0, 0 },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX, 0 },
		{ 86, 121, 0xf, 121 }, /* 9.1.4 to 9.1.12: first layout of two-phase commit */
		{ 86, 124, FEATURES_OFFERED & ~FEATURE_TWOPC_V2, 124 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair *p = half_open(NULL);
		struct pkt pkt = features();

		pkt.u.features.protocol_min = cases[i].min;
		pkt.u.features.protocol_max = cases[i].max;
		pkt.u.features.features = cases[i].features;
		say(p, STREAM_DATA, &pkt);
		if (cases[i].apv) {
			cr_assert_eq(pair_core(p, 0)->peer[1]->apv, cases[i].apv, "case %u", i);
			cr_assert_eq(pair_core(p, 0)->peer[1]->features,
				     cases[i].features & FEATURES_OFFERED);
		} else {
			cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "case %u", i);
		}
		pair_free(p);
	}
}

Test(features, refusal_names_the_release_that_is_needed)
{
	static const struct {
		uint32_t min, max;
		const char *text;
	} cases[] = {
		{ 86, 117, "DRBD 9.0.26 or later" },
		{ 86, 100, "DRBD 8.4.2 or later" },
		{ 125, 130, "update drbdfs here" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair *p = half_open(NULL);
		struct pkt pkt = features();

		pkt.u.features.protocol_min = cases[i].min;
		pkt.u.features.protocol_max = cases[i].max;
		say(p, STREAM_DATA, &pkt);
		cr_assert(strstr(reason(p, 0, 1), cases[i].text), "%s", reason(p, 0, 1));
		pair_free(p);
	}
}

/* It has no node ids; without auth everything of the exchange follows at once. */
Test(features, drbd_8_4)
{
	struct pair *p = half_open(NULL);
	struct pkt pkt = features();

	pkt.u.features.protocol_max = 101;
	pkt.u.features.features = 0xf;
	pkt.u.features.sender_node_id = 0;
	say(p, STREAM_DATA, &pkt);
	pkt = protocol();
	say(p, STREAM_DATA, &pkt);
	cr_assert_eq(pair_core(p, 0)->peer[1]->phase, HS_READY);
	cr_assert_neq(pair_core(p, 0)->peer[1]->pd[0].state_word_sent, 0);
	cr_assert_eq(pair_core(p, 0)->twopc.phase, TWOPC_IDLE);
	cr_assert_eq(pair_core(p, 0)->twopc.want_connect, 0);
	pair_free(p);
}

Test(features, wrong_node_id_is_tried_again)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pair *p = half_open(NULL);
		struct pkt pkt = features();

		if (i)
			pkt.u.features.receiver_node_id = 5;
		else
			pkt.u.features.sender_node_id = 5;
		say(p, STREAM_DATA, &pkt);
		cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTING);
		cr_assert_not(pair_core(p, 0)->peer[1]->streams_up);
		cr_assert(strstr(reason(p, 0, 1), "node ids do not match"), "%s",
			  reason(p, 0, 1));
		pair_free(p);
	}
}

Test(auth, reflection_is_refused)
{
	struct pair *p = half_open(with_secret);
	struct pkt pkt = features();

	say(p, STREAM_DATA, &pkt);
	pkt = (struct pkt){ .type = P_AUTH_CHALLENGE, .vnr = VNR_NONE };
	pkt.u.auth.bytes = AUTH_CHALLENGE_BYTES;
	memcpy(pkt.u.auth.data, pair_core(p, 0)->peer[1]->my_challenge, AUTH_CHALLENGE_BYTES);
	say(p, STREAM_DATA, &pkt);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	cr_assert(strstr(reason(p, 0, 1), "own challenge"));
	pair_free(p);
}

Test(auth, nothing_else_before_it)
{
	static const uint16_t types[] = { P_PROTOCOL, P_STATE, P_TWOPC_PREPARE, P_DATA,
					  P_UUIDS110, P_DISCONNECT, P_SIZES };

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		struct pair *p = half_open(with_secret);
		struct pkt pkt = features();

		say(p, STREAM_DATA, &pkt);
		pkt = (struct pkt){ .type = types[i] };
		say(p, STREAM_DATA, &pkt);
		cr_assert_not(pair_core(p, 0)->peer[1]->streams_up, "type 0x%x", types[i]);
		cr_assert(strstr(reason(p, 0, 1), "unexpected packet"), "%s", reason(p, 0, 1));
		pair_free(p);
	}
}

Test(protocol, a_difference_is_named)
{
	static const char *const options[] = { "protocol",      "after-sb-0pri",
					       "after-sb-1pri", "after-sb-2pri",
					       "allow-two-primaries", "data-integrity-alg" };

	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		struct pair *p = half_open(NULL);
		struct pkt pkt = features();

		say(p, STREAM_DATA, &pkt);
		pkt = protocol();
		if (i == 0)
			pkt.u.protocol.protocol = PROTOCOL_A;
		else if (i == 1)
			pkt.u.protocol.after_sb_0p = ASB_DISCARD_ZERO_CHANGES;
		else if (i == 2)
			pkt.u.protocol.after_sb_1p = UINT32_MAX;
		else if (i == 3)
			pkt.u.protocol.after_sb_2p = ASB_VIOLENTLY;
		else if (i == 4)
			pkt.u.protocol.two_primaries = 1;
		else
			strcpy(pkt.u.protocol.integrity_alg, "crc32c");
		say(p, STREAM_DATA, &pkt);
		cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", options[i]);
		cr_assert(strstr(reason(p, 0, 1), options[i]), "%s", reason(p, 0, 1));
		pair_free(p);
	}
}

static void with_digests(struct core_conf *conf)
{
	strcpy(conf->peers[0].net.data_integrity_alg, "crc32c");
}

/* Only without P_ZEROES, which a DRBD kernel misreads then. */
Test(protocol, digests_exclude_write_zeroes)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = with_digests });

	pair_up(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_not(pair_core(p, 0)->peer[1]->features & FEATURE_WZEROES);
	cr_assert(pair_core(p, 0)->peer[1]->features & FEATURE_TRIM);
	pair_free(p);
}

static void mirrored_policies(struct core_conf *conf)
{
	conf->peers[0].net.after_sb_0p = conf->node_id ? ASB_DISCARD_LOCAL : ASB_DISCARD_REMOTE;
}

Test(protocol, discard_local_fits_discard_remote)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = mirrored_policies });

	pair_up(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	pair_free(p);
}

/* ---- packets out of their phase, and impossible contents, on a live connection ---- */

static void expect_drop(const struct pkt *pkt, enum stream stream)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	say(p, stream, pkt);
	cr_assert_not(pair_core(p, 0)->peer[1]->streams_up, "packet 0x%x was accepted",
		      pkt->type);
	/* The node is well and comes back. */
	pair_cut(p, 0, 1);
	pair_heal(p, 0, 1);
	if (pair_conn(p, 0, 1) == CONN_STANDALONE)
		pair_peer_command(p, 0, CMD_CONNECT, 1);
	cr_assert(pair_wait(p, 30000, pair_healthy), "packet 0x%x\n%s", pkt->type,
		  pair_describe(p));
	pair_free(p);
}

Test(packets, handshake_packets_do_not_come_twice)
{
	static const uint16_t types[] = { P_CONNECTION_FEATURES, P_AUTH_CHALLENGE,
					  P_AUTH_RESPONSE, P_PROTOCOL };

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		struct pkt pkt = { .type = types[i], .vnr = VNR_NONE };

		expect_drop(&pkt, STREAM_DATA);
	}
}

Test(packets, unsupported_or_unknown)
{
	static const uint16_t types[] = { P_OV_REQUEST, P_CSUM_RS_REQUEST, P_RS_THIN_REQ, 0x5f,
					  0x60, 0xfff1, 0xffff, 0x12 };

	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		struct pkt pkt = { .type = types[i] };

		expect_drop(&pkt, STREAM_DATA);
	}
}

Test(packets, a_volume_that_does_not_exist)
{
	struct pkt pkt = { .type = P_OUT_OF_SYNC, .vnr = 7 };

	pkt.u.block.bytes = 4096;
	expect_drop(&pkt, STREAM_DATA);
}

Test(packets, states_out_of_range)
{
	static const uint32_t words[] = { 3, 31U << SW_CONN_SHIFT, 10U << SW_DISK_SHIFT,
					  15U << SW_PDSK_SHIFT, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		struct pkt pkt = { .type = P_STATE, .vnr = 0 };

		pkt.u.state = words[i];
		expect_drop(&pkt, STREAM_DATA);
	}
}

Test(packets, transactions_of_impossible_nodes)
{
	static const int8_t nodes[] = { -1, 0, 32, 127, -128 };

	for (unsigned i = 0; i < ARRAY_LEN(nodes); i++) {
		struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };

		pkt.u.twopc.tid = 1;
		pkt.u.twopc.initiator = nodes[i];
		pkt.u.twopc.target = -1;
		pkt.u.twopc.mask = SW_ROLE_MASK;
		pkt.u.twopc.val = ROLE_PRIMARY;
		expect_drop(&pkt, STREAM_DATA);
	}
}

/* ---- sizes ---- */

Test(sizes, the_smaller_disk_counts)
{
	struct pair *p = pair_new(&(struct pair_opts){ .sectors = { 65536, 40004 } });

	pair_up(p);
	cr_assert_eq(pair_core(p, 0)->vol[0]->size_sectors, 40000);
	cr_assert_eq(pair_core(p, 1)->vol[0]->size_sectors, 40000);
	cr_assert_eq(core_md(pair_core(p, 0), 0)->effective_sectors, 40000);
	pair_free(p);
}

Test(sizes, data_are_never_cut_off)
{
	struct pair *p = pair_new(&(struct pair_opts){ .no_connect = true,
						       .sectors = { 65536, 40000 } });
	struct ev_command fresh = { .cmd = CMD_NEW_CURRENT_UUID, .clear_bitmap = true };

	pair_up(p);
	cr_assert_geq(pair_command(p, 0, &fresh), SS_SUCCESS, "%s", pair_text(p));
	pair_peer_command(p, 0, CMD_CONNECT, 1);
	pair_peer_command(p, 1, CMD_CONNECT, 0);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert(strstr(reason(p, 0, 1), "smaller"), "%s", reason(p, 0, 1));
	cr_assert_eq(pair_core(p, 0)->vol[0]->size_sectors, 65536);
	pair_free(p);
}

Test(sizes, a_client_takes_over_what_it_is_told)
{
	struct pair *p = pair_new(&(struct pair_opts){ .diskless = 2 });

	pair_up_to_date(p);
	cr_assert_eq(pair_core(p, 1)->vol[0]->size_sectors, PAIR_SECTORS, "%s", pair_describe(p));
	pair_free(p);
}

Test(sizes, impossible_ones_end_the_connection)
{
	static const struct pkt_sizes cases[] = {
		{ .d_sectors = 100, .c_sectors = 101, .max_bio_bytes = 4096 },
		{ .u_sectors = 100, .c_sectors = 101, .max_bio_bytes = 4096 },
		{ .d_sectors = UINT64_MAX, .max_bio_bytes = 4096 },
		{ .c_sectors = UINT64_C(1) << 63, .max_bio_bytes = 4096 },
		{ .d_sectors = 65536, .c_sectors = 65536, .max_bio_bytes = 0 },
		{ .d_sectors = 65536, .c_sectors = 65536, .max_bio_bytes = 511 },
		{ .d_sectors = 65536, .max_bio_bytes = 4096, .bm_block_shift_minus_12 = 9 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct pkt pkt = { .type = P_SIZES, .vnr = 0 };

		pkt.u.sizes = cases[i];
		expect_drop(&pkt, STREAM_DATA);
	}
}

Test(sizes, a_coarser_bitmap_is_refused)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct pkt pkt = { .type = P_SIZES, .vnr = 0 };

	pair_up_to_date(p);
	pkt.u.sizes = (struct pkt_sizes){
		.d_sectors = PAIR_SECTORS,
		.c_sectors = PAIR_SECTORS,
		.max_bio_bytes = BIO_MAX_BYTES,
		.bm_block_shift_minus_12 = 2,
	};
	say(p, STREAM_DATA, &pkt);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert(strstr(reason(p, 0, 1), "is 16 KiB, only 4"), "%s", reason(p, 0, 1));
	pair_free(p);
}

/* Block sizes are told but not used to divide by (H75). */
Test(sizes, odd_block_sizes_do_no_harm)
{
	static const uint32_t blocks[] = { 0, 1, 511, 513, UINT32_MAX };
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	for (unsigned i = 0; i < ARRAY_LEN(blocks); i++) {
		struct pkt pkt = { .type = P_SIZES, .vnr = 0 };

		pkt.u.sizes = (struct pkt_sizes){
			.d_sectors = PAIR_SECTORS,
			.c_sectors = PAIR_SECTORS,
			.max_bio_bytes = BIO_MAX_BYTES,
			.physical_block_bytes = blocks[i],
			.logical_block_bytes = blocks[i],
		};
		say(p, STREAM_DATA, &pkt);
	}
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

/* ---- life of the connection ---- */

Test(retry, a_cut_link_is_tried_for_ever)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 3600 * 1000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTING);
	pair_heal(p, 0, 1);
	cr_assert(pair_wait(p, 12000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(reason(p, 0, 1)[0], '\0');
	pair_free(p);
}

Test(retry, silence_in_the_handshake_is_ended)
{
	struct pair *p = half_open(NULL);

	pair_pass_ms(p, 4000);
	cr_assert(pair_core(p, 0)->peer[1]->streams_up);
	pair_pass_ms(p, 2000);
	cr_assert_eq(strncmp(reason(p, 0, 1), "the handshake did not go on", 27), 0, "%s",
		     reason(p, 0, 1));
	pair_free(p);
}

Test(keepalive, a_dead_peer_is_found_within_ping_int_and_timeout)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_pass_ms(p, 10600);
	cr_assert_neq(pair_conn(p, 0, 1), CONN_CONNECTED);
	pair_free(p);
}

Test(keepalive, an_unacknowledged_write_ends_the_connection)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	/* Pings are answered, data are not taken. */
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 0, 8, 1);
	pair_pass_ms(p, 41000);
	cr_assert_eq(pair_outstanding(p), 1);
	pair_pass_ms(p, 2000);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	pair_free(p);
}
