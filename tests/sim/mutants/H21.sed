# src/core/sync_decide.c: bits are copied from a slot without a generation
# program tests/property/prop_decide_model
s/if (!its || its == UUID_UNKNOWN)/if (its == UUID_UNKNOWN)/
