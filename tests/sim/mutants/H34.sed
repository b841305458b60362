# src/core/request_log.c: a write is neither mirrored nor marked in the moment when a resync begins
# scenario write-during-exchange
/repl == REPL_WF_BITMAP_S || repl == REPL_AHEAD/{n;s/MODE_OUT_OF_SYNC/MODE_NONE/}
s/^\t\tbitmap_set(core, vol, SLOTS_ALL & ~have, req->sector, sectors);/\t\tFOR_EACH_PEER(core, wf)\n\t\t\tif (repl_of(core, \&wf->pd[req->v]) == REPL_WF_BITMAP_S)\n\t\t\t\thave |= bitmap_slots_of(vol, UINT64_C(1) << wf->id);\n&/
