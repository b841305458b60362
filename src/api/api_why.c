/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the explanations: a table for each kind of state, and what depends on more than one. */
#include "api/api_why.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define NS_PER_MS UINT64_C(1000000)

/* What the texts are about. */
struct view {
	const struct resource_status *s;
	const char *self;
	const struct status_volume *volume;       /* or NULL */
	const struct status_peer *peer;           /* or NULL */
	const struct status_peer_device *device;  /* or NULL */
	api_why_emit emit;
	void *ctx;
};

/* $R resource, $V volume, $P peer, $S this node, $A peers that are not connected,
 * $E what the status gives as reason (": ..."), $X how fence-peer has ended. */
struct row {
	const char *text;
	enum api_why_who who;
	const char *command;
	bool holds_sync;
};

/* ---- texts ---- */

static const char *reason_of(const struct view *v)
{
	if (v->peer)
		return v->peer->reason;
	return v->volume ? v->volume->reason : "";
}

static void expand_absent(const struct view *v, char *out, size_t bytes)
{
	bool any = false;

	for (unsigned i = 0; i < v->s->peer_count; i++) {
		if (v->s->peers[i].conn == CONN_CONNECTED)
			continue;
		(void)str_append(out, bytes, "%s%s", any ? ", " : "", v->s->peers[i].name);
		any = true;
	}
	if (!any)
		(void)str_append(out, bytes, "none");
}

static void expand_one(const struct view *v, char what, char *out, size_t bytes)
{
	switch (what) {
	case 'R':
		(void)str_append(out, bytes, "%s", v->s->name);
		return;
	case 'S':
		(void)str_append(out, bytes, "%s", v->self);
		return;
	case 'P':
		(void)str_append(out, bytes, "%s", v->peer ? v->peer->name : "a peer");
		return;
	case 'V':
		(void)str_append(out, bytes, "%u",
				 v->device ? v->device->vnr : v->volume ? v->volume->vnr : 0);
		return;
	case 'A':
		expand_absent(v, out, bytes);
		return;
	case 'X':
		if (v->peer && v->peer->fence_status >= 0)
			(void)str_append(out, bytes, "exit code %d", v->peer->fence_status);
		else
			(void)str_append(out, bytes, "it did not run to its end");
		return;
	case 'E':
		(void)str_append(out, bytes, "%s%s", reason_of(v)[0] ? ": " : "", reason_of(v));
		return;
	default:
		ASSERT(false); /* one of the above */
	}
}

static void expand(const struct view *v, const char *text, char *out, size_t bytes)
{
	out[0] = '\0';
	for (const char *p = text; *p;) {
		int plain = (int)strcspn(p, "$");

		(void)str_append(out, bytes, "%.*s", plain, p);
		p += plain;
		if (*p == '$') {
			expand_one(v, p[1], out, bytes);
			p += 2;
		}
	}
}

static void emit_row(const struct view *v, const struct row *row, const char *state,
		     struct api_why_item *item)
{
	item->node = v->peer ? v->peer->node_id : NODES_MAX;
	item->vnr = v->device ? v->device->vnr : v->volume ? v->volume->vnr : VNR_NONE;
	item->state = state;
	item->who = row->who;
	item->holds_sync |= row->holds_sync;
	expand(v, row->text, item->text, sizeof(item->text));
	expand(v, row->command, item->command, sizeof(item->command));
	v->emit(v->ctx, item);
}

static void emit(const struct view *v, const struct row *row, const char *state)
{
	struct api_why_item item = { .retry_ms = -1 };

	emit_row(v, row, state, &item);
}

/* ---- facts ---- */

static const struct status_peer_device *device_of(const struct status_peer *p, uint32_t vnr)
{
	for (unsigned i = 0; i < p->device_count; i++) {
		if (p->devices[i].vnr == vnr)
			return &p->devices[i];
	}
	return NULL;
}

