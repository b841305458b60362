# src/core/uuid_exposed.c: a Primary without a disk makes one generation, and no other
# scenario H41-far-end
/^void uuid_bump_exposed/,/^}/s/if (!somebody_is_missing/if (vol->exposed_uuid \& UUID_PRIMARY || !somebody_is_missing/
