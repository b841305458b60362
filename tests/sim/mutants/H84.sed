# src/core/actlog.c: an extent counts as in the activity log before the block that says so is on disk
# program tests/unit/test_core_actlog
/^static bool ref_is_hot/,/^}/s/if (!slot || slot->pending)/if (!slot)/
