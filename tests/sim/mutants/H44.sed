# src/core/uuid.c: the history of generations is not kept
# scenario 8-missed-end-reopen
/^void uuid_push_history/,/^}/s/if (!value || value == UUID_JUST_CREATED/if (value || value == UUID_JUST_CREATED/