static const struct status_peer *good_peer(const struct resource_status *s, uint32_t vnr)
{
	for (unsigned i = 0; i < s->peer_count; i++) {
		const struct status_peer_device *d = device_of(&s->peers[i], vnr);

		if (d && d->peer_disk == DISK_UP_TO_DATE && s->peers[i].readable)
			return &s->peers[i];
	}
	return NULL;
}

bool api_data_reachable(const struct resource_status *s, const struct status_volume *v)
{
	return v->disk == DISK_UP_TO_DATE || good_peer(s, v->vnr);
}

static const struct status_peer *absent_peer(const struct resource_status *s)
{
	for (unsigned i = 0; i < s->peer_count; i++) {
		if (s->peers[i].conn != CONN_CONNECTED)
			return &s->peers[i];
	}
	return NULL;
}

static bool is_target(enum repl_state repl)
{
	return repl == REPL_STARTING_SYNC_T || repl == REPL_WF_BITMAP_T ||
	       repl == REPL_WF_SYNC_UUID || repl == REPL_SYNC_TARGET ||
	       repl == REPL_PAUSED_SYNC_T || repl == REPL_BEHIND;
}

/* From whom the volume is resynced, or will be. */
static const struct status_peer *source_of(const struct resource_status *s, uint32_t vnr)
{
	for (unsigned i = 0; i < s->peer_count; i++) {
		const struct status_peer_device *d = device_of(&s->peers[i], vnr);

		if (d && is_target(d->repl))
			return &s->peers[i];
	}
	return NULL;
}

/* ---- the local disk ---- */

static const struct row disk_rows[] = {
	[DISK_DISKLESS] = { "no disk is attached here$E", WHY_HERE, "drbdctl attach $R/$V", true },
	[DISK_ATTACHING] = { "the disk is being taken into use", WHY_NOBODY,
			     "drbdctl status $R --watch", true },
	[DISK_DETACHING] = { "the disk is being given up; what is under way at it has to end first",
			     WHY_NOBODY, "drbdctl status $R --watch", true },
	[DISK_FAILED] = { "the disk has failed and is being given up$E", WHY_HERE,
			  "drbdctl attach $R/$V", true },
	[DISK_NEGOTIATING] = { "the peers have to say first whose data are newer", WHY_NOBODY,
			       "drbdctl status $R --watch", true },
	[DISK_UNKNOWN] = { "nothing is known of the disk", WHY_HERE, "drbdctl attach $R/$V", true },
};

static const struct row disk_hangs = {
	"the disk was given up because it does not answer$E. It can be attached again when what "
	"is under way there has ended; if it never does, restart the daemon", WHY_HERE,
	"drbdctl attach $R/$V", true
};
static const struct row inconsistent_new = {
	"the disk is just created and holds no data yet. Once, on one node: new-current-uuid says "
	"that all copies are alike; 'drbdctl primary $R --force' copies this one to all others",
	WHY_HERE, "drbdctl new-current-uuid $R/$V --clear-bitmap", true
};
static const struct row behind_and_syncing = {
	"the data here are not current: they are resynced from $P", WHY_NOBODY,
	"drbdctl wait-sync $R", false
};
static const struct row inconsistent_beside_good = {
	"the data here are a mix of old and new, and no resync from $P runs", WHY_HERE,
	"drbdctl invalidate $R/$V", true
};
static const struct row outdated_beside_good = {
	"the data here are older than those of $P, and no resync from it runs", WHY_HERE,
	"drbdctl invalidate $R/$V", true
};
static const struct row inconsistent_alone = {
	"the data here are a mix of old and new: a resync did not end. A node with UpToDate data "
	"is needed and $P is not connected; 'drbdctl primary $R --force' takes the data as they "
	"are, and loses what is newer elsewhere", WHY_HERE, "drbdctl connect $R", true
};
static const struct row outdated_alone = {
	"another node has newer data, and $P is not connected; 'drbdctl primary $R --force' goes "
	"on with the old ones, which is a split brain when the newer ones come back", WHY_HERE,
	"drbdctl connect $R", true
};
static const struct row consistent_alone = {
	"whether another node has newer data is not known as long as $P is not connected; "
	"'drbdctl primary $R --force' declares these the newest", WHY_HERE,
	"drbdctl connect $R", true
};
static const struct row consistent_among_all = {
	"the nodes are agreeing on whose data are the newest", WHY_NOBODY,
	"drbdctl status $R --watch", true
};
static const struct row behind_among_all = {
	"all nodes are connected and none has UpToDate data; 'drbdctl primary $R --force', on the "
	"node whose data are the best, declares them good", WHY_HERE,
	"drbdctl primary $R --force", true
};
static const struct row client_without_data = {
	"this node has no disk of its own for the volume, and no connected peer has UpToDate data",
	WHY_HERE, "drbdctl connect $R", true
};

