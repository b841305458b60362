/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the judgement of a resource in one word and one reason. */
#include "api/api.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

const char *api_verdict_name(enum api_verdict_word word)
{
	static const char *const names[] = {
		[VERDICT_OK] = "OK",
		[VERDICT_DEGRADED] = "DEGRADED",
		[VERDICT_SYNCING] = "SYNCING",
		[VERDICT_SPLIT_BRAIN] = "SPLIT-BRAIN",
		[VERDICT_BLOCKED] = "BLOCKED",
		[VERDICT_DOWN] = "DOWN",
	};

	ASSERT((unsigned)word < ARRAY_LEN(names));
	return names[word];
}

double api_resync_percent(const struct status_resync *r)
{
	uint64_t left = r->left_bits < r->total_bits ? r->left_bits : r->total_bits;

	if (!r->total_bits)
		return r->running ? 100.0 : 0.0;
	return 100.0 * (double)(r->total_bits - left) / (double)r->total_bits;
}

int64_t api_resync_eta_s(const struct status_resync *r)
{
	uint64_t seconds;

	if (!r->running || !r->rate_bytes_s)
		return -1;
	/* In double: left_bits comes from a peer's bitmap and the product may exceed 64 bits. */
	if ((double)r->left_bits * BM_BLOCK_BYTES / (double)r->rate_bytes_s > 1e9)
		return -1;
	seconds = (r->left_bits * BM_BLOCK_BYTES + r->rate_bytes_s - 1) / r->rate_bytes_s;
	return (int64_t)seconds;
}

/* Why I/O is held up by a suspension, NULL if it is not. */
static const char *suspension(const struct resource_status *s)
{
	if (s->susp_no_data)
		return "no UpToDate data can be reached; I/O waits until they can";
	if (s->susp_quorum)
		return "no quorum, too few of the nodes are connected; I/O waits until they are";
	if (s->susp_fencing)
		return "a peer out of sight is not fenced yet; I/O waits until it is, or is back";
	if (s->susp_user)
		return "suspended by command; I/O waits for resume-io";
	return NULL;
}

static const struct status_peer_device *device_of(const struct status_peer *p, uint32_t vnr)
{
	for (unsigned i = 0; i < p->device_count; i++) {
		if (p->devices[i].vnr == vnr)
			return &p->devices[i];
	}
	return NULL;
}

/* Is there a copy of the volume that can serve I/O? */
static bool data_reachable(const struct resource_status *s, const struct status_volume *v)
{
	if (v->disk == DISK_UP_TO_DATE)
		return true;
	for (unsigned i = 0; i < s->peer_count; i++) {
		const struct status_peer_device *d = device_of(&s->peers[i], v->vnr);

		if (s->peers[i].conn == CONN_CONNECTED && d && d->peer_disk == DISK_UP_TO_DATE)
			return true;
	}
	return false;
}

/* What gets a volume going that nobody has used yet. */
static const char *first_step(const struct status_volume *v)
{
	if (v->disk != DISK_INCONSISTENT || v->current_uuid != UUID_JUST_CREATED)
		return "";
	return " (just created; once, on one node: 'new-current-uuid --clear-bitmap' if all copies "
	       "are alike, 'primary --force' to copy this one)";
}

/* Nothing waits, but a Primary's writes fail and no Secondary can be promoted. */
static const struct status_volume *without_quorum(const struct resource_status *s)
{
	for (unsigned i = 0; i < s->volume_count; i++) {
		if (!s->volumes[i].quorum)
			return &s->volumes[i];
	}
	return NULL;
}

static bool find_blocked(const struct resource_status *s, struct api_verdict *out)
{
	const char *why = suspension(s);

	if (why)
		return str_copy(out->reason, sizeof(out->reason), why);
	for (unsigned i = 0; i < s->volume_count; i++) {
		const struct status_volume *v = &s->volumes[i];

		if (data_reachable(s, v))
			continue;
		(void)str_format(out->reason, sizeof(out->reason),
				 "volume %u: no UpToDate data, here it is %s%s%s%s", v->vnr,
				 disk_state_name(v->disk), v->reason[0] ? ": " : "", v->reason,
				 first_step(v));
		return true;
	}
	return false;
}

static bool find_no_quorum(const struct resource_status *s, struct api_verdict *out)
{
	const struct status_volume *v = without_quorum(s);

	return v && str_format(out->reason, sizeof(out->reason),
			       "volume %u: no quorum, too few of the nodes are connected; %s",
			       v->vnr, s->role == ROLE_PRIMARY ? "writes fail" :
								 "it cannot become Primary");
}

