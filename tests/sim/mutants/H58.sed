# src/core/reconcile.c: a survivor waits for ever for what the other does not name
# scenario H3-caught-up-elsewhere
s/} else if (core->now_ns >= rc->deadline_ns) {/} else if (0) {/
