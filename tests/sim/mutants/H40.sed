# src/core/twopc.c: a disconnect whose COMMIT is lost leaves its target as good as before
# scenario H40-forced-outdated
/^static bool left_by_primary/,/^}/s/return tp->phase/return 0 \&\& tp->phase/
