# src/core/resync_target.c: writes wait for a block of a resync whose connection is lost
# scenario H66-held-writes-lost
s/^\tASSERT(rq->state == RS_WRITING);/&\n\tif (rq->orphan)\n\t\treturn;/
