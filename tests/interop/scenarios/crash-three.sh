# SPDX-License-Identifier: GPL-2.0-or-later
# A Primary of three, ours or the peer, is lost in the middle of its writes: the survivors, of both kinds, agree on what it has sent to
# one of them only; one takes over, and the lost one follows.
[ -n "${PEER_CRASH:-}" ] || skip "no way to crash the peer (PEER_CRASH)"
NODES="here there near"
. tests/interop/several.sh
LOAD_BLOCKS=2000
several_equal
survivors_equal() { # NODES...: good, connected to each other, nothing out of sync between them
	local a b
	for a in "$@"; do
		[ "$(node_field "$a" '.devices[0]."disk-state"')" = UpToDate ] || return 1
		for b in "$@"; do
			[ "$a" = "$b" ] || [ "$(conn_field "$a" "$b" '.peer_devices[0] | [."replication-state", ."peer-disk-state", ."out-of-sync"] | join(",")')" = "Established,UpToDate,0" ] || return 1
		done
	done
}
must here_promote
must here_load_start
must load_goes_on here 10
must node_kill here
must here_load_stop
must wait_for 90 "the survivors of ours" survivors_equal there near
must wait_for 60 "the peer to take over" there_promote
must there_write 1 3000 100
must there_demote
must node_start here
must wait_for 120 "all nodes settled after the loss of ours" several_settled
must there_promote
must there_load_start
must load_goes_on there 6
must there_crash
must wait_for 60 "the loss here" not conn_is here there Connected
must wait_for 90 "the survivors of the peer" survivors_equal here near
must wait_for 60 "ours to take over" near_promote
must near_write 2 4000 100
must near_demote
must there_up
must wait_for 120 "all nodes settled after the loss of the peer" several_settled
several_finish no-model
