# src/core/resync_target.c: what a resync brings is not marked towards third nodes
# scenario H16-third-node
/^static void mark_others/,/^}/{/bitmap_set(/,/;/d}
