# src/core/twopc.c: a demotion waits for connections that are refused
# scenario H70-demoted-while-refused
/^void twopc_run/,/^}/s/^\tif (tp->want_command && core->now_ns/\tFOR_EACH_PEER(core, busy)\n\t\tif (busy->want_connect \&\& !peer_connected(core, busy) \&\& core->st.role == ROLE_PRIMARY \&\& !peer)\n\t\t\treturn;\n&/
