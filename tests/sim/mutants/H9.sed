# src/core/md.c src/core/volume.c src/core/reach.c: a stale disk is attached as a good one when no other is left
# scenario H9-stale-attach
s/if (missed_a_generation(vol))/if (0 \&\& missed_a_generation(vol))/
s/flags &= ~MDF_WAS_UP_TO_DATE;/;/
s/if (vol->exposed_uuid != 0 && st->vol/if (0 \&\& st->vol/
/^bool cluster_may_be_up_to_date/,/newer data/s/return false;$/;/
