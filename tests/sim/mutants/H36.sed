# src/core/md.c: a change of the metadata while they are written is forgotten
# scenario H36-metadata-race
/^void md_meta_done/,/^}/s/vol->md_writing = false;/vol->md_writing = vol->md_is_dirty = false;/
