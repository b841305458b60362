/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of one write towards each peer: legal combinations and moves. */
#include "core/request.h"

#define BIT(name) (1U << NET_##name)

bool net_legal(unsigned bits)
{
	unsigned answered = bits & (BIT(WRITTEN) | BIT(FAILED) | BIT(REFUSED));
	unsigned expected = bits & (BIT(WANTED) | BIT(ACK_DUE));
	unsigned over = bits & (BIT(STABLE) | BIT(LOST));

	if (!(bits & BIT(SENT)))
		return bits == 0;
	if ((answered & (answered - 1)) || over == (BIT(STABLE) | BIT(LOST)))
		return false;
	if (expected && (answered || over))
		return false;
	if ((bits & (BIT(WANTED) | BIT(REFUSED))) && (bits & BIT(RECEIVED)))
		return false;
	return IMPLIES(bits & BIT(IN_SYNC), bits & BIT(WRITTEN));
}

/* The masks follow the bits of the node. */
static void store(struct net_state *net, unsigned node, unsigned bits)
{
	unsigned changed = net->bits[node] ^ bits;

	ASSERT(net_legal(bits));
	net->bits[node] = (uint16_t)bits;
	for (; changed; changed &= changed - 1)
		net->of[__builtin_ctz(changed)] ^= UINT32_C(1) << node;
}

void net_send(struct net_state *net, unsigned node, bool wanted, bool ack_due)
{
	ASSERT(net_bits_of(net, node) == 0);
	store(net, node, BIT(SENT) | (wanted ? BIT(WANTED) : 0) | (ack_due ? BIT(ACK_DUE) : 0));
}

bool net_move(struct net_state *net, unsigned node, enum net_event event)
{
	unsigned bits = net_bits_of(net, node);
	unsigned answered = BIT(WRITTEN) | BIT(FAILED) | BIT(REFUSED);
	unsigned expected = BIT(WANTED) | BIT(ACK_DUE);

	if (!(bits & BIT(SENT)) || (bits & (BIT(STABLE) | BIT(LOST))))
		return false;
	switch (event) {
	case NET_EV_RECV_ACK:
		if (bits & (BIT(RECEIVED) | answered))
			return false;
		bits = (bits | BIT(RECEIVED)) & ~BIT(WANTED);
		break;
	case NET_EV_WRITE_ACK:
	case NET_EV_WRITE_ACK_IN_SYNC:
		if (!(bits & BIT(ACK_DUE)))
			return false;
		bits = (bits | BIT(WRITTEN)) & ~expected;
		if (event == NET_EV_WRITE_ACK_IN_SYNC)
			bits |= BIT(IN_SYNC);
		break;
	case NET_EV_NEG_ACK:
		/* Also without a due ack: protocol A peers may report a failed write. */
		if (bits & answered)
			return false;
		bits = (bits | BIT(FAILED)) & ~expected;
		break;
	case NET_EV_RETRY:
		if (!(bits & BIT(ACK_DUE)) || bits & BIT(RECEIVED))
			return false;
		bits = (bits | BIT(REFUSED)) & ~expected;
		break;
	case NET_EV_STABLE:
		/* All acks of an epoch come before the ack of its barrier. */
		if (bits & expected)
			return false;
		bits |= BIT(STABLE);
		break;
	case NET_EV_LOST:
		bits = (bits | BIT(LOST)) & ~expected;
		break;
	}
	store(net, node, bits);
	return true;
}
