/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks one resync decision from both ends against what must hold for all of them. */
#include "sync_oracle.h"

#include <stdio.h>

struct pair {
	const struct sync_input *in;
	struct sync_decision a, b; /* of me, of the peer */
};

static bool both_keep_bits(const struct sync_input *in)
{
	return in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS;
}

static bool is_new(const struct uuid_side *side)
{
	return !side->current || uuid_eq(side->current, UUID_JUST_CREATED);
}

static bool equal(const struct sync_input *in)
{
	return !is_new(&in->me) && uuid_eq(in->me.current, in->peer.current);
}

/* Its generation comes from that one, by a reference or by the history. */
static bool knows(const struct uuid_side *side, uint64_t uuid)
{
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (side->bitmap[n] && side->bitmap[n] != UUID_UNKNOWN &&
		    uuid_eq(side->bitmap[n], uuid))
			return true;
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		if (side->history[i] && uuid_eq(side->history[i], uuid))
			return true;
	return false;
}

static bool is_newer(const struct uuid_side *a, const struct uuid_side *b)
{
	return !is_new(a) && !is_new(b) && !uuid_eq(a->current, b->current) &&
	       knows(a, b->current) && !knows(b, a->current);
}

/* An operator, or the configuration, has said that newer data go. */
static bool may_go_back(const struct sync_input *in)
{
	return (in->me.flags | in->peer.flags) & UUID_FLAG_DISCARD_MY_DATA ||
	       in->rr_conflict == ASB_AUTO_DISCARD;
}

/* ---- S13, S8 ---- */

static const char *not_mirrored(const struct pair *p)
{
	if ((p->a.repl == REPL_WF_BITMAP_S) != (p->b.repl == REPL_WF_BITMAP_T) ||
	    (p->a.repl == REPL_WF_BITMAP_T) != (p->b.repl == REPL_WF_BITMAP_S))
		return "not mirrored";
	if ((p->a.behind == SYNC_BEHIND_ME) != (p->b.behind == SYNC_BEHIND_PEER) ||
	    (p->a.behind == SYNC_BEHIND_PEER) != (p->b.behind == SYNC_BEHIND_ME))
		return "not mirrored who is behind";
	return NULL;
}

/* Towards a kernel, a node that is a target itself waits as source until it is through. */
static bool is_good_source(const struct uuid_side *side, const struct sync_input *in)
{
	return side->disk > DISK_INCONSISTENT ||
	       (side->flags & UUID_FLAG_SYNC_TARGET && !both_keep_bits(in));
}

static const char *bits_forgotten(const struct pair *p)
{
	const struct sync_input *in = p->in;
	bool both_inconsistent = in->me.disk == DISK_INCONSISTENT &&
				 in->peer.disk == DISK_INCONSISTENT;
	bool bits = in->me.dirty_bits || in->peer.dirty_bits;

	if (p->a.repl == REPL_ESTABLISHED && bits && !both_inconsistent && equal(in) &&
	    !(in->me.role == ROLE_PRIMARY && in->peer.role == ROLE_PRIMARY))
		return "bits forgotten";
	return NULL;
}

/* Different generations that stay as they are: the newer one is not whole, or a third node that
 * makes one of the two unstable settles it. */
static const char *merged_silently(const struct pair *p)
{
	const struct sync_input *in = p->in;
	bool unstable = !(in->me.flags & in->peer.flags & UUID_FLAG_STABLE);

	if (p->a.repl == REPL_ESTABLISHED && !equal(in) && !is_new(&in->me) &&
	    !is_new(&in->peer) && !unstable && p->a.behind == SYNC_BEHIND_NOBODY)
		return "different generations are taken for the same";
	return NULL;
}

/* ---- direction ---- */

static const char *wrong_source(const struct sync_input *in, const struct sync_decision *d,
				const struct uuid_side *source, const struct uuid_side *target)
{
	const struct uuid_side *user = target;

	if (!is_good_source(source, in))
		return "an inconsistent source";
	if (is_new(source) && !is_new(target))
		return "an empty disk as the source";
	if (is_newer(target, source) && !may_go_back(in))
		return "the source is older";
	/* On a Consistent disk a Primary shows the data of a good peer (2.5, rr-conflict). */
	if (user->role == ROLE_PRIMARY && user->disk > DISK_CONSISTENT && !user->attaching &&
	    (in->me.dirty_bits || in->peer.dirty_bits) && in->rr_conflict == ASB_DISCONNECT &&
	    !strategy_is_split_brain(d->strategy))
		return "the data of a Primary are exchanged under its users";
	return NULL;
}

static bool is_reference(const struct uuid_side *side, const struct uuid_side *other, uint64_t uuid)
{
	uint64_t reference = side->bitmap[other->node_id];

	return reference && reference != UUID_UNKNOWN && uuid_eq(reference, uuid);
}

