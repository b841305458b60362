# src/core/uuid.c: writes are answered before their generation is on disk
# scenario flush-without-generation
/^bool uuid_bump_running/,/^}/s/return true;/continue;/
