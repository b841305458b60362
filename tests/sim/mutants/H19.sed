# src/core/sync_decide.c: the bitmap serves where only a full resync is right
# program tests/property/prop_decide_model
/^static void split_brain/,/^}/s/if (ambiguous)/if (0)/
