# src/core/uuid.c: a Primary without a disk makes no generation
# scenario H6-second-client
/^static void bump_diskless/,/^}/s/if (!somebody_is_missing(core, vol))/if (vol)/
