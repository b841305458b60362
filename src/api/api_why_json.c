/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the JSON of explanations and of the state changes that are kept. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/api_why.h"
#include "base/assert.h"
#include "base/str.h"

struct names {
	const struct resource_status *s;
	const char *self;
};

static const char *node_name(const struct names *n, unsigned node)
{
	if (node == n->s->node_id)
		return n->self;
	for (unsigned i = 0; i < n->s->peer_count; i++) {
		if (n->s->peers[i].node_id == node)
			return n->s->peers[i].name;
	}
	return "?";
}

static json_t *peer_json(const struct names *n, unsigned node)
{
	return node < NODES_MAX ? api_text(node_name(n, node)) : json_null();
}

static json_t *volume_json(uint32_t vnr)
{
	return vnr != VNR_NONE ? json_integer((json_int_t)vnr) : json_null();
}

/* ---- explanations ---- */

struct items {
	struct names names;
	json_t *array;
};

static json_t *holds_json(const struct api_why_item *i)
{
	json_t *out = json_array();

	if (i->holds_io)
		(void)json_array_append_new(out, json_string("io"));
	if (i->holds_primary)
		(void)json_array_append_new(out, json_string("primary"));
	if (i->holds_sync)
		(void)json_array_append_new(out, json_string("sync"));
	return out;
}

static json_t *who_json(const struct names *n, const struct api_why_item *i)
{
	switch (i->who) {
	case WHY_HERE:
		return api_text(n->self);
	case WHY_PEER:
		return api_text(node_name(n, i->node));
	case WHY_NOBODY:
		break;
	}
	return json_null();
}

static void add_item(void *ctx, const struct api_why_item *i)
{
	struct items *items = ctx;
	json_t *retry = i->retry_ms < 0 ? json_null() : json_integer(i->retry_ms);

	(void)json_array_append_new(
		items->array,
		json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "peer",
			  peer_json(&items->names, i->node), "volume", volume_json(i->vnr),
			  "state", i->state, "text", api_text(i->text), "holds", holds_json(i),
			  "who", who_json(&items->names, i), "command", api_text(i->command),
			  "retry-ms", retry));
}

/* ---- changes ---- */

static const char *what_word(enum change_what what)
{
	static const char *const names[] = {
		[CHANGE_ROLE] = "role",
		[CHANGE_SUSPENDED] = "suspended",
		[CHANGE_DISK] = "disk",
		[CHANGE_CONNECTION] = "connection",
		[CHANGE_PEER_ROLE] = "peer-role",
		[CHANGE_REPLICATION] = "replication",
		[CHANGE_PEER_DISK] = "peer-disk",
		[CHANGE_QUORUM] = "quorum",
		[CHANGE_PAUSED] = "resync-suspended",
		[CHANGE_DIFFERS] = "differs",
		[CHANGE_HANDLER] = "handler",
	};

	ASSERT((unsigned)what < ARRAY_LEN(names));
	return names[what];
}

static void bits_text(unsigned bits, const char *const names[], unsigned count, char out[64])
{
	out[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		if (bits >> i & 1)
			(void)str_append(out, 64, "%s%s", out[0] ? "," : "", names[i]);
	}
	if (!out[0])
		(void)str_copy(out, 64, "no");
}

static void value_text(enum change_what what, unsigned value, char out[64])
{
	static const char *const suspended[] = { "user", "no-data", "generation",
						 "quorum", "fencing" };
	static const char *const paused[] = { "user", "peer", "dependency", "max-parallel" };

	switch (what) {
	case CHANGE_ROLE:
	case CHANGE_PEER_ROLE:
		(void)str_copy(out, 64, role_name((enum role)value));
		return;
	case CHANGE_DISK:
	case CHANGE_PEER_DISK:
		(void)str_copy(out, 64, disk_state_name((enum disk_state)value));
		return;
	case CHANGE_CONNECTION:
		(void)str_copy(out, 64, conn_state_name((enum conn_state)value));
		return;
	case CHANGE_REPLICATION:
		(void)str_copy(out, 64, repl_state_name((enum repl_state)value));
		return;
	case CHANGE_SUSPENDED:
		bits_text(value, suspended, ARRAY_LEN(suspended), out);
		return;
	case CHANGE_QUORUM:
	case CHANGE_DIFFERS:
		(void)str_copy(out, 64, value ? "yes" : "no");
		return;
	case CHANGE_PAUSED:
		bits_text(value, paused, ARRAY_LEN(paused), out);
		return;
	case CHANGE_HANDLER:
		(void)str_copy(out, 64, value ? "running" : "ended");
		return;
	}
}

static const char *cause_word(enum change_cause cause)
{
	static const char *const names[] = {
		[CAUSE_COMMAND] = "command",
		[CAUSE_PEER] = "peer",
		[CAUSE_CONNECTION] = "connection",
		[CAUSE_DISK] = "disk",
		[CAUSE_TIMER] = "timer",
		[CAUSE_TWOPC] = "two-phase-commit",
		[CAUSE_RESYNCS] = "resyncs",
		[CAUSE_HANDLER] = "handler",
		[CAUSE_REQUEST] = "request",
	};

	ASSERT((unsigned)cause < ARRAY_LEN(names));
	return names[cause];
}

