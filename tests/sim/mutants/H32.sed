# src/core/request_log.c src/core/peer_ack.c: writes of a Primary without a disk pass resync targets by
# scenario H32-written-to-target
/^enum write_mode request_mode/,/^}/s/^\tcase DISK_INCONSISTENT:/&\n\t\tif (core->st.vol[pd->v].disk == DISK_DISKLESS)\n\t\t\treturn MODE_NONE;/
/^void peer_ack_tell_targets/,/^}/s/if (peer->id == preq->p || .*/if (peer)/