static bool find_split_brain(const struct resource_status *s, struct api_verdict *out)
{
	for (unsigned i = 0; i < s->peer_count; i++) {
		const struct status_peer *p = &s->peers[i];

		if (p->conn != CONN_STANDALONE || (!strcasestr(p->reason, "split brain") &&
						   !strcasestr(p->reason, "split-brain")))
			continue;
		(void)str_format(out->reason, sizeof(out->reason),
				 "with %s; 'drbdctl split-brain %s' shows what each has changed, "
				 "'drbdctl resolve %s --keep NODE' on both ends it", p->name,
				 s->name, s->name);
		return true;
	}
	return false;
}

/* What a verify has found and nobody has decided about. */
static bool find_difference(const struct resource_status *s, struct api_verdict *out)
{
	for (unsigned i = 0; i < s->peer_count; i++) {
		for (unsigned k = 0; k < s->peers[i].device_count; k++) {
			const struct status_peer_device *d = &s->peers[i].devices[k];

			if (!d->verify.unresolved)
				continue;
			return str_format(out->reason, sizeof(out->reason),
					  "volume %u: verify found %llu KiB that differ on %s; "
					  "'drbdctl invalidate %s/%u --reset-bitmap=no' on the "
					  "node that is wrong",
					  d->vnr,
					  (unsigned long long)d->out_of_sync_sectors / 2,
					  s->peers[i].name, s->name, d->vnr);
		}
	}
	return false;
}

/* The first thing that is not as it should be; resyncs under way do not count. */
static bool find_degraded(const struct resource_status *s, struct api_verdict *out)
{
	for (unsigned i = 0; i < s->volume_count; i++) {
		const struct status_volume *v = &s->volumes[i];

		if (v->disk == DISK_UP_TO_DATE || v->client)
			continue;
		return str_format(out->reason, sizeof(out->reason), "volume %u is %s here%s%s",
				  v->vnr, disk_state_name(v->disk), v->reason[0] ? ": " : "",
				  v->reason);
	}
	for (unsigned i = 0; i < s->peer_count; i++) {
		const struct status_peer *p = &s->peers[i];

		if (p->conn == CONN_CONNECTED)
			continue;
		return str_format(out->reason, sizeof(out->reason), "%s is %s%s%s", p->name,
				  conn_state_name(p->conn), p->reason[0] ? ": " : "", p->reason);
	}
	for (unsigned i = 0; i < s->peer_count; i++) {
		for (unsigned k = 0; k < s->peers[i].device_count; k++) {
			const struct status_peer_device *d = &s->peers[i].devices[k];

			if (d->peer_disk == DISK_UP_TO_DATE || d->peer_client ||
			    d->resync.running)
				continue;
			return str_format(out->reason, sizeof(out->reason),
					  "volume %u is %s on %s", d->vnr,
					  disk_state_name(d->peer_disk), s->peers[i].name);
		}
	}
	return find_difference(s, out);
}

/* "" = it runs. */
static const char *pause_text(const struct status_peer_device *d)
{
	if (d->repl != REPL_PAUSED_SYNC_S && d->repl != REPL_PAUSED_SYNC_T)
		return "";
	if (d->susp_user)
		return ", paused here ('drbdctl resume-sync')";
	if (d->susp_peer)
		return ", paused there";
	return ", waits for another resync";
}

static bool find_syncing(const struct resource_status *s, struct api_verdict *out)
{
	struct status_resync sum = { 0 };
	bool eta_known = true;

	out->eta_s = 0;
	for (unsigned i = 0; i < s->peer_count; i++) {
		for (unsigned k = 0; k < s->peers[i].device_count; k++) {
			const struct status_peer_device *d = &s->peers[i].devices[k];
			int64_t eta = api_resync_eta_s(&d->resync);
			bool from = d->repl == REPL_SYNC_TARGET || d->repl == REPL_PAUSED_SYNC_T;

			if (!d->resync.running || d->resync.verify)
				continue;
			if (!sum.running)
				(void)str_format(out->reason, sizeof(out->reason),
						 "volume %u %s %s%s", d->vnr,
						 from ? "from" : "to", s->peers[i].name,
						 pause_text(d));
			sum.running = true;
			sum.total_bits += d->resync.total_bits;
			sum.left_bits += d->resync.left_bits;
			eta_known &= eta >= 0;
			if (eta > out->eta_s)
				out->eta_s = eta;
		}
	}
	out->percent = api_resync_percent(&sum);
	if (!sum.running || !eta_known)
		out->eta_s = -1;
	return sum.running;
}

void api_verdict(const struct resource_status *status, struct api_verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->eta_s = -1;
	if (find_split_brain(status, verdict))
		verdict->word = VERDICT_SPLIT_BRAIN;
	else if (find_blocked(status, verdict) || find_no_quorum(status, verdict))
		verdict->word = VERDICT_BLOCKED;
	else if (find_syncing(status, verdict))
		verdict->word = VERDICT_SYNCING;
	else if (find_degraded(status, verdict))
		verdict->word = VERDICT_DEGRADED;
	else
		verdict->word = VERDICT_OK;
}
