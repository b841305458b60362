/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The node as the real one was when the recording began: read from what it said first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "preset_conf.h"
#include "replay_int.h"

/* The first packet of this type that the real node sent in a replayed connection; NULL = none. */
static struct replay_pkt *first_own(const struct replay *r, unsigned type, unsigned peer)
{
	struct wire_ctx ctx = r->agreed;

	for (unsigned i = 0; i < r->cap->packet_count; i++) {
		const struct capture_packet *p = &r->cap->packets[i];
		struct wire_header h;
		size_t need;

		if (!p->n || p->from != r->rc->us || p->is_late ||
		    p->connection == CAPTURE_NO_CONNECTION ||
		    p->time_ns < r->rc->from_ms * NS_PER_MS ||
		    (peer != NODES_MAX && p->to != peer) ||
		    wire_decode_header(p->bytes, p->n, &h, &need) || h.type != type)
			continue;
		return replay_pkt_new(&ctx, p->to, p->stream, p->bytes, p->n);
	}
	return NULL;
}

static bool is_diskless(const struct replay *r, unsigned node)
{
	return r->rc->diskless >> node & 1;
}

static void conf_net(const struct replay *r, struct core_net_conf *net,
		     const struct pkt_protocol *p, const struct replay_pkt *param)
{
	const struct replay_case *rc = r->rc;

	net->protocol = (enum wire_protocol)p->protocol;
	net->after_sb_0p = (enum after_sb)p->after_sb_0p;
	net->after_sb_1p = (enum after_sb)p->after_sb_1p;
	net->after_sb_2p = (enum after_sb)p->after_sb_2p;
	if (param) {
		memcpy(net->verify_alg, param->d.pkt.u.sync_param.verify_alg, ALG_NAME_MAX);
		memcpy(net->csums_alg, param->d.pkt.u.sync_param.csums_alg, ALG_NAME_MAX);
	}
	if (rc->integrity_alg)
		snprintf(net->data_integrity_alg, ALG_NAME_MAX, "%s", rc->integrity_alg);
	if (rc->cram_hmac_alg) {
		snprintf(net->cram_hmac_alg, ALG_NAME_MAX, "%s", rc->cram_hmac_alg);
		snprintf(net->shared_secret, SHARED_SECRET_MAX, "%s", rc->secret);
	}
}

static void conf_resource(struct replay *r)
{
	struct core_conf *conf = &r->conf;
	struct core_disk_conf *disk = &conf->volumes[0].disk;
	struct replay_pkt *param = first_own(r, P_SYNC_PARAM89, NODES_MAX);
	struct replay_pkt *protocol = first_own(r, P_PROTOCOL, NODES_MAX);
	struct replay_pkt *wish = first_own(r, P_ENABLE_REPLICATION_NEXT, NODES_MAX);
	struct pkt_protocol none = { .protocol = PROTOCOL_C };

	preset_resource(conf, r->rc->us);
	conf->auto_promote = false;
	disk->has_disk = !is_diskless(r, r->rc->us);
	if (param) {
		disk->resync_rate_kib = param->d.pkt.u.sync_param.resync_rate;
		disk->c_plan_ahead_ds = param->d.pkt.u.sync_param.c_plan_ahead;
		disk->c_delay_target_ds = param->d.pkt.u.sync_param.c_delay_target;
		disk->c_fill_target_sectors = param->d.pkt.u.sync_param.c_fill_target;
		disk->c_max_rate_kib = param->d.pkt.u.sync_param.c_max_rate;
	}
	disk->rs_without_replication = wish && !wish->d.pkt.u.enable_replication;
	for (unsigned i = 0; i < r->cap->node_count; i++) {
		struct core_peer_conf *peer = &conf->peers[conf->peer_count];

		if (i == r->rc->us)
			continue;
		conf->peer_count++;
		preset_peer(peer, i);
		peer->has_disk[0] = !is_diskless(r, i);
		conf_net(r, &peer->net, protocol ? &protocol->d.pkt.u.protocol : &none, param);
	}
	conf->requests_max = 1024;
	conf->request_bytes_max = 64U << 20;
	conf->peer_requests_max = 2048;
	if (param)
		replay_pkt_free(param);
	if (protocol)
		replay_pkt_free(protocol);
}

/* A disk that was in use: generations and flags as its node told them. */
static void super_used(struct replay *r, const struct pkt_uuids *u, uint32_t word,
		       uint64_t sectors)
{
	struct md_super *s = &r->store.md.super;
	enum disk_state disk = (enum disk_state)((word & SW_DISK_MASK) >> SW_DISK_SHIFT);
	int slot = 0;

	s->node_id = r->rc->us;
	s->current_uuid = u->current;
	s->effective_sectors = sectors;
	if (disk >= DISK_OUTDATED)
		s->flags |= MDF_CONSISTENT;
	if (disk == DISK_UP_TO_DATE)
		s->flags |= MDF_WAS_UP_TO_DATE;
	for (unsigned i = 0; i < r->conf.peer_count; i++) {
		unsigned id = r->conf.peers[i].node_id;

		if (!(u->bitmap_mask >> id & 1))
			continue;
		s->peers[id].bitmap_index = slot;
		s->peers[id].bitmap_uuid = u->bitmap[id];
		s->peers[id].flags = MDF_PEER_DEVICE_SEEN | MDF_PEER_NODE_EXISTS;
		slot++;
	}
	memcpy(s->history, u->history, sizeof(s->history));
	for (unsigned i = 0; i < MD_MEMORY_PEERS; i++)
		memset(r->store.md.slot[i], 0, r->store.md.words * 8);
	if (!r->rc->alone)
		return;
	/* The generation before; its writes make the next one. */
	for (unsigned i = 0; i < r->conf.peer_count; i++) {
		struct md_peer *mp = &s->peers[r->conf.peers[i].node_id];

		s->current_uuid = mp->bitmap_uuid ? mp->bitmap_uuid : s->current_uuid;
		mp->bitmap_uuid = 0;
	}
}

