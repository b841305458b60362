# src/core/sync_decide.c: both ends think that they lead
# program tests/property/prop_decide_model
/^static int by_bits/,/^}/s/return me->node_id < peer->node_id ? 1 : -1;/return 1;/
