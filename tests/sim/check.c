/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checkers outside the core: differences are marked, states tell the truth, one lineage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "sim.h"

/* What a node's metadata say about its disk, in core or as an attach would find them. */
struct view {
	bool valid;
	struct md_super super;
	struct bm_store bm;
	bool extent_hot[SIM_EXTENTS_MAX]; /* live nodes: named by the log on disk */
	uint64_t *words;
	uint64_t cap_words;
};

static struct view views[SIM_NODES_MAX];
static struct meta_al_table table;

static int read_al(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	const struct md_image *m = ctx;

	memcpy(block, m->now + m->layout.al_byte + (uint64_t)index * MD_PAGE_BYTES,
	       MD_PAGE_BYTES);
	return 0;
}

static void load_hot(struct md_image *m, struct view *v)
{
	struct meta_al_ring ring = { .stripes = 1, .stripe_4k = 8, .read = read_al, .ctx = m };
	enum meta_al_outcome outcome;

	memset(v->extent_hot, 0, sizeof(v->extent_hot));
	if (meta_al_replay(&ring, &table, &outcome) != 0 || outcome != META_AL_REPLAYED)
		return;
	for (uint32_t i = 0; i < table.slot_count; i++) {
		if (table.extent[i] < SIM_EXTENTS_MAX)
			v->extent_hot[table.extent[i]] = true;
	}
}

static void load_view(struct world *w, unsigned node, unsigned vnr)
{
	struct node *n = &w->nodes[node];
	struct view *v = &views[node];
	const struct md_super *md = node_md(w, node, vnr);
	uint64_t words;
	bool replayed;

	if (md) {
		v->valid = true;
		v->super = *md;
		v->bm = n->bm[vnr];
		load_hot(&n->disk.md[vnr], v);
		return;
	}
	memset(v->extent_hot, 0, sizeof(v->extent_hot));
	v->valid = n->has_disk && disk_super(&n->disk, vnr, &v->super);
	if (!v->valid)
		return;
	words = n->bm[vnr].words_per_slot * v->super.max_peers;
	if (v->cap_words < words) {
		v->cap_words = words;
		v->words = realloc(v->words, v->cap_words * sizeof(*v->words));
		ASSERT(v->words);
	}
	memset(&v->bm, 0, sizeof(v->bm));
	v->bm.words_per_slot = n->bm[vnr].words_per_slot;
	for (unsigned s = 0; s < v->super.max_peers; s++)
		v->bm.slot[s] = v->words + s * v->bm.words_per_slot;
	disk_load_bitmap(w, node, vnr, &v->super, &v->bm, &replayed);
}

static uint32_t slot_of(const struct view *v, unsigned peer)
{
	int32_t slot = v->super.peers[peer].bitmap_index;

	return slot >= 0 ? UINT32_C(1) << slot : 0;
}

/* The one that serves a reference towards a node that has none of its own, if any is left. */
static uint32_t slot_of_nobody(const struct view *v)
{
	uint32_t used = 0;

	for (unsigned i = 0; i < NODES_MAX; i++)
		used |= slot_of(v, i);
	for (unsigned s = 0; s < v->super.max_peers; s++) {
		if (!(used >> s & 1))
			return UINT32_C(1) << s;
	}
	return 0;
}

/*
 * The handshake of a against b would use a bitmap of a: its own slot for b or another one. A
 * reference of the first day towards a node that has no slot serves as long as one is free, which
 * has marked everything since; when all are given away the two resync in full.
 */
static uint32_t usable_slots(const struct view *a, unsigned b_id, const struct view *b)
{
	uint32_t slots = 0;

	for (unsigned i = 0; i < NODES_MAX; i++) {
		uint64_t reference = a->super.peers[i].bitmap_uuid;
		uint32_t slot = slot_of(a, i);

		if (reference == 0 || !uuid_eq(reference, b->super.current_uuid))
			continue;
		if (i == b_id)
			return slot;
		slots |= slot ? slot : slot_of_nobody(a);
	}
	return slots;
}

