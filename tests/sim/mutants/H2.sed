# src/core/sync_decide.c: what is marked between two survivors at equal generations is dropped
# scenario H2-stream-points
s/if (d->strategy != SYNC_NONE || /&d->rule == RULE_RECONNECTED || /
