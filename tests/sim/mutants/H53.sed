# src/core/sync_handshake.c: the bits of the first resync of a new disk are not set
# scenario H11-day-0
/^static void set_bitmap/,/^}/s/bitmap_set_all(core, vol, node_bit(peer->id), i_am_new);//
