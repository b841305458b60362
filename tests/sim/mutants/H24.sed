# src/core/announce.c: a claim clears the bits of writes that were marked early
# program tests/unit/test_core_peer_write
s/^\t\t    !peer_writes_marked_early(core, vol, sector, sectors))/\t\t    1)/
