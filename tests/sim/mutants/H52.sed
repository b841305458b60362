# src/core/peer.c: a verdict that the peer may not have heard ends the connection here only
# scenario H52-seen-on-both
/^void peer_streams_down/,/^}/s/refused_and_lost(core, peer);/(void)refused_and_lost;\n\t\tpeer_standalone(core, peer, false, NULL);/