/* The cause for people. */
static void by_text(const struct names *n, const struct state_change *c, char *out, size_t bytes)
{
	const char *node = c->cause_node < NODES_MAX ? node_name(n, c->cause_node) : "";
	const char *detail = c->detail ? c->detail : "";

	switch (c->cause) {
	case CAUSE_COMMAND:
		(void)str_format(out, bytes, "command%s%s", detail[0] ? " " : "", detail);
		return;
	case CAUSE_PEER:
		(void)str_format(out, bytes, "word of %s%s%s", node, detail[0] ? ", " : "",
				 detail);
		return;
	case CAUSE_CONNECTION:
		(void)str_format(out, bytes, "connection to %s", node);
		return;
	case CAUSE_DISK:
		(void)str_copy(out, bytes, "local disk");
		return;
	case CAUSE_TIMER:
		(void)str_copy(out, bytes, "timer");
		return;
	case CAUSE_TWOPC:
		(void)str_format(out, bytes, "two-phase commit of %s", node);
		return;
	case CAUSE_RESYNCS:
		(void)str_copy(out, bytes, "resyncs of other resources");
		return;
	case CAUSE_HANDLER:
		(void)str_format(out, bytes, "handler %s", detail);
		return;
	case CAUSE_REQUEST:
		(void)str_copy(out, bytes, "I/O");
		return;
	}
}

/* "2027-11-29T14:00:00.123Z" */
static json_t *time_json(int64_t unix_ms)
{
	time_t t = (time_t)(unix_ms / 1000);
	char text[32];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		return json_null();
	return json_sprintf("%s.%03dZ", text, (int)(unix_ms % 1000));
}

static json_t *change_json(const struct names *n, const struct kept_change *kept)
{
	const struct state_change *c = &kept->change;
	char from[64], to[64], by[NAME_MAX_BYTES + 64];

	value_text(c->what, c->from, from);
	value_text(c->what, c->to, to);
	by_text(n, c, by, sizeof(by));
	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "time",
			 time_json(kept->unix_ms), "peer", peer_json(n, c->node), "volume",
			 volume_json(c->vnr), "what", what_word(c->what), "from", from, "to", to,
			 "cause", cause_word(c->cause), "cause-node",
			 peer_json(n, c->cause_node), "by", api_text(by), "reason",
			 api_text(c->reason));
}

/* ---- split brains ---- */

/* When the connection was lost last; null: not in the time that the daemon remembers. */
static json_t *apart_json(const struct kept_change *changes, unsigned count, unsigned node)
{
	for (unsigned i = count; i-- > 0;) {
		const struct state_change *c = &changes[i].change;

		if (c->what == CHANGE_CONNECTION && c->node == node && c->from == CONN_CONNECTED)
			return time_json(changes[i].unix_ms);
	}
	return json_null();
}

static json_t *uuid_json(uint64_t uuid)
{
	return uuid ? json_sprintf("%016llX", (unsigned long long)(uuid & ~UUID_PRIMARY)) :
		      json_null();
}

static json_t *side_json(const char *name, uint64_t uuid, uint64_t changed_kib, bool was, bool is)
{
	return json_pack("{s:o, s:o, s:I, s:b, s:b}", "node", api_text(name), "generation",
			 uuid_json(uuid), "changed-kib", (json_int_t)changed_kib, "was-primary",
			 (int)was, "is-primary", (int)is);
}

static json_t *split_json(const struct names *n, const struct status_peer *p,
			  const struct status_peer_device *d, json_t *apart)
{
	const struct status_split *x = &d->split;

	return json_pack("{s:i, s:o, s:o, s:b, s:[o, o]}", "volume", (int)d->vnr, "ancestor",
			 uuid_json(x->ancestor), "apart-since", apart, "copies-all",
			 (int)x->whole, "sides",
			 side_json(n->self, x->own_current, d->out_of_sync_sectors / 2,
				   x->was_primary, n->s->role == ROLE_PRIMARY),
			 side_json(p->name, x->peer_current, x->peer_bits * BM_BLOCK_SECTORS / 2,
				   x->peer_was_primary, x->peer_is_primary));
}

static json_t *splits_json(const struct names *n, const struct kept_change *changes,
			   unsigned count)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < n->s->peer_count; i++) {
		const struct status_peer *p = &n->s->peers[i];

		for (unsigned k = 0; k < p->device_count; k++) {
			json_t *apart;

			if (!p->devices[k].split.known)
				continue;
			apart = apart_json(changes, count, p->node_id);
			(void)json_array_append_new(out, split_json(n, p, &p->devices[k], apart));
		}
	}
	return out;
}

/* ---- the whole ---- */

json_t *api_why_json(const struct resource_status *s, bool up, const char *self,
		     const struct kept_change *changes, unsigned change_count)
{
	struct items items = { { s, self }, json_array() };
	struct items primary = { { s, self }, json_array() };
	json_t *list = json_array();
	struct api_verdict verdict = { .word = VERDICT_DOWN };
	bool possible = false;

	if (up) {
		api_verdict(s, &verdict);
		api_why(s, self, add_item, &items);
		possible = api_why_primary(s, self, add_item, &primary);
	} else {
		api_why_down(s->name, self, add_item, &items);
		api_why_down(s->name, self, add_item, &primary);
	}
	for (unsigned i = 0; i < change_count; i++)
		(void)json_array_append_new(list, change_json(&items.names, &changes[i]));
	return json_pack("{s:i, s:o, s:o, s:s, s:s, s:o, s:o, s:{s:b, s:o}, s:o, s:o}", "version",
			 API_WHY_VERSION, "name", api_text(s->name), "node", api_text(self), "role",
			 role_name(s->role), "verdict", api_verdict_name(verdict.word), "reason",
			 api_text(verdict.reason), "items", items.array, "primary", "possible",
			 (int)possible, "items", primary.array, "split-brains",
			 splits_json(&items.names, changes, change_count), "changes", list);
}
