# src/core/sync_decide.c: what is marked between equal generations is dropped when one side was restarted
# scenario H1-bits-left
s/if (d->strategy != SYNC_NONE || /&d->rule == RULE_LOST_QUORUM || /
