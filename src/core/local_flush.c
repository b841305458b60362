/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flushes of the local disk and what they cover. Every data write that ends is counted; a flush
 * makes those durable that had ended when it started.
 */
#include "core/core_hooks.h"
#include "core/request.h"

/* The tag carries the owner and, above it, the count of writes at the start of the flush. */
#define OWNER_BITS 16
#define MARK_BITS 40

void local_flush_submit(struct core *core, struct volume *vol, unsigned kind, uint32_t owner)
{
	uint64_t mark = vol->al.written & ((UINT64_C(1) << MARK_BITS) - 1);

	request_local_begin(core, vol, AC_DISK_FLUSH,
			    tag_make((enum tag_kind)kind, mark << OWNER_BITS | owner));
}

void local_flush_ended(struct core *core, struct volume *vol, uint64_t rest, int error)
{
	struct actlog *al = &vol->al;
	uint64_t later = (al->written - (rest >> OWNER_BITS)) & ((UINT64_C(1) << MARK_BITS) - 1);

	if (error)
		return;
	if (al->written - later > al->flushed)
		al->flushed = al->written - later;
	actlog_data_flushed(core, vol);
}

void local_flush(struct core *core, struct volume *vol)
{
	if (vol->al.flushing || vol->al.written == vol->al.flushed || vol->io.hangs)
		return;
	vol->al.flushing = true;
	local_flush_submit(core, vol, TAG_APP_FLUSH, LOCAL_FLUSH_OWN | vol->v);
}

void local_flush_done(struct core *core, struct volume *vol, const struct ev_done *done)
{
	vol->al.flushing = false;
	if (done->error)
		volume_store_error(core, vol, done->error, "flush");
	local_flush_ended(core, vol, tag_rest(done->tag), done->error);
}

bool local_flush_forget(struct volume *vol)
{
	bool lost = !local_flush_is_clean(vol);

	vol->al.flushed = vol->al.written;
	return lost;
}

bool local_flush_is_clean(const struct volume *vol)
{
	return vol->al.written == vol->al.flushed;
}

/* An orderly detach leaves durable data: the metadata written after it say that nothing is in
 * doubt. */
bool local_flush_before_detach(struct core *core, struct volume *vol)
{
	if (disk_of(core, vol) != DISK_DETACHING || vol->io_failed || local_flush_is_clean(vol))
		return false;
	local_flush(core, vol);
	return true;
}