static const struct row no_quorum = {
	"no quorum: too few of the nodes are connected, or of those with UpToDate data (not "
	"connected: $A); nothing is written until there are enough", WHY_HERE,
	"drbdctl connect $R", false
};

/* A disk with data that are not, or not for certain, the newest. */
static const struct row *behind_row(const struct view *v, struct view *about)
{
	const struct resource_status *s = v->s;
	enum disk_state disk = v->volume->disk;

	about->peer = source_of(s, v->volume->vnr);
	if (about->peer)
		return &behind_and_syncing;
	about->peer = good_peer(s, v->volume->vnr);
	if (about->peer && disk != DISK_CONSISTENT)
		return disk == DISK_INCONSISTENT ? &inconsistent_beside_good :
						   &outdated_beside_good;
	if (disk == DISK_INCONSISTENT && v->volume->current_uuid == UUID_JUST_CREATED)
		return &inconsistent_new;
	about->peer = absent_peer(s);
	if (!about->peer)
		return disk == DISK_CONSISTENT ? &consistent_among_all : &behind_among_all;
	if (disk == DISK_CONSISTENT)
		return &consistent_alone;
	return disk == DISK_INCONSISTENT ? &inconsistent_alone : &outdated_alone;
}

/* NULL: there is nothing to explain. `about` is what its text is about. */
static const struct row *disk_row(const struct view *v, struct view *about)
{
	const struct status_volume *volume = v->volume;

	*about = *v;
	if (volume->client)
		return api_data_reachable(v->s, volume) ? NULL : &client_without_data;
	if (volume->unanswered)
		return &disk_hangs;
	switch (volume->disk) {
	case DISK_UP_TO_DATE:
		return NULL;
	case DISK_INCONSISTENT:
	case DISK_OUTDATED:
	case DISK_CONSISTENT:
		return behind_row(v, about);
	default:
		return &disk_rows[volume->disk];
	}
}

static void why_quorum(const struct view *v)
{
	struct api_why_item item = { .retry_ms = -1, .holds_io = true,
				     .holds_primary = v->s->role != ROLE_PRIMARY };

	if (!v->volume->quorum)
		emit_row(v, &no_quorum, "no-quorum", &item);
}

static void why_volume(const struct view *v)
{
	struct api_why_item item = { .retry_ms = -1 };
	struct view about;
	const struct row *row = disk_row(v, &about);

	why_quorum(v);
	if (!row)
		return;
	item.holds_io = !api_data_reachable(v->s, v->volume);
	item.holds_primary = v->s->role != ROLE_PRIMARY && item.holds_io;
	emit_row(&about, row, disk_state_name(v->volume->disk), &item);
}

/* ---- connections ---- */