/* The bits of the two together mark all that has changed on either since they had the same. */
static bool reach_back(const struct uuid_side *a, const struct uuid_side *b)
{
	return is_reference(a, b, b->current) || is_reference(b, a, a->current) ||
	       is_reference(a, b, b->bitmap[a->node_id]);
}

/* The target has not all of what it names, and its slot begins later than where it is itself. */
static bool is_between(const struct uuid_side *source, const struct uuid_side *target)
{
	uint64_t its = target->bitmap[source->node_id];

	return target->flags & UUID_FLAG_SYNC_TARGET && its && its != UUID_UNKNOWN &&
	       !uuid_eq(its, source->current) && !uuid_eq(its, source->bitmap[target->node_id]);
}

/* Which bits serve: those that are set since the generation that the target has, or all. */
static const char *wrong_bits(const struct sync_input *in, const struct sync_decision *d,
			      const struct uuid_side *source, const struct uuid_side *target)
{
	if (is_new(source) || is_new(target))
		return d->strategy == SYNC_SOURCE_SET_BITMAP ? NULL :
							       "no full resync of a new disk";
	if (d->strategy == SYNC_SOURCE_COPY_BITMAP) {
		uint64_t slot = source->bitmap[d->copy_from];

		if (!slot || slot == UUID_UNKNOWN)
			return "bits of a slot without a generation";
		return uuid_eq(slot, target->current) ||
				       uuid_eq(slot, target->bitmap[source->node_id]) ?
			       NULL : "bits of a slot of another generation";
	}
	if (equal(in))
		return NULL;
	if (d->strategy == SYNC_SOURCE_USE_BITMAP && !reach_back(source, target))
		return "bits that do not go back to a common generation";
	if (d->strategy == SYNC_SOURCE_USE_BITMAP && is_between(source, target))
		return "bits that do not go back to where the target is";
	if (d->strategy == SYNC_SOURCE_SET_BITMAP && is_newer(source, target) &&
	    is_reference(source, target, target->current) && !is_between(source, target))
		return "a full resync where bits are enough";
	return NULL;
}

/* ---- refusals ---- */

static const char *false_alarm(const struct pair *p)
{
	const struct sync_input *in = p->in;
	bool lineage = is_newer(&in->me, &in->peer) || is_newer(&in->peer, &in->me);

	if ((lineage || equal(in)) && (p->a.strategy == SYNC_UNRELATED_DATA ||
				       strategy_is_split_brain(p->a.strategy)))
		return "a false alarm";
	return NULL;
}

static const char *problem(const struct pair *p)
{
	const struct sync_input *in = p->in;
	const char *why = in->apv >= 110 ? false_alarm(p) : NULL;

	/* Refused by one: the connection is not made. */
	if (why || p->a.kind != VERDICT_GO || p->b.kind != VERDICT_GO)
		return why;
	why = not_mirrored(p);
	why = why ? why : bits_forgotten(p);
	why = why ? why : merged_silently(p);
	if (why)
		return why;
	if (p->a.repl == REPL_WF_BITMAP_S) {
		why = wrong_source(in, &p->a, &in->me, &in->peer);
		return why ? why : wrong_bits(in, &p->a, &in->me, &in->peer);
	}
	if (p->a.repl == REPL_WF_BITMAP_T) {
		why = wrong_source(in, &p->b, &in->peer, &in->me);
		return why ? why : wrong_bits(in, &p->b, &in->peer, &in->me);
	}
	return NULL;
}

static void print_side(const char *name, const struct uuid_side *s)
{
	printf("  %s: node %u current %llx references", name, s->node_id,
	       (unsigned long long)s->current);
	for (unsigned n = 0; n < 3; n++)
		printf(" %llx", (unsigned long long)s->bitmap[n]);
	printf(" history");
	for (unsigned i = 0; i < HISTORY_UUIDS && s->history[i]; i++)
		printf(" %llx", (unsigned long long)s->history[i]);
	printf(" flags %llx bits %llu disk %s role %d rc %d\n", (unsigned long long)s->flags,
	       (unsigned long long)s->dirty_bits, disk_state_name(s->disk), (int)s->role, s->rc);
}

const char *sync_oracle(const struct sync_input *in)
{
	struct pair p = { .in = in };
	struct sync_input swapped;
	const char *why;

	sync_input_swap(in, &swapped);
	p.a = sync_decide(in);
	p.b = sync_decide(&swapped);
	why = problem(&p);
	if (!why)
		return NULL;
	printf("%s: %s (%s) against %s (%s), protocol %u%s\n", why,
	       sync_strategy_name(p.a.strategy), sync_rule_name(p.a.rule),
	       sync_strategy_name(p.b.strategy), sync_rule_name(p.b.rule), in->apv,
	       in->again ? ", again" : "");
	print_side("me", &in->me);
	print_side("peer", &in->peer);
	return why;
}
