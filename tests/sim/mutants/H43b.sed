# src/core/uuid_compare.c: the older of two disks wins
# program tests/property/prop_decide_model
/^static struct sync_decision compare_different/,/^}/s/decided(SYNC_TARGET_USE_BITMAP, RULE_BITMAP_PEER)/decided(SYNC_SOURCE_USE_BITMAP, RULE_BITMAP_PEER)/
/^static struct sync_decision compare_different/,/^}/s/decided(SYNC_SOURCE_USE_BITMAP, RULE_BITMAP_SELF)/decided(SYNC_TARGET_USE_BITMAP, RULE_BITMAP_SELF)/
