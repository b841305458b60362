# src/core/resync_target.c: the requests of a resync that was disconnected stay
# scenario H64-disconnect-in-resync
/^static void drop_list/,/^}/s/if (rq->state != RS_DIGESTING/if (0 \&\& rq->state != RS_DIGESTING/
