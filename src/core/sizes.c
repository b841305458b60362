/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Agreement on the size of a volume; data that somebody
 * has is never cut off (wire-protocol 2.6). */
#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"

/* Beyond this no sector number can be valid; keeps
 * sums in range (64 EiB / 512 is never reached). */
#define SECTORS_MAX (UINT64_C(1) << 50)
#define BM_SHIFT_MAX 8U

static uint64_t min_nonzero(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

/* Sectors that the local disk has room for data, if need be after a move; 0 without disk. */
static uint64_t own_max(const struct core *core, const struct volume *vol)
{
	if (!vol_has_disk(core, vol))
		return 0;
	return vol->data_sectors > resize_possible(vol) ? vol->data_sectors : resize_possible(vol);
}

static bool own_data(const struct core *core, const struct volume *vol)
{
	return own_max(core, vol) != 0 && vol->md.effective_sectors != 0 &&
	       vol->md.current_uuid != UUID_JUST_CREATED;
}

/*
 * While connected, DRBD takes what its peer says for the new limit, and 0 for leave to grow: it has
 * to hear what the last resize asked for, or else its own limit. In a handshake it minds its own.
 */
static uint64_t user_limit(const struct core *core, const struct peer *peer,
			   const struct volume *vol)
{
	uint64_t limit = vol->conf->disk.size_sectors;

	if (peer_connected(core, peer))
		limit = min_nonzero(limit, vol->resize.user_sectors ?
						   vol->resize.user_sectors :
						   peer->pd[vol->v].sizes.u_sectors);
	return limit >= vol->size_sectors ? limit : 0;
}

void sizes_send(struct core *core, struct peer *peer, unsigned v)
{
	struct volume *vol = core->vol[v];
	struct pkt pkt = { .type = P_SIZES, .vnr = vol->vnr };

	pkt.u.sizes = (struct pkt_sizes){
		.d_sectors = own_max(core, vol),
		.u_sectors = user_limit(core, peer, vol),
		.c_sectors = vol->size_sectors,
		.max_bio_bytes = BIO_MAX_BYTES,
		.physical_block_bytes = BM_BLOCK_BYTES,
		.logical_block_bytes = SECTOR_BYTES,
		.io_min = BM_BLOCK_BYTES,
		.io_opt = BM_BLOCK_BYTES,
		.discard_enabled = 1,
	};
	peer->pd[v].sectors_sent = vol->size_sectors;
	core_send(core, peer, STREAM_DATA, &pkt);
}

/* Values that no correct peer sends. */
static bool sizes_bogus(const struct pkt_sizes *s)
{
	if (s->d_sectors > SECTORS_MAX || s->u_sectors > SECTORS_MAX || s->c_sectors > SECTORS_MAX)
		return true;
	if ((s->d_sectors && s->c_sectors > s->d_sectors) ||
	    (s->u_sectors && s->c_sectors > s->u_sectors))
		return true;
	return s->max_bio_bytes < SECTOR_BYTES || s->bm_block_shift_minus_12 > BM_SHIFT_MAX;
}

int sizes_missed_growth(const struct core *core, const struct peer *peer, unsigned v)
{
	const struct volume *vol = core->vol[v];
	const struct peer_device *pd = &peer->pd[v];

	if (!own_data(core, vol) || !pd->sizes.d_sectors || !pd->sizes.c_sectors ||
	    !pd->uuids_valid || pd->uuids.current == UUID_JUST_CREATED)
		return 0;
	return (vol->size_sectors < pd->sizes.c_sectors) -
	       (vol->size_sectors > pd->sizes.c_sectors);
}

/* Connected: the peer's volume changed its size. */
static void sizes_follow(struct core *core, struct peer *peer, struct volume *vol)
{
	const struct pkt_sizes *s = &peer->pd[vol->v].sizes;

	if (s->c_sectors == 0 || s->c_sectors == vol->size_sectors)
		return;
	if (own_max(core, vol) == 0) {
		if (s->c_sectors > vol->size_sectors)
			sizes_set(core, vol, s->c_sectors, false);
	} else if (!own_data(core, vol)) {
		if (s->c_sectors < vol->size_sectors)
			sizes_set(core, vol, s->c_sectors, false);
	} else if (sizes_missed_growth(core, peer, vol->v) &&
		   !twopc_may_resize(core, vol)) {
		peer_fail(core, peer, CONN_NETWORK_FAILURE,
			  "the size of volume %u has changed on %s, and here it has not", vol->vnr,
			  peer->conf->name);
	}
}

void sizes_look_again(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && peer->pd[vol->v].have_sizes)
			sizes_follow(core, peer, vol);
	}
}

