/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares a packet of ours with a recorded one; values that each node chooses are paired. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "replay_int.h"

#define TOKENS_MAX 64U
#define TOKEN_BYTES 320U

void replay_note(struct replay *r, enum replay_difference kind, const char *packet,
		 const char *field, const char *fmt, ...)
{
	struct replay_result *res = r->result;
	struct replay_note *n;
	va_list ap;
	int used;

	ASSERT(res->note_count < REPLAY_NOTES_MAX);
	n = &res->notes[res->note_count++];
	n->kind = kind;
	snprintf(n->packet, sizeof(n->packet), "%s", packet);
	snprintf(n->field, sizeof(n->field), "%s", field);
	used = snprintf(n->text, sizeof(n->text), "%.4f ",
			(double)(r->now_ns - r->base_ns) / 1e9);
	va_start(ap, fmt);
	vsnprintf(n->text + used, sizeof(n->text) - (size_t)used, fmt, ap);
	va_end(ap);
}

/* ---- packets and lists ---- */

struct replay_pkt *replay_pkt_new(const struct wire_ctx *ctx, unsigned peer, unsigned stream,
				  const uint8_t *bytes, size_t n)
{
	struct replay_pkt *p = calloc(1, sizeof(*p));
	struct wire_ctx c = *ctx;
	int rc;

	ASSERT(p);
	p->bytes = malloc(n);
	p->n = n;
	p->peer = (uint8_t)peer;
	p->stream = (uint8_t)stream;
	memcpy(p->bytes, bytes, n);
	rc = decode_packet(&c, (enum stream)stream, p->bytes, n, &p->d);
	if (rc == WIRE_ERR_PHASE || rc == WIRE_ERR_MAGIC) {
		c.apv = 0;
		rc = decode_packet(&c, (enum stream)stream, p->bytes, n, &p->d);
	}
	if (rc) {
		fprintf(stderr, "packet 0x%x: %s\n", p->d.header.type, wire_error_text(rc));
		ASSERT(!rc);
	}
	wire_format(&p->d.pkt, p->text, sizeof(p->text));
	return p;
}

static bool is_layout_1(const struct replay *r)
{
	return r->rc->features && !(r->rc->features & FEATURE_TWOPC_V2);
}

/* What has no meaning or is not agreed on goes. */
void pkt_normalise(const struct replay *r, struct replay_pkt *p)
{
	switch (p->d.pkt.type) {
	case P_UUIDS110: /* entries of the sender itself, of nodes without a disk */
		p->d.uuids.bitmap_mask &= ~(node_bit(r->rc->us) | r->rc->diskless);
		/* Of this program alone. */
		p->d.uuids.flags &= ~(UUID_FLAG_KEEPS_BITS | UUID_FLAG_WENT_ON |
				    UUID_FLAG_GIVEN_AWAY);
		break;
	case P_TWOPC_PREPARE:
	case P_TWOPC_COMMIT:
	case P_TWOPC_ABORT:
		if (is_layout_1(r))
			p->d.pkt.u.twopc.flags = 0;
		break;
	default:
		return;
	}
	wire_format(&p->d.pkt, p->text, sizeof(p->text));
}

void replay_pkt_free(struct replay_pkt *p)
{
	free(p->bytes);
	free(p);
}

