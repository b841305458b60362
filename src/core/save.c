/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node gives up is saved first, when the connect was told where to. As target it knows all
 * that will be overwritten once the source's bitmap is here; and as long as the source waits for
 * ours, it sends no data (states-and-resync 6.1: in WFBitMapS only P_OUT_OF_SYNC). So ours is held
 * back until everything that either side has marked is in the file and durable.
 */
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/resync_int.h"

#define SERIAL_SHIFT 16

/* Now, or when a third node has settled it. */
static bool will_be_overwritten(const struct sync_verdict *v)
{
	bool split = v->rule == RULE_BITMAP_BOTH || v->rule == RULE_HISTORY_BOTH;

	return v->kind == VERDICT_GO &&
	       (v->repl == REPL_WF_BITMAP_T || (split && v->repl == REPL_ESTABLISHED));
}

void save_ask(struct core *core, struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		struct peer_device *pd = &peer->pd[vol->v];

		pd->save_wanted = peer->discard_my_data && peer->save_to[0] &&
				  will_be_overwritten(&pd->verdict);
	}
}

void save_forget(struct peer_device *pd)
{
	pd->save_wanted = false;
	pd->save_running = false;
}

bool save_begin(struct core *core, struct peer_device *pd)
{
	struct peer *peer = core->peer[pd->p];
	struct volume *vol = core->vol[pd->v];
	struct core_action *action;

	if (!pd->save_wanted || repl_of(core, pd) != REPL_WF_BITMAP_T)
		return false;
	pd->save_wanted = false;
	pd->save_running = true;
	pd->save_serial++;
	pd->saves++;
	action = request_local_begin(core, vol, AC_SAVE,
				     tag_make(TAG_SAVE, (uint64_t)pd->save_serial << SERIAL_SHIFT |
								(uint64_t)pd->v << 8 | pd->p));
	action->u.disk.peer = pd->p;
	action->u.disk.save_to = peer->save_to;
	core_log(core, LOG_LEVEL_NOTICE, "%s/%u %s: what will be overwritten is saved to %s",
		 core->conf.name, vol->vnr, peer->conf->name, peer->save_to);
	return true;
}

void save_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol = core->vol[rest >> 8 & 0xff];
	struct peer *peer = core->peer[rest & 0xff];
	struct peer_device *pd = &peer->pd[vol->v];
	bool waits = pd->save_running && pd->save_serial == (uint32_t)(rest >> SERIAL_SHIFT);

	pd->saves--;
	if (waits) {
		pd->save_running = false;
		if (done->error)
			peer_standalone(core, peer, true,
					"volume %u: nothing was overwritten, because what this "
					"node gives up could not be saved: %s", vol->vnr,
					strerrordesc_np(-done->error));
		else
			xfer_go_on(core, pd);
	}
	request_local_end(core, vol);
}
