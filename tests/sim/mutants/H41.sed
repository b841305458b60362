# src/core/uuid.c: no new generation when the last disk of the peers is lost
# scenario H41-far-end
s/if (usable(p_was) && !usable(p_is))/if (usable(p_was) \&\& !usable(p_is) \&\& is >= DISK_INCONSISTENT)/