static bool any_bit(const struct view *v, uint32_t slots, uint64_t bit)
{
	for (unsigned s = 0; s < NODES_MAX; s++) {
		if ((slots >> s & 1) && (v->bm.slot[s][bit / 64] >> (bit % 64) & 1))
			return true;
	}
	return false;
}

static bool full_sync_due(const struct view *a, unsigned b_id)
{
	return a->super.current_uuid == UUID_JUST_CREATED || a->super.current_uuid == 0 ||
	       (a->super.peers[b_id].flags & MDF_PEER_FULL_SYNC) ||
	       a->super.peers[b_id].bitmap_index < 0;
}

struct pair {
	unsigned a, b, vnr;
	uint32_t slots_a, slots_b; /* which count */
};

static bool is_beyond(const struct view *v, uint64_t block)
{
	uint64_t sectors = v->super.effective_sectors;

	return sectors && block * BM_BLOCK_SECTORS >= sectors;
}

/* The block is one of all volumes. */
static void check_block(struct world *w, const struct pair *p, uint64_t of_all, const char *why)
{
	const struct view *va = &views[p->a], *vb = &views[p->b];
	uint64_t block = of_all % (SIM_DEVICE_SECTORS_MAX / BM_BLOCK_SECTORS);
	uint64_t extent = block * BM_BLOCK_SECTORS / AL_EXTENT_SECTORS;

	if (sim_vnr(of_all * BM_BLOCK_SECTORS) != p->vnr ||
	    disk_same_block(&w->nodes[p->a].disk, &w->nodes[p->b].disk, of_all))
		return;
	/* What one of the two does not have yet it will get as a whole. */
	if (is_beyond(va, block) || is_beyond(vb, block))
		return;
	if (any_bit(va, p->slots_a, block) || any_bit(vb, p->slots_b, block) ||
	    va->extent_hot[extent] || vb->extent_hot[extent])
		return;
	for (uint64_t s = of_all * BM_BLOCK_SECTORS; s < (of_all + 1) * BM_BLOCK_SECTORS; s++) {
		if (disk_peek(&w->nodes[p->a].disk, s) != disk_peek(&w->nodes[p->b].disk, s)) {
			oracle_explain(w, s);
			break;
		}
	}
	sim_fail(w,
		 "I2: %s, nodes %u and %u differ in block %llu (extent %llu) of volume %u and "
		 "nothing marks it",
		 why, p->a, p->b, (unsigned long long)block, (unsigned long long)extent, p->vnr);
}

static bool pair_slots(struct pair *p)
{
	const struct view *va = &views[p->a], *vb = &views[p->b];

	if (!va->valid || !vb->valid || full_sync_due(va, p->b) || full_sync_due(vb, p->a))
		return false;
	p->slots_a = slot_of(va, p->b);
	p->slots_b = slot_of(vb, p->a);
	if (uuid_eq(va->super.current_uuid, vb->super.current_uuid))
		return true;
	p->slots_a = usable_slots(va, p->b, vb);
	p->slots_b = usable_slots(vb, p->a, va);
	/* Neither: a full resync, or a split brain. */
	if (p->slots_a == 0 && p->slots_b == 0)
		return false;
	/* The union of both sides' slots is resynced. */
	p->slots_a |= slot_of(va, p->b);
	p->slots_b |= slot_of(vb, p->a);
	return true;
}

/* On all nodes with a disk. */
static bool same_everywhere(const struct world *w, uint32_t block)
{
	const struct disk *first = NULL;

	for (unsigned i = 0; i < w->node_count; i++) {
		if (!w->nodes[i].has_disk)
			continue;
		if (first && !disk_same_block(first, &w->nodes[i].disk, block))
			return false;
		first = first ? first : &w->nodes[i].disk;
	}
	return true;
}

static const struct disk_suspects *find_differing(const struct world *w)
{
	struct disk_suspects *found = disk_suspects(w->life);

	for (unsigned i = found->count; i-- > 0;) {
		if (same_everywhere(w, found->block[i]))
			disk_no_suspect(i);
	}
	return found;
}

