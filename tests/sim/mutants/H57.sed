# src/core/announce.c: what a resync has made equal is not told to third nodes
# scenario H57-paused-target
/^void announce_all/,/^}/s/if (core->peer_count < 2)/if (core->peer_count)/
