# src/core/uuid_rx.c src/core/resync_finish.c src/core/state_sanitize.c: a target stays with a source that the Primary's writes pass by
# scenario return-primary-follows
/^static void leave_weak_source/,/^}/s/if (core->st.peer\[primary->id\].role != ROLE_PRIMARY)/if (primary)/
s/if (rs->unstable || resync_source_unstable(core, pd)) {/if (0) {/
s/primary |= state_may_be_source/primary |= 0 \& state_may_be_source/
