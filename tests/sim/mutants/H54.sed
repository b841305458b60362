# src/core/resync_target.c: a target waits for a node that is not there
# scenario H54-client-flaps
/^static bool may_ask/,/^}/s/^\treturn vol_has_md(vol)/\tFOR_EACH_PEER(core, any)\n\t\tif (!peer_connected(core, any))\n\t\t\treturn false;\n&/