/* StandAlone: by a word of the reason; the last one fits every other. */
static const struct {
	const char *word;
	struct row row;
} standalone_rows[] = {
	{ "split brain",
	  { "both nodes changed their data alone$E. See what each side has changed, then keep one "
	    "node's data with 'drbdctl resolve $R --keep NODE'", WHY_HERE,
	    "drbdctl split-brain $R", true } },
	{ "unrelated data",
	  { "the disks of $S and $P never held the same data$E. The one that is to be overwritten "
	    "gets new metadata there: drbdctl down, create-md --force, up", WHY_HERE,
	    "drbdctl down $R && drbdctl create-md $R --force && drbdctl up $R", true } },
	{ "is Primary and its data would be overwritten",
	  { "the newer data are at $P, and the users of $S have others before them$E", WHY_HERE,
	    "drbdctl secondary $R && drbdctl connect $R:$P", true } },
	{ "while this node is Primary",
	  { "a resync has to be ended that this Primary would be the target of$E", WHY_HERE,
	    "drbdctl secondary $R && drbdctl connect $R:$P", true } },
	{ "discard-my-data was given on both",
	  { "nothing would be left$E; give it on one node only", WHY_HERE,
	    "drbdctl connect $R:$P", true } },
	{ "ended the connection for good",
	  { "it was refused or ended there$E", WHY_PEER, "drbdctl why $R:$S", true } },
	{ "refused the resync",
	  { "nothing was overwritten$E. When what it has found is put right", WHY_HERE,
	    "drbdctl connect $R:$P", true } },
	{ "could not be saved",
	  { "the file is to be another one, or there has to be room for it$E", WHY_HERE,
	    "drbdctl resolve $R --keep $P --save-loser FILE", true } },
	{ "authentication failed",
	  { "the two configurations have to be made alike$E", WHY_HERE,
	    "drbdctl adjust $R && drbdctl connect $R:$P", true } },
	{ "option ",
	  { "the two configurations have to be made alike$E", WHY_HERE,
	    "drbdctl adjust $R && drbdctl connect $R:$P", true } },
	{ "create its metadata anew",
	  { "the metadata of $P cannot be worked with$E", WHY_PEER,
	    "drbdctl down $R && drbdctl create-md $R --force && drbdctl up $R", true } },
	{ "", { "the connection was ended$E", WHY_HERE, "drbdctl connect $R:$P", true } },
};

static const struct row connecting = {
	"$P is not reached$E. It has to be up there and to connect to $S", WHY_PEER,
	"drbdctl connect $R:$S", true
};
static const struct row lost = {
	"the connection was lost and is made again$E", WHY_NOBODY, "drbdctl wait-connect $R:$P",
	true
};
static const struct row disconnecting = {
	"the connection is being ended$E", WHY_NOBODY, "drbdctl status $R --watch", true
};

static const struct row *standalone_row(const struct status_peer *p)
{
	unsigned i = 0;

	while (standalone_rows[i].word[0] && !strcasestr(p->reason, standalone_rows[i].word))
		i++;
	return &standalone_rows[i].row;
}

static const struct row *connection_row(const struct status_peer *p)
{
	switch (p->conn) {
	case CONN_STANDALONE:
		return standalone_row(p);
	case CONN_CONNECTING:
		return &connecting;
	case CONN_DISCONNECTING:
		return &disconnecting;
	case CONN_CONNECTED:
		return NULL;
	default:
		return &lost;
	}
}

static void why_connection(const struct view *v)
{
	const struct row *row = connection_row(v->peer);
	struct api_why_item item = { .retry_ms = -1 };
	uint64_t at = v->peer->retry_at_ns, now = v->s->now_ns;

	if (!row)
		return;
	if (v->peer->conn != CONN_STANDALONE && at != UINT64_MAX && at)
		item.retry_ms = at > now ? (int64_t)((at - now) / NS_PER_MS) : 0;
	emit_row(v, row, conn_state_name(v->peer->conn), &item);
}

/* ---- volumes with a peer ---- */

