# src/core/peer_write.c: writes that wait for a full activity log settle nothing early
# scenario H60-full-logs
/^bool peer_write_relieve_al/,/^}/s/gave |= relieve_from(core, vol, peer);/gave |= 0 \&\& relieve_from(core, vol, peer);/
s/} else if (actlog_has_waiters(vol)) {/} else if (0) {/
