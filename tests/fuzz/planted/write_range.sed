# src/core/peer_write.c: a write may end behind the device
s/sectors <= size - block->sector;/sectors <= size + 8 - block->sector;/