static const struct row repl_rows[] = {
	[REPL_OFF] = { "the handshake with $P has not come to its end", WHY_NOBODY,
		       "drbdctl wait-connect $R:$P", true },
	[REPL_STARTING_SYNC_S] = { "a resync to $P begins", WHY_NOBODY, "drbdctl wait-sync $R:$P",
				   false },
	[REPL_STARTING_SYNC_T] = { "a resync from $P begins", WHY_NOBODY,
				   "drbdctl wait-sync $R:$P", false },
	[REPL_WF_BITMAP_S] = { "a resync to $P begins: what has to be sent is being exchanged",
			       WHY_NOBODY, "drbdctl wait-sync $R:$P", false },
	[REPL_WF_BITMAP_T] = { "a resync from $P begins: what has to be fetched is being "
			       "exchanged", WHY_NOBODY, "drbdctl wait-sync $R:$P", false },
	[REPL_WF_SYNC_UUID] = { "a resync from $P begins: it has to tell the generation first",
				WHY_NOBODY, "drbdctl wait-sync $R:$P", false },
	[REPL_SYNC_SOURCE] = { "$P is resynced from here", WHY_NOBODY, "drbdctl wait-sync $R:$P",
			       false },
	[REPL_SYNC_TARGET] = { "this node is resynced from $P", WHY_NOBODY,
			       "drbdctl wait-sync $R:$P", false },
	[REPL_AHEAD] = { "the network is too slow for what is written: $P is left behind and "
			 "resynced later", WHY_NOBODY, "drbdctl wait-sync $R:$P", true },
	[REPL_BEHIND] = { "the network is too slow for what $P writes: this node is left behind "
			  "and resynced later", WHY_NOBODY, "drbdctl wait-sync $R:$P", true },
};

static const struct row saving = {
	"what this node gives up to $P is saved to a file before anything is overwritten",
	WHY_NOBODY, "drbdctl wait-sync $R:$P", false
};
static const struct row agreeing = {
	"a handler has to agree to the resync with $P before anything is overwritten (handlers: "
	"before-resync-target, before-resync-source)", WHY_NOBODY, "drbdctl wait-sync $R:$P", false
};
static const struct row paused_here = {
	"the resync is paused by command on this node", WHY_HERE, "drbdctl resume-sync $R:$P/$V",
	true
};
static const struct row paused_there = {
	"$P keeps the resync back, by 'pause-sync' or because another one comes first there",
	WHY_PEER, "drbdctl why $R:$S/$V", true
};
static const struct row paused_for_another = {
	"the resync waits for another one to end", WHY_NOBODY, "drbdctl status $R --watch", true
};
static const struct row paused_for_a_turn = {
	"as many resyncs as may (max-parallel-resyncs) run on this node", WHY_NOBODY,
	"drbdctl status --watch", true
};

/* At Established, by the disk of the peer. */
static const struct row pdsk_rows[] = {
	[DISK_DISKLESS] = { "$P has no disk attached", WHY_PEER, "drbdctl attach $R/$V", true },
	[DISK_ATTACHING] = { "$P is taking its disk into use", WHY_NOBODY,
			     "drbdctl status $R --watch", true },
	[DISK_DETACHING] = { "$P is giving its disk up", WHY_NOBODY, "drbdctl status $R --watch",
			     true },
	[DISK_FAILED] = { "the disk of $P has failed", WHY_PEER, "drbdctl attach $R/$V", true },
	[DISK_NEGOTIATING] = { "$P asks whose data are newer", WHY_NOBODY,
			       "drbdctl status $R --watch", true },
	[DISK_INCONSISTENT] = { "the data of $P are a mix of old and new, and no resync from here "
				"runs", WHY_PEER, "drbdctl why $R/$V", true },
	[DISK_OUTDATED] = { "the data of $P are old, and no resync from here runs", WHY_PEER,
			    "drbdctl why $R/$V", true },
	[DISK_UNKNOWN] = { "$P has not told of its disk yet", WHY_NOBODY,
			   "drbdctl status $R --watch", true },
	[DISK_CONSISTENT] = { "$P does not know yet whether its data are the newest", WHY_NOBODY,
			      "drbdctl status $R --watch", true },
};
static const struct row to_be_resynced = {
	"the data of $P are not current, and no resync from here runs", WHY_HERE,
	"drbdctl invalidate-remote $R:$P/$V", true
};
static const struct row differs = {
	"a verify found blocks that differ between $S and $P; on the node that is wrong:",
	WHY_HERE, "drbdctl invalidate $R/$V --reset-bitmap=no", false
};

