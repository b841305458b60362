# src/core/resync.c: what is out of sync may end behind the device
s/(block->bytes + SECTOR_BYTES - 1).*> vol->size_sectors - block->sector) {/false) {/
