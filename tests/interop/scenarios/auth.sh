# SPDX-License-Identifier: GPL-2.0-or-later
# cram-hmac-alg: with the same secret they connect, with different ones both are StandAlone.
for alg in sha256 sha1; do
	NET_HERE="cram-hmac-alg = \"$alg\"; shared-secret = \"tell nobody\";"
	NET_THERE="cram-hmac-alg $alg; shared-secret \"tell nobody\";"
	world_equal C
	must here_promote
	must here_write 1 0 100
	must here_demote
	finish_equal
done
NET_THERE='cram-hmac-alg sha1; shared-secret "something else";'
world_new C
both_up
must wait_for 60 "StandAlone here" here_conn_is StandAlone
must wait_for 60 "StandAlone there" there_conn_is StandAlone
