# src/core/sync_decide.c: an Inconsistent disk becomes the source
# program tests/property/prop_decide_model
/^static bool is_good_source/,/^}/s/return source->disk > DISK_INCONSISTENT &&/return source \&\&/