static void uuids_of_8(const struct replay *r, struct decoded *d)
{
	const struct pkt_uuids_8 *f = &d->pkt.u.uuids_8;
	unsigned peer = r->conf.peers[0].node_id;

	d->uuids = (struct pkt_uuids){ .current = f->current, .bitmap_mask = node_bit(peer) };
	d->uuids.bitmap[peer] = f->bitmap;
	d->uuids.history[0] = f->history[0];
	d->uuids.history[1] = f->history[1];
}

static void create_store(struct replay *r, uint64_t sectors)
{
	uint32_t diskless_peers = r->rc->diskless & ~(1U << r->rc->us);
	unsigned disks = r->conf.peer_count - (unsigned)__builtin_popcount(diskless_peers);

	r->store.data = calloc(sectors, SECTOR_BYTES);
	md_memory_create(&r->store.md, sectors, disks);
}

static void prepare_store(struct replay *r)
{
	struct replay_pkt *sizes = first_own(r, P_SIZES, NODES_MAX);
	struct replay_pkt *uuids = first_own(r, P_UUIDS110, NODES_MAX);
	struct replay_pkt *uuids_8 = first_own(r, P_UUIDS, NODES_MAX);
	struct replay_pkt *state = first_own(r, P_STATE, NODES_MAX);

	uint64_t sectors = sizes ? sizes->d.pkt.u.sizes.d_sectors : 0;

	replay_init(r);
	create_store(r, sectors ? sectors : 32688);
	if (uuids_8) {
		uuids = uuids_8;
		uuids_of_8(r, &uuids->d);
	}
	if (state && r->agreed.apv < 110)
		state->d.pkt.u.state = drbd8_state_received(state->d.pkt.u.state);
	if (uuids && state && uuids->d.uuids.current != UUID_JUST_CREATED)
		super_used(r, &uuids->d.uuids, state->d.pkt.u.state,
			   sizes->d.pkt.u.sizes.c_sectors);
	if (sizes)
		replay_pkt_free(sizes);
	if (uuids)
		replay_pkt_free(uuids);
	if (state)
		replay_pkt_free(state);
}

/* Contents that the recording shows only when somebody asks for them. */
static void read_image(struct replay *r)
{
	uint8_t *written = calloc(r->store.md.sectors, 1);
	struct wire_ctx ctx = r->agreed;

	r->image = calloc(r->store.md.sectors, SECTOR_BYTES);
	for (unsigned i = 0; i < r->cap->packet_count; i++) {
		const struct capture_packet *c = &r->cap->packets[i];
		struct wire_header h;
		struct replay_pkt *p;
		const struct pkt_block *b;
		const uint8_t *data;
		size_t need;

		if (!c->n || c->is_late || wire_decode_header(c->bytes, c->n, &h, &need) ||
		    (h.type != P_DATA && h.type != P_RS_DATA_REPLY && h.type != P_DATA_REPLY))
			continue;
		ctx.integrity_bytes = r->rc->integrity_alg ? 4 : 0;
		p = replay_pkt_new(&ctx, c->to, c->stream, c->bytes, c->n);
		b = &p->d.pkt.u.block;
		data = p->bytes + p->n - p->d.payload_bytes;
		if (h.type == P_DATA) {
			memset(written + b->sector, 1, p->d.payload_bytes / SECTOR_BYTES);
		} else if (c->from == r->rc->us) {
			memcpy(r->image + b->sector * SECTOR_BYTES, data, p->d.payload_bytes);
			for (uint32_t s = 0; s < p->d.payload_bytes / SECTOR_BYTES; s++) {
				if (!written[b->sector + s])
					memcpy(r->store.data + (b->sector + s) * SECTOR_BYTES,
					       data + (size_t)s * SECTOR_BYTES, SECTOR_BYTES);
			}
		}
		replay_pkt_free(p);
	}
	free(written);
}

void replay_prepare(struct replay *r)
{
	conf_resource(r);
	prepare_store(r);
	read_image(r);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		struct replay_link *link = &r->link[i];

		link->connection = CAPTURE_NO_CONNECTION;
		list_init_pkts(&link->asked);
		list_init_pkts(&link->digests);
		list_init_pkts(&link->digest_asked);
		for (unsigned s = 0; s < STREAM_COUNT; s++)
			list_init_pkts(&link->late[s]);
		link->arrived = calloc(r->store.md.sectors, 1);
		link->acked_ranges = calloc(r->store.md.sectors, 1);
		link->wanted_rec = calloc(r->store.md.sectors, 1);
		link->wanted_own = calloc(r->store.md.sectors, 1);
		link->content = calloc(r->store.md.sectors, SECTOR_BYTES);
	}
}

void replay_end(struct replay *r)
{
	for (unsigned i = 0; i < NODES_MAX; i++) {
		struct replay_link *link = &r->link[i];

		list_drop(&link->asked);
		list_drop(&link->digests);
		list_drop(&link->digest_asked);
		for (unsigned s = 0; s < STREAM_COUNT; s++)
			list_drop(&link->late[s]);
		free(link->arrived);
		free(link->acked_ranges);
		free(link->wanted_rec);
		free(link->wanted_own);
		free(link->content);
	}
	list_drop(&r->out);
	list_drop(&r->want);
	free(r->image);
	replay_close(r);
}
