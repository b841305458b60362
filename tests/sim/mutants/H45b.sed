# src/core/uuid_compare.c: a node is taken for newer by the history of the other
# program tests/property/prop_decide_model
s/decided(SYNC_TARGET_SET_BITMAP, RULE_HISTORY_PEER)/decided(SYNC_SOURCE_SET_BITMAP, RULE_HISTORY_PEER)/
s/decided(SYNC_SOURCE_SET_BITMAP, RULE_HISTORY_SELF)/decided(SYNC_TARGET_SET_BITMAP, RULE_HISTORY_SELF)/
