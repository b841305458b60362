# src/core/sync_handshake.c: bits between two Inconsistent disks are cleared
# scenario H20-two-inconsistent
/^static void no_difference/,/^}/s/^\tif (own_disk.*/\tif (bitmap_slot(vol, peer->id) >= 0)\n\t\tbitmap_clear_slot(core, vol, (unsigned)bitmap_slot(vol, peer->id));\n&/