void list_init_pkts(struct replay_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

void list_append(struct replay_list *l, struct replay_pkt *p)
{
	p->next = NULL;
	*l->tail = p;
	l->tail = &p->next;
}

void list_remove(struct replay_list *l, struct replay_pkt *p)
{
	struct replay_pkt **at = &l->head;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (!*at)
		l->tail = at;
}

void list_drop(struct replay_list *l)
{
	while (l->head) {
		struct replay_pkt *p = l->head;

		list_remove(l, p);
		replay_pkt_free(p);
	}
}

struct replay_pkt *list_find_block(struct replay_list *l, const struct pkt_block *b)
{
	for (struct replay_pkt *p = l->head; p; p = p->next) {
		if (p->d.pkt.u.block.sector == b->sector && p->d.pkt.u.block.bytes == b->bytes)
			return p;
	}
	return NULL;
}

/* ---- values that are paired ---- */

static struct replay_pair *find_pair(struct replay *r, enum replay_kind kind, uint64_t theirs)
{
	for (unsigned i = r->map_count; i-- > 0;) {
		if (r->map[i].kind == kind && r->map[i].theirs == theirs)
			return &r->map[i];
	}
	return NULL;
}

static uint64_t ours_of(struct replay *r, enum replay_kind kind, uint64_t theirs)
{
	struct replay_pair *p = find_pair(r, kind, theirs);

	return p ? p->ours : theirs;
}

static bool was_fed(const struct replay *r, uint64_t uuid)
{
	for (unsigned i = 0; i < r->fed_count; i++) {
		if (r->fed_uuid[i] == uuid)
			return true;
	}
	return false;
}

static uint64_t fed(struct replay *r, uint64_t uuid)
{
	uint64_t bit = uuid & UUID_PRIMARY, value = uuid & ~UUID_PRIMARY;

	if (uuid == UUID_UNKNOWN || value == 0)
		return uuid;
	if (!find_pair(r, KIND_UUID, value) && !was_fed(r, value)) {
		ASSERT(r->fed_count < REPLAY_MAP);
		r->fed_uuid[r->fed_count++] = value;
	}
	return ours_of(r, KIND_UUID, value) | bit;
}

static void pair_values(struct replay *r, enum replay_kind kind, uint64_t theirs, uint64_t ours)
{
	struct replay_pair *p = find_pair(r, kind, theirs);

	if (!p) {
		ASSERT(r->map_count < REPLAY_MAP);
		p = &r->map[r->map_count++];
	}
	*p = (struct replay_pair){ kind, theirs, ours };
}

static bool is_origin(enum replay_kind kind, unsigned type)
{
	switch (kind) {
	case KIND_UUID:
		return false;
	case KIND_TID:
		return type == P_TWOPC_PREPARE || type == P_TWOPC_PREP_RSZ;
	case KIND_BLOCK_ID:
		return type == P_DATA || type == P_TRIM || type == P_ZEROES ||
		       type == P_DATA_REQUEST || type == P_OV_REQUEST ||
		       type == P_OV_DAGTAG_REQ;
	case KIND_BARRIER:
		return type == P_BARRIER;
	case KIND_FLUSH:
		return type == P_FLUSH_REQUESTS;
	}
	return false;
}

/* Not known to be two different generations. */
static bool may_be_same(struct replay *r, uint64_t theirs, uint64_t ours)
{
	struct replay_pair *p = find_pair(r, KIND_UUID, theirs & ~UUID_PRIMARY);

	if (p || uuid_eq(theirs, ours))
		return uuid_eq(p ? p->ours : theirs, ours);
	return !was_fed(r, theirs & ~UUID_PRIMARY) && !was_fed(r, ours & ~UUID_PRIMARY);
}

static bool same_value(struct replay *r, enum replay_kind kind, unsigned type, uint64_t theirs,
		       uint64_t ours)
{
	struct replay_pair *p;

	if (kind == KIND_UUID) {
		if ((theirs ^ ours) & UUID_PRIMARY)
			return false;
		theirs &= ~UUID_PRIMARY;
		ours &= ~UUID_PRIMARY;
		if (theirs == UUID_UNKNOWN - 1 || ours == UUID_UNKNOWN - 1)
			return theirs == ours;
	}
	if (is_origin(kind, type)) {
		pair_values(r, kind, theirs, ours);
		return true;
	}
	p = find_pair(r, kind, theirs);
	if (p)
		return p->ours == ours;
	if (theirs == ours)
		return true;
	if (kind != KIND_UUID || theirs <= UUID_JUST_CREATED || ours <= UUID_JUST_CREATED ||
	    was_fed(r, theirs) || was_fed(r, ours))
		return false;
	pair_values(r, kind, theirs, ours);
	return true;
}

bool pkt_answers_later(struct replay *r, const struct pkt *pkt)
{
	return (pkt->type == P_TWOPC_YES || pkt->type == P_TWOPC_NO ||
		pkt->type == P_TWOPC_RETRY) &&
	       pkt->u.twopc_reply.initiator == r->rc->us &&
	       !find_pair(r, KIND_TID, pkt->u.twopc_reply.tid);
}

/* What the peer echoes of the recorded node's values becomes ours. */
void pkt_translate(struct replay *r, struct pkt *pkt, struct pkt_uuids *uuids)
{
	switch (pkt->type) {
	case P_UUIDS110:
		uuids->current = fed(r, uuids->current);
		for (unsigned i = 0; i < NODES_MAX; i++) {
			uuids->bitmap[i] = fed(r, uuids->bitmap[i]);
			uuids->history[i] = fed(r, uuids->history[i]);
		}
		return;
	case P_UUIDS:
		pkt->u.uuids_8.current = fed(r, pkt->u.uuids_8.current);
		pkt->u.uuids_8.bitmap = fed(r, pkt->u.uuids_8.bitmap);
		pkt->u.uuids_8.history[0] = fed(r, pkt->u.uuids_8.history[0]);
		pkt->u.uuids_8.history[1] = fed(r, pkt->u.uuids_8.history[1]);
		return;
	case P_SYNC_UUID:
		pkt->u.sync_uuid = fed(r, pkt->u.sync_uuid);
		return;
	case P_CURRENT_UUID:
		pkt->u.current_uuid.uuid = fed(r, pkt->u.current_uuid.uuid);
		return;
	case P_TWOPC_PREPARE:
	case P_TWOPC_COMMIT:
	case P_TWOPC_ABORT:
		pkt->u.twopc.tid = (uint32_t)ours_of(r, KIND_TID, pkt->u.twopc.tid);
		return;
	case P_TWOPC_YES:
	case P_TWOPC_NO:
	case P_TWOPC_RETRY:
		pkt->u.twopc_reply.tid = (uint32_t)ours_of(r, KIND_TID, pkt->u.twopc_reply.tid);
		return;
	case P_RECV_ACK:
	case P_WRITE_ACK:
	case P_WRITE_ACK_IN_SYNC:
	case P_NEG_ACK:
	case P_DATA_REPLY:
	case P_NEG_DREPLY:
		pkt->u.block.block_id = ours_of(r, KIND_BLOCK_ID, pkt->u.block.block_id);
		return;
	case P_BARRIER_ACK:
		pkt->u.barrier.number = (uint32_t)ours_of(r, KIND_BARRIER, pkt->u.barrier.number);
		return;
	case P_FLUSH_REQUESTS_ACK:
	case P_FLUSH_FORWARD:
		pkt->u.flush.sequence = ours_of(r, KIND_FLUSH, pkt->u.flush.sequence);
		return;
	default:
		return;
	}
}

/* ---- comparison ---- */

static bool is_block(unsigned type)
{
	static const uint16_t block[] = { P_DATA, P_TRIM, P_ZEROES, P_DATA_REQUEST, P_DATA_REPLY,
					  P_RS_DATA_REPLY, P_RECV_ACK, P_WRITE_ACK,
					  P_WRITE_ACK_IN_SYNC, P_NEG_ACK, P_OUT_OF_SYNC,
					  P_NEG_DREPLY, P_OV_REQUEST, P_OV_DAGTAG_REQ, P_OV_REPLY,
					  P_OV_DAGTAG_REPLY, P_OV_RESULT, P_OV_RESULT_ID };

	for (unsigned i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
		if (block[i] == type)
			return true;
	}
	return false;
}

bool pkt_same_kind(struct replay *r, const struct replay_pkt *want, const struct replay_pkt *got)
{
	const struct pkt *a = &want->d.pkt, *b = &got->d.pkt;

	if (want->peer != got->peer || want->stream != got->stream)
		return false;
	/* 8.4 asks for a volume where DRBD 9 asks it for the connection. */
	if ((a->type == P_STATE_CHG_REQ || a->type == P_CONN_ST_CHG_REQ) &&
	    b->type == P_CONN_ST_CHG_REQ)
		return a->u.change.mask == b->u.change.mask &&
		       a->u.change.val == b->u.change.val;
	if (a->type != b->type || a->vnr != b->vnr)
		return false;
	if (is_block(a->type))
		return a->u.block.sector == b->u.block.sector;
	if (a->type == P_TWOPC_PREPARE)
		return a->u.twopc.mask == b->u.twopc.mask && a->u.twopc.val == b->u.twopc.val &&
		       a->u.twopc.initiator == b->u.twopc.initiator;
	if (a->type == P_UUIDS)
		/* 8.4 leaves it to the state to say that it is inconsistent. */
		return !((a->u.uuids_8.flags ^ b->u.uuids_8.flags) & ~UUID_FLAG_INCONSISTENT) &&
		       may_be_same(r, a->u.uuids_8.current, b->u.uuids_8.current);
	/* Often sent twice in a row: the second must not be taken for the next one. */
	if (a->type == P_UUIDS110)
		return a->u.uuids->flags == b->u.uuids->flags &&
		       a->u.uuids->node_mask == b->u.uuids->node_mask &&
		       may_be_same(r, a->u.uuids->current, b->u.uuids->current);
	return true;
}

static unsigned split_tokens(const char *text, char token[TOKENS_MAX][TOKEN_BYTES])
{
	unsigned n = 0;

	while (*text && n < TOKENS_MAX) {
		size_t len;

		text += strspn(text, " ");
		if (*text == '[')
			text++;
		len = strcspn(text, " ");
		if (!len)
			break;
		snprintf(token[n], TOKEN_BYTES, "%.*s", (int)len, text);
		if (token[n][len - 1] == ']' && !strchr(token[n], '['))
			token[n][len - 1] = '\0';
		n++;
		text += len;
	}
	return n;
}

static bool paired_key(const char *key, enum replay_kind *kind)
{
	static const struct {
		const char *key;
		enum replay_kind kind;
	} keys[] = { { "cur", KIND_UUID },	 { "uuid", KIND_UUID },
		     { "tid", KIND_TID },	 { "id", KIND_BLOCK_ID },
		     { "barrier", KIND_BARRIER }, { "flush_seq", KIND_FLUSH },
		     { "bitmap_uuids", KIND_UUID }, { "bm", KIND_UUID },
		     { "h0", KIND_UUID },	 { "h1", KIND_UUID } };

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!strcmp(keys[i].key, key)) {
			*kind = keys[i].kind;
			return true;
		}
	}
	return false;
}

