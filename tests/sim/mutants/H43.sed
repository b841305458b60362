# src/core/uuid_compare.c: an empty disk becomes the source
# scenario H43-replaced-disk
s/decided(SYNC_TARGET_SET_BITMAP, RULE_JUST_CREATED_SELF)/decided(SYNC_SOURCE_SET_BITMAP, RULE_JUST_CREATED_SELF)/
s/decided(SYNC_SOURCE_SET_BITMAP, RULE_JUST_CREATED_PEER)/decided(SYNC_TARGET_SET_BITMAP, RULE_JUST_CREATED_PEER)/
