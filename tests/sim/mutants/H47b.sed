# src/core/uuid_adopt.c: a generation counts as adopted before it is on disk
# scenario answer-without-generation
s/vol->adopt_seq = md_sync(core, vol);/md_dirty(core, vol);\n\tvol->adopt_seq = 0;/