static void check_volume_covered(struct world *w, unsigned vnr,
				 const struct disk_suspects *differing, const char *why)
{
	for (unsigned i = 0; i < w->node_count; i++)
		load_view(w, i, vnr);
	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			struct pair p = { .a = a, .b = b, .vnr = vnr };

			if (!pair_slots(&p))
				continue;
			for (unsigned i = 0; i < differing->count; i++)
				check_block(w, &p, differing->block[i], why);
		}
	}
}

void check_difference_covered(struct world *w, const char *why)
{
	const struct disk_suspects *differing = find_differing(w);

	for (unsigned v = 0; v < w->params.volumes && differing->count > 0; v++)
		check_volume_covered(w, v, differing, why);
}

/* A Primary without a disk counts on the peer, which knows of no end of their connection either. */
static uint32_t counts_on(struct world *w, unsigned primary, unsigned m)
{
	const struct status_peer *sp;
	uint32_t volumes = 0;

	if (w->nodes[primary].has_disk || !w->nodes[m].up)
		return 0;
	for (unsigned v = 0; v < w->params.volumes; v++)
		volumes |= (app_sources(w, primary, v) >> m & 1) << v;
	sp = status_peer(node_status(w, m), primary);
	return sp && sp->conn == CONN_CONNECTED ?
		       volumes & status_uptodate(w, node_status(w, m)) : 0;
}

/* Volumes. */
static uint32_t current_both(struct world *w, unsigned a, unsigned b)
{
	const struct resource_status *sa, *sb;
	uint32_t volumes;

	if (!w->nodes[a].up || !w->nodes[b].up)
		return 0;
	sa = node_status(w, a);
	sb = node_status(w, b);
	volumes = status_uptodate(w, sa) & status_uptodate(w, sb);
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (!status_peer_uptodate(sa, b, v) || !status_peer_uptodate(sb, a, v))
			volumes &= ~(1U << v);
	}
	return volumes;
}

void check_primary_peers(struct world *w)
{
	const struct app *app = &w->app;

	if (app->phase != APP_OPEN || !w->nodes[app->node].up ||
	    quorum_superseded(w, (unsigned)app->node))
		return;
	for (unsigned m = 0; m < w->node_count; m++) {
		uint32_t volumes = m == (unsigned)app->node ?
					   status_uptodate(w, node_status(w, m)) :
					   current_both(w, (unsigned)app->node, m);
		uint64_t bad;

		if (m != (unsigned)app->node)
			volumes |= counts_on(w, (unsigned)app->node, m);
		if (!volumes)
			continue;
		bad = m == (unsigned)app->node ? oracle_check_volumes(w, m, volumes) :
						 oracle_check_claim(w, m, volumes, false);
		if (bad == SIM_NEVER)
			continue;
		oracle_explain(w, bad);
		sim_fail(w, "I1: node %u lacks an acknowledged write at sector %llu, Primary is %d",
			 m, (unsigned long long)bad, app->node);
	}
}

static void check_pair_identical(struct world *w, unsigned a, unsigned b, uint16_t vnr,
				 const struct disk_suspects *differing, const char *why)
{
	const struct disk *da = &w->nodes[a].disk, *db = &w->nodes[b].disk;
	const struct md_super *ma = core_md(w->nodes[a].core, vnr);
	const struct md_super *mb = core_md(w->nodes[b].core, vnr);

	for (unsigned i = 0; i < differing->count; i++) {
		uint64_t block = differing->block[i];

		if (sim_vnr(block * BM_BLOCK_SECTORS) != vnr || disk_same_block(da, db, block) ||
		    block * BM_BLOCK_SECTORS >= sim_sector(vnr, w->nodes[a].size_sectors[vnr]))
			continue;
		oracle_explain(w, block * BM_BLOCK_SECTORS);
		sim_fail(w, "I3: %s, nodes %u and %u are UpToDate and differ in block %llu", why,
			 a, b, (unsigned long long)block);
	}
	if (!ma || !mb || !uuid_eq(ma->current_uuid, mb->current_uuid))
		sim_fail(w, "S2: %s, nodes %u and %u are UpToDate with different generations", why,
			 a, b);
}

