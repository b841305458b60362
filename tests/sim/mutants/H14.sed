# src/core/resync_finish.c: a resync ends before the word of a write has come
# scenario H14-out-of-sync-on-its-way
s/if (!flush_acked(core, pd) || /if (/
