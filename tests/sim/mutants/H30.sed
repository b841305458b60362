# src/core/state_sanitize.c: a returning disk stays UpToDate beside a Primary that has shown newer data
# scenario H30-meets-client-first
/^static void sanitize_diskless_primary/,/^}/s/\*disk = DISK_CONSISTENT;/;/
