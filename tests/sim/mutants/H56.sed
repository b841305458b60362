# src/core/bitmap.c: no bits are cleared during a transaction
# scenario H56-cleared-while-demoting
/^void bitmap_clear(/,/^}/s/if (!slots || /if (core->twopc.phase || !slots || /
