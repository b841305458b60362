/* SPDX-License-Identifier: GPL-2.0-or-later */
/* After-split-brain policies (states-and-resync 3.1 to 3.3): pure. */
#include "core/uuid.h"

#define I_AM_SOURCE SYNC_SOURCE_USE_BITMAP
#define I_AM_TARGET SYNC_TARGET_USE_BITMAP
#define UNSOLVED SYNC_SPLIT_BRAIN_DISCONNECT

static enum sync_strategy tie_break(const struct sync_input *in)
{
	return in->me.rc ? I_AM_TARGET : I_AM_SOURCE;
}

static enum sync_strategy least_changes(const struct sync_input *in)
{
	if (in->me.dirty_bits == in->peer.dirty_bits)
		return tie_break(in);
	return in->me.dirty_bits < in->peer.dirty_bits ? I_AM_TARGET : I_AM_SOURCE;
}

static enum sync_strategy zero_changes(const struct sync_input *in, bool go_on)
{
	bool mine = !in->me.dirty_bits, its = !in->peer.dirty_bits;

	if (mine && its)
		return tie_break(in);
	if (its)
		return I_AM_SOURCE;
	if (mine)
		return I_AM_TARGET;
	return go_on ? least_changes(in) : UNSOLVED;
}

/* Who was Primary when they parted is told by the mark in the bitmap uuids. */
static enum sync_strategy by_age(const struct sync_input *in, bool discard_younger)
{
	uint64_t mine = in->me.bitmap[in->peer.node_id], its = in->peer.bitmap[in->me.node_id];
	bool i_was = mine != UUID_UNKNOWN && mine & UUID_PRIMARY;
	bool it_was = its != UUID_UNKNOWN && its & UUID_PRIMARY;

	if (i_was == it_was)
		return zero_changes(in, true);
	return i_was == discard_younger ? I_AM_SOURCE : I_AM_TARGET;
}

static enum sync_strategy without_primary(const struct sync_input *in)
{
	switch (in->after_sb_0p) {
	case ASB_DISCARD_YOUNGER_PRIMARY:
		return by_age(in, true);
	case ASB_DISCARD_OLDER_PRIMARY:
		return by_age(in, false);
	case ASB_DISCARD_ZERO_CHANGES:
		return zero_changes(in, false);
	case ASB_DISCARD_LEAST_CHANGES:
		return least_changes(in);
	case ASB_DISCARD_LOCAL:
		return I_AM_TARGET;
	case ASB_DISCARD_REMOTE:
		return I_AM_SOURCE;
	default:
		return UNSOLVED;
	}
}

static enum sync_strategy one_primary(const struct sync_input *in)
{
	bool i_am_primary = in->me.role == ROLE_PRIMARY;
	enum sync_strategy s;

	switch (in->after_sb_1p) {
	case ASB_CONSENSUS:
		s = without_primary(in);
		return s == (i_am_primary ? I_AM_SOURCE : I_AM_TARGET) ? s : UNSOLVED;
	case ASB_VIOLENTLY:
	case ASB_CALL_PRI_LOST:
		return without_primary(in);
	case ASB_DISCARD_SECONDARY:
		return i_am_primary ? I_AM_SOURCE : I_AM_TARGET;
	default:
		return UNSOLVED;
	}
}

enum sync_strategy split_brain_policy(const struct sync_input *in)
{
	unsigned primaries = (in->me.role == ROLE_PRIMARY) + (in->peer.role == ROLE_PRIMARY);

	if (primaries == 0)
		return without_primary(in);
	if (primaries == 1)
		return one_primary(in);
	if (in->after_sb_2p != ASB_VIOLENTLY && in->after_sb_2p != ASB_CALL_PRI_LOST)
		return UNSOLVED;
	return without_primary(in);
}

bool split_brain_demotes(const struct sync_input *in, enum sync_strategy s)
{
	bool two = in->me.role == ROLE_PRIMARY && in->peer.role == ROLE_PRIMARY;

	return strategy_is_target(s) && in->me.role == ROLE_PRIMARY &&
	       (two ? in->after_sb_2p : in->after_sb_1p) == ASB_CALL_PRI_LOST;
}
