# src/core/handshake.c: a connection that does not go on blocks its node
# scenario H63-commit-held
s/peer->hs_deadline_ns = core->now_ns + /&1000 * /
