# src/core/peer_write.c: a discard of a lost connection keeps its hold
# scenario H67-lost-with-discards
/^static void write_over/,/^}/s/^\thold_release(core, vol, &preq->hold);/\tif (!preq->lost || preq->op == OP_WRITE)\n\t&/