void rx_sizes(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct peer_device *pd = &peer->pd[vol->v];

	if (sizes_bogus(&pkt->u.sizes)) {
		peer_standalone(core, peer, true, "%s sent impossible sizes for volume %u",
				peer->conf->name, vol->vnr);
		return;
	}
	/* What is in sync here would never fill a bit there, and the resync would not end. */
	if ((peer->features & FEATURE_BM_BLOCK_SHIFT) &&
	    pkt->u.sizes.bm_block_shift_minus_12 != 0) {
		peer_standalone(core, peer, true,
				"bitmap-block-size of volume %u on %s is %u KiB, only %u are "
				"supported; create its metadata anew and connect again",
				vol->vnr, peer->conf->name,
				BM_BLOCK_BYTES / 1024 << pkt->u.sizes.bm_block_shift_minus_12,
				BM_BLOCK_BYTES / 1024);
		return;
	}
	pd->sizes = pkt->u.sizes;
	pd->have_sizes = true;
	if (peer_connected(core, peer))
		sizes_follow(core, peer, vol);
}

bool sizes_agree(const struct core *core, const struct peer *peer, unsigned v, uint64_t *sectors,
		 const char **reason)
{
	const struct volume *vol = core->vol[v];
	const struct peer_device *pd = &peer->pd[v];
	const struct pkt_sizes *s = &pd->sizes;
	bool peer_data = s->d_sectors != 0 && s->c_sectors != 0 && pd->uuids_valid &&
			 pd->uuids.current != UUID_JUST_CREATED;
	uint64_t size, fixed, user = min_nonzero(vol->conf->disk.size_sectors, s->u_sectors);

	size = whole_blocks(min_nonzero(own_max(core, vol), s->d_sectors));
	if (size == 0) {
		*sectors = min_nonzero(vol->size_sectors, s->c_sectors);
		return true;
	}
	if (user)
		size = min_nonzero(size, whole_blocks(user));
	/*
	 * Who has data has fixed the size; growing is an operation of its own. Only one of the two
	 * may have gone through with that.
	 */
	fixed = own_data(core, vol) ? vol->size_sectors : 0;
	if (peer_data && s->c_sectors > fixed)
		fixed = s->c_sectors;
	size = min_nonzero(size, fixed);
	if ((own_data(core, vol) || core->st.role == ROLE_PRIMARY) && size < vol->size_sectors) {
		*reason = "the peer's disk (or its disk-size) is smaller than the data here: "
			  "enlarge it there, or shrink the volume here (drbdctl resize --size)";
		return false;
	}
	if (peer_data && size < s->c_sectors) {
		*reason = "the local disk (or its disk-size) is smaller than the data on the peer: "
			  "enlarge it here, or shrink the volume there (drbdctl resize --size)";
		return false;
	}
	*sectors = size;
	return true;
}

bool sizes_at_attach(const struct core *core, const struct volume *vol, uint64_t *sectors,
		     const char **reason)
{
	uint64_t last = vol->md.effective_sectors;
	uint64_t user = whole_blocks(vol->conf->disk.size_sectors);
	uint64_t size = last ? last : min_nonzero(whole_blocks(vol->data_sectors), user);

	bool fresh = vol->md.current_uuid == UUID_JUST_CREATED;
	bool in_use = cluster_neighbours(core) || core->st.role == ROLE_PRIMARY;

	if (last > vol->size_sectors && vol->size_sectors && cluster_neighbours(core) && !fresh &&
	    vol->resize.agreed_sectors != vol->size_sectors) {
		*reason = "its peers have shrunk the volume: disconnect them, attach it, shrink it "
			  "(drbdctl resize --size), and connect again";
		return false;
	}
	/* Connected already: what the others agreed on. */
	if (vol->size_sectors && (fresh || (in_use && vol->size_sectors != size)))
		size = vol->size_sectors;
	if (size > vol->data_sectors) {
		*reason = size > last ? "the disk is smaller than the volume that the peers have: "
					"enlarge it (with internal metadata disconnect and attach "
					"it before, and drbdctl resize it after that)" :
					"the backing store is smaller than the volume; enlarge it";
		return false;
	}
	if (user && user < size && !fresh) {
		*reason = "disk-size is smaller than the volume: make it larger, and shrink the "
			  "volume with drbdctl resize --size";
		return false;
	}
	*sectors = size;
	return true;
}

void sizes_set(struct core *core, struct volume *vol, uint64_t sectors, bool agreed)
{
	enum disk_state disk = disk_of(core, vol);
	/* What is on its way out keeps the size that its metadata were laid out for. */
	bool follows = vol_has_md(vol) && disk != DISK_DETACHING && disk != DISK_FAILED;

	/* The volume has grown while its disk was being attached. With metadata that say so it
	 * could not be attached again, nor enlarged. */
	if (follows && sectors > vol->data_sectors) {
		volume_too_small(core, vol);
		follows = false;
	}
	if (follows && vol->md.effective_sectors != sectors) {
		vol->md.effective_sectors = sectors;
		md_dirty(core, vol);
	}
	if (vol->size_sectors == sectors)
		return;
	core_log(core, LOG_LEVEL_INFO, "%s/%u: size %llu -> %llu sectors", core->conf.name,
		 vol->vnr, (unsigned long long)vol->size_sectors, (unsigned long long)sectors);
	vol->size_sectors = sectors;
	if (follows)
		bitmap_size_changed(core, vol);
	verify_size_changed(core, vol);
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && !(agreed && !(peer->features & FEATURE_DRBDFS)))
			sizes_send(core, peer, vol->v);
	}
	core->notify = true;
	core_work(core, WORK_SEND_STATE);
}