static const struct row *established_row(const struct view *v)
{
	const struct status_peer_device *d = v->device;
	bool good = v->volume && v->volume->disk == DISK_UP_TO_DATE;

	if (d->peer_disk == DISK_UP_TO_DATE)
		return d->verify.unresolved ? &differs : NULL;
	if (d->peer_disk == DISK_DISKLESS && d->peer_client)
		return NULL;
	if (good && (d->peer_disk == DISK_INCONSISTENT || d->peer_disk == DISK_OUTDATED))
		return &to_be_resynced;
	return &pdsk_rows[d->peer_disk];
}

static const struct row *paused_row(const struct status_peer_device *d)
{
	if (d->susp_user)
		return &paused_here;
	if (d->susp_peer)
		return &paused_there;
	return d->susp_parallel && !d->susp_dependency ? &paused_for_a_turn : &paused_for_another;
}

static const struct row *device_row(const struct view *v)
{
	const struct status_peer_device *d = v->device;

	if (d->saving)
		return &saving;
	if (d->agreeing)
		return &agreeing;
	switch (d->repl) {
	case REPL_PAUSED_SYNC_S:
	case REPL_PAUSED_SYNC_T:
		return paused_row(d);
	case REPL_ESTABLISHED:
	case REPL_VERIFY_S:
	case REPL_VERIFY_T:
		return established_row(v);
	default:
		return &repl_rows[d->repl];
	}
}

static void why_device(const struct view *v)
{
	const struct row *row = device_row(v);
	bool established = v->device->repl == REPL_ESTABLISHED ||
			   v->device->repl == REPL_VERIFY_S || v->device->repl == REPL_VERIFY_T;

	if (row)
		emit(v, row, established && row != &differs ? disk_state_name(v->device->peer_disk)
							    : repl_state_name(v->device->repl));
}

/* ---- suspended I/O ---- */

static const struct row suspended_user = {
	"reads and writes wait: suspend-io was given", WHY_HERE, "drbdctl resume-io $R", false
};
static const struct row suspended_no_data = {
	"reads and writes wait: no UpToDate data can be reached; they go on when $P is connected. "
	"'drbdctl resume-io $R' lets them fail", WHY_HERE, "drbdctl connect $R", false
};

static const struct row suspended_quorum = {
	"writes wait: there is no quorum; they go on when enough nodes are connected, or UpToDate "
	"(not connected: $A). 'drbdctl secondary $R --force' gives them up", WHY_HERE,
	"drbdctl connect $R", false
};

static const struct row fencing_runs = {
	"reads and writes wait until $P is fenced: the handler fence-peer runs", WHY_NOBODY,
	"drbdctl status $R --watch", false
};
static const struct row fencing_failed = {
	"reads and writes wait until $P is fenced or connected, and the handler fence-peer has "
	"failed ($X). When it is certain that $P is not in use, let them go on", WHY_HERE,
	"drbdctl resume-io $R", false
};
static const struct row not_fenced = {
	"$P is out of sight and not fenced: the handler fence-peer has failed ($X). It may be in "
	"use there; a promotion here is refused. When it is certain that $P is not in use, "
	"'drbdctl primary $R --force' goes on without it", WHY_HERE, "drbdctl connect $R:$P", false
};

static void suspended(const struct view *v, const struct row *row, const char *state)
{
	struct api_why_item item = { .retry_ms = -1, .holds_io = true };

	emit_row(v, row, state, &item);
}

static void why_suspended(const struct view *v)
{
	if (v->s->susp_user)
		suspended(v, &suspended_user, "suspended-user");
	if (v->s->susp_no_data)
		suspended(v, &suspended_no_data, "suspended-no-data");
	if (v->s->susp_quorum)
		suspended(v, &suspended_quorum, "suspended-quorum");
	for (unsigned i = 0; i < v->s->peer_count; i++) {
		struct view about = *v;

		about.peer = &v->s->peers[i];
		if (about.peer->suspends)
			suspended(&about, about.peer->not_fenced ? &fencing_failed : &fencing_runs,
				  "suspended-fencing");
		else if (about.peer->not_fenced)
			emit(&about, &not_fenced, "not-fenced");
	}
}

