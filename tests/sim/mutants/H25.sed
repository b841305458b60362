# src/core/request_log.c: writes are not told to a peer while the bitmaps are exchanged
# scenario H14-out-of-sync-on-its-way
/repl == REPL_WF_BITMAP_S || repl == REPL_AHEAD/{n;s/MODE_OUT_OF_SYNC/MODE_NONE/}
