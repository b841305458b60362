# src/core/uuid_rx.c: a Secondary that adopts a generation keeps no reference towards those who lack it
# scenario 4-lose-one-then-other
/^static void adopt_new_current/,/^}/s/uuid_rotate(core, vol, weak, peer_rx_dagtag(sender));//