/* ---- the whole ---- */

void api_why_down(const char *resource, const char *self, api_why_emit emit_item, void *ctx)
{
	static const struct row down = { "the resource is down on $S", WHY_HERE, "drbdctl up $R",
					 true };
	struct resource_status *s = calloc(1, sizeof(*s));
	struct view v = { .s = s, .self = self, .emit = emit_item, .ctx = ctx };
	struct api_why_item item = { .retry_ms = -1, .holds_io = true, .holds_primary = true };

	if (!s)
		return;
	(void)str_copy(s->name, sizeof(s->name), resource);
	emit_row(&v, &down, "down", &item);
	free(s);
}

static const struct status_volume *volume_of(const struct resource_status *s, uint32_t vnr)
{
	for (unsigned i = 0; i < s->volume_count; i++) {
		if (s->volumes[i].vnr == vnr)
			return &s->volumes[i];
	}
	return NULL;
}

void api_why(const struct resource_status *s, const char *self, api_why_emit emit_item, void *ctx)
{
	struct view v = { .s = s, .self = self, .emit = emit_item, .ctx = ctx };

	why_suspended(&v);
	for (unsigned i = 0; i < s->volume_count; i++) {
		v.volume = &s->volumes[i];
		why_volume(&v);
	}
	v.volume = NULL;
	for (unsigned i = 0; i < s->peer_count; i++) {
		v.peer = &s->peers[i];
		why_connection(&v);
		if (v.peer->conn != CONN_CONNECTED)
			continue;
		for (unsigned k = 0; k < v.peer->device_count; k++) {
			v.device = &v.peer->devices[k];
			v.volume = volume_of(s, v.device->vnr);
			why_device(&v);
		}
		v.device = NULL;
		v.volume = NULL;
	}
}

/* ---- promotion: the rules of 4.4 that a node can judge alone ---- */

static const struct row peer_is_primary = {
	"$P is Primary; only one node can be", WHY_PEER, "drbdctl secondary $R", false
};

static const struct row not_good_for_two = {
	"$P is Primary; a second one needs both disks UpToDate", WHY_PEER, "drbdctl secondary $R",
	false
};

static bool all_good(const struct resource_status *s, const struct status_peer *peer)
{
	for (unsigned i = 0; i < s->volume_count; i++) {
		if (s->volumes[i].disk != DISK_UP_TO_DATE)
			return false;
	}
	for (unsigned i = 0; i < peer->device_count; i++) {
		if (peer->devices[i].peer_disk != DISK_UP_TO_DATE)
			return false;
	}
	return true;
}

static bool primary_peers(struct view *v)
{
	bool possible = true;

	for (unsigned i = 0; i < v->s->peer_count; i++) {
		struct api_why_item item = { .retry_ms = -1, .holds_primary = true };

		v->peer = &v->s->peers[i];
		if (v->peer->role != ROLE_PRIMARY ||
		    (v->peer->may_be_two && all_good(v->s, v->peer)))
			continue;
		emit_row(v, v->peer->may_be_two ? &not_good_for_two : &peer_is_primary,
			 role_name(ROLE_PRIMARY), &item);
		possible = false;
	}
	v->peer = NULL;
	return possible;
}

bool api_why_primary(const struct resource_status *s, const char *self, api_why_emit emit_item,
		     void *ctx)
{
	struct view v = { .s = s, .self = self, .emit = emit_item, .ctx = ctx };
	bool possible;

	if (s->role == ROLE_PRIMARY)
		return true;
	possible = primary_peers(&v);
	for (unsigned i = 0; i < s->volume_count; i++) {
		v.volume = &s->volumes[i];
		if (api_data_reachable(s, v.volume) && v.volume->quorum)
			continue;
		why_volume(&v);
		possible = false;
	}
	return possible;
}