static bool same_list(struct replay *r, const char *want, const char *got)
{
	while (*want == '[' && *got == '[') {
		char *we, *ge;
		uint64_t w = strtoull(want + 1, &we, 16), g = strtoull(got + 1, &ge, 16);

		if (we == want + 1 || ge == got + 1)
			return *we == *ge;
		if (*we != *ge || !same_value(r, KIND_UUID, P_UUIDS110, w, g))
			return false;
		/* The next one looks like the first. */
		want = *we == ',' ? we : "";
		got = *ge == ',' ? ge : "";
		while (*want == ',' && *got == ',') {
			w = strtoull(want + 1, &we, 16);
			g = strtoull(got + 1, &ge, 16);
			if (*we != *ge || !same_value(r, KIND_UUID, P_UUIDS110, w, g))
				return false;
			want = we;
			got = ge;
		}
		return true;
	}
	return !strcmp(want, got);
}

static bool same_token(struct replay *r, unsigned type, const char *key, const char *want,
		       const char *got)
{
	enum replay_kind kind;
	uint64_t w, g;

	if (!paired_key(key, &kind))
		return !strcmp(want, got);
	if (!strcmp(key, "bitmap_uuids"))
		return same_list(r, want, got);
	w = strtoull(want, NULL, 16);
	g = strtoull(got, NULL, 16);
	/* 8.4 leaves the mark of a Primary in references; it counts nowhere. */
	if (type == P_UUIDS && strcmp(key, "cur") != 0)
		w = (w & ~UUID_PRIMARY) | (g & UUID_PRIMARY);
	return same_value(r, kind, type, w, g);
}

