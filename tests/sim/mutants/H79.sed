# src/core/bitmap.c: the last block of the device is never in sync
# scenario H79-page-boundary
s/if (sector + sectors >= vol->bm.sectors || end > vol->bm.bits)/if (end == vol->bm.bits)\n\t\tend = vol->bm.bits - 1;\n\tif (end > vol->bm.bits)/
