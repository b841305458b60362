# src/core/sync_handshake.c: what changes during a handshake is not noticed
# scenario attached-in-handshake
s/if (!again && changed_since_sent(core, peer, vol)) {/if (0 \&\& changed_since_sent(core, peer, vol)) {/
