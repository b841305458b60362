# SPDX-License-Identifier: GPL-2.0-or-later
# Three nodes of ours and the peer: each is Primary, two others are down while it writes, one of these returns from another one when it is gone.
NODES="here there near far"
MAX_PEERS=5
. tests/interop/several.sh
down() { if [ "$1" = there ]; then there_down; else node_stop "$1"; fi; }
up() { if [ "$1" = there ]; then there_up; else node_start "$1"; fi; }
several_equal
several_model here
n=0
for primary in $NODES; do
	set -- $NODES $NODES
	while [ $1 != $primary ]; do shift; done
	must on $primary promote
	must on $primary write $((n + 1)) $((n * 4000)) 300
	must down $2
	must on $primary write $((n + 2)) $((n * 4000 + 200)) 300
	must down $3
	must on $primary write $((n + 3)) $((n * 4000 + 400)) 300
	must up $2
	must wait_for 120 "$2 to follow" eval "[ \"\$(node_field $2 '.devices[0].\"disk-state\"')\" = UpToDate ]"
	must on $primary demote
	must down $primary
	must up $3 # from the other two
	must wait_for 120 "$3 to follow" eval "[ \"\$(node_field $3 '.devices[0].\"disk-state\"')\" = UpToDate ]"
	must up $primary
	must wait_for 120 "all nodes settled after $primary" several_settled
	n=$((n + 1))
done
several_finish
