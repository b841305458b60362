# src/core/read_path.c: a read error without a peer to ask
# scenario H85-read-error-alone
/^void read_start/,/^}/s/complete(core, req, -EIO, .*/ASSERT(peer);/