static void compare_lists(struct replay *r, const char *name, const struct pkt_uuids *want,
			  const struct pkt_uuids *got)
{
	for (unsigned i = 0; i < HISTORY_UUIDS; i++) {
		if (!same_value(r, KIND_UUID, P_UUIDS110, want->history[i], got->history[i])) {
			replay_note(r, DIFF_FIELD, name, "history_uuids",
				    "[%u] want %016llx got %016llx", i,
				    (unsigned long long)want->history[i],
				    (unsigned long long)got->history[i]);
			return;
		}
	}
}

/* What the line of text does not show. */
static void compare_rest(struct replay *r, const char *name, const struct replay_pkt *want,
			 const struct replay_pkt *got)
{
	const struct pkt *a = &want->d.pkt, *b = &got->d.pkt;
	uint32_t bytes = want->d.payload_bytes;

	if (a->type == P_UUIDS110)
		compare_lists(r, name, a->u.uuids, b->u.uuids);
	if (bytes && (bytes != got->d.payload_bytes ||
		      memcmp(want->bytes + want->n - bytes, got->bytes + got->n - bytes, bytes)))
		replay_note(r, DIFF_FIELD, name, "payload", "other contents at sector %llu",
			    (unsigned long long)a->u.block.sector);
	if (a->var_bytes != b->var_bytes ||
	    (a->var_bytes && memcmp(a->var, b->var, a->var_bytes)))
		replay_note(r, DIFF_FIELD, name, "contents", "other bytes");
	if (a->type == P_AUTH_CHALLENGE || a->type == P_AUTH_RESPONSE ||
	    a->type == P_SYNC_PARAM89) {
		if (want->d.body_bytes != got->d.body_bytes ||
		    memcmp(want->bytes + want->d.header.bytes, got->bytes + got->d.header.bytes,
			   want->d.body_bytes))
			replay_note(r, DIFF_FIELD, name, "bytes", "other bytes");
	}
}

