# src/core/uuid.c: the first generation is kept when a disk has no other
# scenario H11-day-0
s/bool day_0 = is_day_0(core, vol);/bool day_0 = false \&\& is_day_0(core, vol);/
