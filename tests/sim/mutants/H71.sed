# src/core/request.c: requests wait for the exchange of bitmaps
# scenario H71-bad-network
s/^\tif (state_suspended(core) || uuid_bump_running(core))/\tFOR_EACH_PEER(core, wf)\n\t\tif (repl_of(core, \&wf->pd[0]) == REPL_WF_BITMAP_S)\n\t\t\treturn false;\n&/
