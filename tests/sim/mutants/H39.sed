# src/core/uuid_attach.c: nothing is marked after a crash without an activity log
# scenario H39-log-off
s/if (guarded || lost_log)/if (guarded)/
