# src/meta/meta_al.c: only the last block of the activity log is read
# scenario H35-scattered
s/else if (scan.update_count)/else if (scan.update_count == 1)/
