# SPDX-License-Identifier: GPL-2.0-or-later
# A node of ours without disk is the tie-breaker between ours and the peer: the side that is cut off loses quorum and answers no write until it is
# back, the other one goes on; either node is Primary, either side is cut off.
NODES="here there near"
DISKLESS=near
. tests/interop/several.sh
OPTIONS_HERE='quorum = "majority";  on-no-quorum = "suspend-io";'
OPTIONS_THERE='quorum majority; on-no-quorum suspend-io;'
LOAD_BLOCKS=1000
[ -n "${LINK_CUT:-}" ] || skip "no way to cut the link (LINK_CUT)"
several_equal
for n in $NODES; do must quorum_is $n true; done
# The peer is cut off.
for primary in here there; do
	must on $primary promote
	must on $primary load_start
	must load_goes_on $primary 5
	must cut_link
	must wait_for 60 "the peer's loss" eval 'conn_is here there Connecting && conn_is near there Connecting'
	must wait_for 60 "the peer without quorum" quorum_is there false
	must wait_for 30 "quorum here" quorum_is here true
	if [ $primary = here ]; then
		must load_goes_on here 5
		not there_promote >/dev/null 2>&1 || fail "promoted without quorum"
	else
		before=$(there_load_count)
		must here_promote
		must here_write 1 5000 200
		must here_demote
		[ "$(there_load_count)" -le $((before + 1)) ] || fail "the peer writes without quorum"
	fi
	must heal_link
	# A Primary without quorum whose side has lost is suspended for good, and refuses who went on: its users have to let go.
	if [ $primary = there ]; then
		there "rm -f /tmp/drbdfs-load; drbdadm -c $THERE_CONF secondary --force r0" >/dev/null 2>&1
		adm connect r0 >/dev/null 2>&1
		must here_connect
	fi
	must wait_for 120 "all nodes settled, $primary was Primary" several_settled
	if [ $primary = here ]; then must here_load_stop && must here_demote; fi
done
# Ours is cut off from both: the tie-breaker is down, and the peer cut off.
must here_promote
must here_load_start
must load_goes_on here 5
must node_stop near
must wait_for 60 "quorum of two" quorum_is here true
must cut_link
must wait_for 60 "ours without quorum" quorum_is here false
before=$(here_load_count)
pause 3
[ "$(here_load_count)" -le $((before + 1)) ] || fail "ours writes without quorum"
# A tie-breaker keeps quorum, it does not give it.
must node_start near
must wait_for 60 "the tie-breaker" conn_is here near Connected
pause 3
must quorum_is here false
[ "$(here_load_count)" -le $((before + 1)) ] || fail "ours writes with the tie-breaker alone"
must heal_link
must wait_for 60 "quorum regained with the peer" quorum_is here true
must load_goes_on here 5
must wait_for 120 "all nodes settled" several_settled
must here_load_stop
must here_demote
must wait_for 60 "all nodes settled" several_settled
several_finish no-model
