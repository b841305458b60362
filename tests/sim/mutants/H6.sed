# src/core/uuid_exposed.c: a Primary without a disk makes no generation
# scenario H6-second-client
/^void uuid_bump_exposed/,/^}/s/if (!somebody_is_missing(core, vol))/if (vol)/
