# src/core/epoch.c: no flush before a barrier is acknowledged
# scenario H37-power-cut
/^static void flush_epochs/,/^}/s/if (volumes >> vol->v & 1 &&/if (0 \&\&/
