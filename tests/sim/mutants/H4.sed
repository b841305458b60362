# src/core/request_log.c src/core/uuid.c: a peer that comes back with the generation in use counts as one that has the write
# scenario H4-label-is-no-ack
s/uint32_t good = req->good .*/uint32_t good = 0;\n\n\tFOR_EACH_PEER(core, any)\n\t\tgood |= UINT32_C(1) << any->id;/
s/if (usable(p_was) && !usable(p_is))/if (usable(p_was) \&\& !usable(p_is) \&\& is >= DISK_INCONSISTENT)/
