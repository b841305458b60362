# src/core/sync_handshake.c: a handshake decides with other generations than it has told
# scenario attached-in-handshake
s/if (!again && changed_since_sent(core, peer, vol)) {/if (0 \&\& changed_since_sent(core, peer, vol)) {/
s/^\tfill_me(core, peer, vol, &pd->sent, &in.me);/\tstruct pkt_uuids fresh;\n\tuuid_fill(core, peer, vol, 0, 0, \&fresh);\n\tfill_me(core, peer, vol, \&fresh, \&in.me);/
