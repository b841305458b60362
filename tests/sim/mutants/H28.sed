# src/core/request_log.c: writes are not marked for a detached disk
# scenario H28-detached
s/^\t\tbitmap_set(core, vol, SLOTS_ALL & ~have, req->sector, sectors);/\t\tFOR_EACH_PEER(core, dl)\n\t\t\tif (pdsk_of(core, \&dl->pd[req->v]) == DISK_DISKLESS)\n\t\t\t\thave |= bitmap_slots_of(vol, UINT64_C(1) << dl->id);\n&/
