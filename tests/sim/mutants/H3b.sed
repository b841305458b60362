# src/core/uuid_rx.c: no new generation when an absent node has caught up elsewhere
# program tests/unit/test_core_resync
/^static void forget_absent/,/^}/s/vol->new_uuid_wanted = true;//
