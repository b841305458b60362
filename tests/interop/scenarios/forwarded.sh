# SPDX-License-Identifier: GPL-2.0-or-later
# Three nodes in a row, the peer or one of ours in the middle: a promotion at one end is known at the other, which may not follow.
for middle in near there; do
	NODES="here there near"
	if [ $middle = near ]; then LINKS="here-near there-near" ends="here there"; else LINKS="here-there there-near" ends="here near"; fi
	. tests/interop/several.sh
	several_equal
	set -- $ends
	for primary in $ends; do
		if [ $primary = "$1" ]; then second=$2; else second=$1; fi
		must on $primary promote
		! on $second promote >"$WORK/refused" 2>&1 || fail "$second was promoted beside $primary"
		role_is $second Secondary || fail "$second is $(node_field $second .role)"
		must role_is $primary Primary
		must on $primary demote
		# Nobody is in the way any more.
		must wait_for 30 "$second to be promoted" on $second promote
		must on $second demote
	done
	must on $middle promote
	for n in $ends; do
		! on $n promote >"$WORK/refused" 2>&1 || fail "$n was promoted beside $middle"
	done
	several_model $(ours | head -n 1)
	must on $middle write 1 1000 300
	must on $middle demote
	must wait_for 60 "all nodes settled" several_settled
	several_finish
done