unsigned pkt_likeness(const struct replay_pkt *want, const struct replay_pkt *got)
{
	static char w[TOKENS_MAX][TOKEN_BYTES], g[TOKENS_MAX][TOKEN_BYTES];
	unsigned nw = split_tokens(want->text, w), ng = split_tokens(got->text, g), equal = 0;

	for (unsigned i = 0; i < nw && i < ng; i++)
		equal += !strcmp(w[i], g[i]);
	return equal;
}

void pkt_compare(struct replay *r, struct replay_pkt *want, struct replay_pkt *got)
{
	static char w[TOKENS_MAX][TOKEN_BYTES], g[TOKENS_MAX][TOKEN_BYTES];
	unsigned nw = split_tokens(want->text, w), ng = split_tokens(got->text, g);
	const char *name = packet_name(want->d.pkt.type) + 2;
	unsigned before = r->result->note_count;

	if (want->d.pkt.type == P_TRIM || want->d.pkt.type == P_ZEROES) /* not in the text */
		pair_values(r, KIND_BLOCK_ID, want->d.pkt.u.block.block_id,
			    got->d.pkt.u.block.block_id);
	if (nw != ng)
		replay_note(r, DIFF_FIELD, name, "", "want \"%s\" got \"%s\"", want->text,
			    got->text);
	for (unsigned i = 0; i < nw && i < ng; i++) {
		char *we = strchr(w[i], '='), *ge = strchr(g[i], '=');

		if (!we || !ge)
			continue;
		*we = *ge = '\0';
		/* Layout 1 repeats the change in place of the members. */
		if (want->d.pkt.type == P_TWOPC_COMMIT && is_layout_1(r) && !strcmp(w[i], "B"))
			continue;
		if (!same_token(r, want->d.pkt.type, w[i], we + 1, ge + 1))
			replay_note(r, DIFF_FIELD, name, w[i], "want %s got %s", we + 1, ge + 1);
	}
	compare_rest(r, name, want, got);
	r->result->expected++;
	if (r->result->note_count == before)
		r->result->equal++;
}
