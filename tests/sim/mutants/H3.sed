# src/core/uuid.c: a Primary without a disk makes one generation, and no other
# scenario H41-far-end
/^static void bump_diskless/,/^}/s/if (!somebody_is_missing/if (vol->exposed_uuid \& UUID_PRIMARY || !somebody_is_missing/