void check_identical(struct world *w, const char *why)
{
	const struct disk_suspects *differing = find_differing(w);

	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			uint32_t volumes = current_both(w, a, b);

			for (uint16_t v = 0; v < w->params.volumes; v++) {
				if (volumes >> v & 1)
					check_pair_identical(w, a, b, v, differing, why);
			}
		}
	}
}

static bool both_connected(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *its = status_peer(node_status(w, a), b);
	const struct status_peer *mine = status_peer(node_status(w, b), a);

	return its && its->conn == CONN_CONNECTED && mine && mine->conn == CONN_CONNECTED;
}

void check_states(struct world *w)
{
	int primary = -1;

	for (unsigned i = 0; i < w->node_count; i++) {
		const struct resource_status *st;

		if (!w->nodes[i].up)
			continue;
		if (w->nodes[i].saw_split_brain && !w->split_brain_ok)
			sim_fail(w, "I5: node %u reports a split brain, but there was one lineage",
				 i);
		st = node_status(w, i);
		/* One that nobody has to fence: it answers nothing that the others do not have. */
		if (st->role != ROLE_PRIMARY || (fencing_rules(w) && !fencing_has_data(w, i)))
			continue;
		if (primary >= 0 && !w->params.two_primaries && (w->params.quorum == QUORUM_OFF ||
				     both_connected(w, (unsigned)primary, i)))
			sim_fail(w, "I4: nodes %d and %u are both Primary", primary, i);
		primary = (int)i;
	}
}

static bool volume_converged(struct world *w, unsigned node, unsigned vnr, char *why, size_t n)
{
	const struct resource_status *st = node_status(w, node);
	uint64_t sectors = w->nodes[node].size_sectors[vnr];

	if (sectors != w->nodes[0].size_sectors[vnr]) {
		snprintf(why, n, "volume %u of node %u has %llu sectors, of node 0 %llu", vnr, node,
			 (unsigned long long)sectors,
			 (unsigned long long)w->nodes[0].size_sectors[vnr]);
		return false;
	}
	if (w->nodes[node].has_disk && st->volumes[vnr].disk != DISK_UP_TO_DATE) {
		snprintf(why, n, "volume %u of node %u is %s", vnr, node,
			 disk_state_name(st->volumes[vnr].disk));
		return false;
	}
	for (unsigned p = 0; p < w->node_count; p++) {
		const struct status_peer *sp = p == node ? NULL : status_peer(st, p);

		if (p == node || !sim_linked(&w->params, node, p))
			continue;
		if (sp && (w->nodes[p].has_disk ? status_peer_uptodate(st, p, vnr) :
						  sp->conn == CONN_CONNECTED) &&
		    sp->devices[vnr].out_of_sync_sectors == 0)
			continue;
		snprintf(why, n, "node %u sees volume %u of node %u as %s/%s/%s with %llu sectors "
			 "out of sync%s%s", node, vnr, p,
			 sp ? conn_state_name(sp->conn) : "missing",
			 sp ? repl_state_name(sp->devices[vnr].repl) : "",
			 sp ? disk_state_name(sp->devices[vnr].peer_disk) : "",
			 sp ? (unsigned long long)sp->devices[vnr].out_of_sync_sectors : 0,
			 sp && sp->reason[0] ? ": " : "", sp ? sp->reason : "");
		return false;
	}
	return true;
}

bool check_converged(struct world *w, char *why, size_t n)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		if (!w->nodes[i].up) {
			snprintf(why, n, "node %u is down", i);
			return false;
		}
		for (unsigned v = 0; v < w->params.volumes; v++) {
			if (!volume_converged(w, i, v, why, n))
				return false;
		}
	}
	return true;
}
