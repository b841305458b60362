/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the JSON of status: keys and nesting of the DRBD utilities (config-and-utilities 3.3), and
 * ours beside them: verdict, reason, backing, resync, protocol, byte counters.
 */
#include "api/api.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#define NO_ETA 987654321 /* "no progress at all" in the utilities' output */
#define NS_PER_MS UINT64_C(1000000)
#define NO_MINOR (-1)    /* there is no block device */

static json_int_t kib(uint64_t sectors)
{
	return (json_int_t)(sectors / 2);
}

static double two_decimals(double v)
{
	return (double)(uint64_t)(v * 100.0 + 0.5) / 100.0;
}

/* Never rounds up to 100: that would claim an end that is not there. */
static double percent(double v)
{
	return (double)(uint64_t)(v * 100.0) / 100.0;
}

static json_t *hex(uint64_t v)
{
	return json_sprintf("%016" PRIX64, v);
}

/* ---- peer devices ---- */

static json_t *resync_suspended(const struct status_peer_device *d)
{
	char text[64] = "";

	if (d->susp_user)
		(void)str_append(text, sizeof(text), "user");
	if (d->susp_peer)
		(void)str_append(text, sizeof(text), "%speer", text[0] ? "," : "");
	if (d->susp_dependency)
		(void)str_append(text, sizeof(text), "%sdependency", text[0] ? "," : "");
	if (d->susp_parallel)
		(void)str_append(text, sizeof(text), "%smax-parallel", text[0] ? "," : "");
	return json_string(text[0] ? text : "no");
}

static double in_sync_percent(const struct status_peer_device *d, uint64_t size_sectors)
{
	uint64_t oos = d->out_of_sync_sectors;

	if (!size_sectors)
		return 0;
	if (oos > size_sectors)
		oos = size_sectors;
	return percent(100.0 * (double)(size_sectors - oos) / (double)size_sectors);
}

static json_int_t bits_to_sectors(uint64_t bits)
{
	return (json_int_t)(bits * BM_BLOCK_SECTORS);
}

/* The keys that a resync adds: averages over all of it (dt0) and over the last marks (dt1). */
static void sync_details_add(json_t *out, const struct status_resync *r, uint64_t now_ns)
{
	uint64_t done = r->total_bits > r->left_bits ? r->total_bits - r->left_bits : 0;
	uint64_t ms = now_ns > r->started_ns + r->paused_ns ?
			      (now_ns - r->started_ns - r->paused_ns) / NS_PER_MS : 0;
	double recent = (double)r->rate_bytes_s / (1 << 20);
	double average = ms ? (double)done * BM_BLOCK_BYTES / (1 << 20) / ((double)ms / 1000) : 0;
	int64_t eta = api_resync_eta_s(r);

	(void)json_object_set_new(out, "rs-total", json_integer(bits_to_sectors(r->total_bits)));
	(void)json_object_set_new(out, "rs-dt-start-ms", json_integer((json_int_t)ms));
	(void)json_object_set_new(out, "rs-paused-ms",
				  json_integer((json_int_t)(r->paused_ns / NS_PER_MS)));
	(void)json_object_set_new(out, "rs-dt0-ms", json_integer((json_int_t)ms));
	(void)json_object_set_new(out, "rs-db0-sectors", json_integer(bits_to_sectors(done)));
	(void)json_object_set_new(out, "rs-dt1-ms", json_integer(1000));
	(void)json_object_set_new(out, "rs-db1-sectors",
				  json_integer((json_int_t)(r->rate_bytes_s / SECTOR_BYTES)));
	if (!r->verify) {
		(void)json_object_set_new(out, "rs-failed",
					  json_integer(bits_to_sectors(r->failed_bits)));
		(void)json_object_set_new(out, "rs-same-csum",
					  json_integer(bits_to_sectors(r->same_bits)));
		(void)json_object_set_new(out, "rs-zeroes",
					  json_integer(bits_to_sectors(r->zero_bits)));
	}
	(void)json_object_set_new(out, "want",
				  json_real(two_decimals((double)r->want_kib_s / 1024)));
	(void)json_object_set_new(out, "limited-by", json_string(resync_limit_name(r->limit)));
	(void)json_object_set_new(out, "db0/dt0 [MiB/s]", json_real(two_decimals(average)));
	(void)json_object_set_new(out, "db1/dt1 [MiB/s]", json_real(two_decimals(recent)));
	(void)json_object_set_new(out, "db/dt [MiB/s]", json_real(two_decimals(recent)));
	(void)json_object_set_new(out, "estimated-seconds-to-finish",
				  json_integer(eta < 0 ? NO_ETA : eta));
	(void)json_object_set_new(out, "percent-resync-done",
				  json_real(percent(api_resync_percent(r))));
}

static void verify_details_add(json_t *out, const struct status_peer_device *d)
{
	const struct status_verify *v = &d->verify;

	(void)json_object_set_new(out, "ov-start-sector",
				  json_integer((json_int_t)v->start_sector));
	(void)json_object_set_new(out, "ov-stop-sector",
				  json_integer((json_int_t)v->stop_sector));
	(void)json_object_set_new(out, "ov-position",
				  json_integer((json_int_t)v->position_sector));
	(void)json_object_set_new(out, "ov-left",
				  json_integer(bits_to_sectors(d->resync.left_bits)));
	(void)json_object_set_new(out, "ov-skipped",
				  json_integer(bits_to_sectors(v->skipped_bits)));
	(void)json_object_set_new(out, "ov-found", json_integer(bits_to_sectors(v->found_bits)));
}

/* "2027-11-29T14:00:00Z" */
static json_t *time_json(int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	char text[32];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

static json_t *core_time_json(const struct resource_status *s, uint64_t ns)
{
	int64_t ms = s->unix_ms + ((int64_t)ns - (int64_t)s->now_ns) / (int64_t)NS_PER_MS;

	return s->unix_ms ? time_json(ms / 1000) : json_null();
}

/* The last verify that has ended, and when the next one is due by verify-interval. */
static void last_verify_add(json_t *out, const struct resource_status *s,
			    const struct status_verify *v)
{
	json_t *last = json_null();

	if (v->last_ended_ns)
		last = json_pack("{s:o, s:b, s:I, s:I}", "time",
				 core_time_json(s, v->last_ended_ns), "complete",
				 (int)v->last_whole, "found",
				 kib(v->last_found_bits * BM_BLOCK_SECTORS), "skipped",
				 kib(v->last_skipped_bits * BM_BLOCK_SECTORS));
	(void)json_object_set_new(out, "last-verify", last);
	(void)json_object_set_new(out, "next-verify", v->next_ns == UINT64_MAX ?
							      json_null() :
							      core_time_json(s, v->next_ns));
}

static json_t *peer_device_json(const struct resource_status *s,
				const struct status_peer_device *d)
{
	uint64_t size_sectors = 0;
	json_t *out;

	for (unsigned i = 0; i < s->volume_count; i++) {
		if (s->volumes[i].vnr == d->vnr)
			size_sectors = s->volumes[i].size_sectors;
	}
	out = json_pack("{s:i, s:s, s:s, s:b, s:o, s:I, s:I, s:I, s:i, s:i, s:b, s:b, s:f, s:o}",
			"volume", (int)d->vnr, "replication-state", repl_state_name(d->repl),
			"peer-disk-state", disk_state_name(d->peer_disk), "peer-client",
			(int)d->peer_client, "resync-suspended", resync_suspended(d), "received",
			kib(d->received_sectors), "sent", kib(d->sent_sectors), "out-of-sync",
			kib(d->out_of_sync_sectors), "pending", (int)d->pending, "unacked",
			(int)d->unacked, "has-sync-details", (int)d->resync.running,
			"has-online-verify-details", (int)d->resync.verify, "percent-in-sync",
			in_sync_percent(d, size_sectors), "bitmap-uuid", hex(d->bitmap_uuid));
	if (out)
		last_verify_add(out, s, &d->verify);
	if (out && d->resync.running)
		sync_details_add(out, &d->resync, s->now_ns);
	if (out && d->resync.verify)
		verify_details_add(out, d);
	return out;
}

/* ---- connections ---- */

static const char *protocol_name(enum wire_protocol protocol)
{
	switch (protocol) {
	case PROTOCOL_A:
		return "A";
	case PROTOCOL_B:
		return "B";
	case PROTOCOL_C:
		return "C";
	}
	return "?";
}

/* "10.0.0.1:7000" or "[2001:db8::1]:7000" taken apart. */
static json_t *address_json(const struct conf_addr *addr)
{
	bool v6 = addr->text[0] == '[';
	const char *host = addr->text + v6, *colon = strrchr(addr->text, ':');
	uint64_t port = 0;

	if (!colon || colon < host + v6 || str_to_u64(colon + 1, &port))
		return json_object();
	return json_pack("{s:s%, s:i, s:s}", "address", host, (size_t)(colon - host) - v6,
			 "port", (int)port, "family", v6 ? "ipv6" : "ipv4");
}

static json_t *paths_json(const struct api_paths *paths, int established)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < paths->count; i++)
		(void)json_array_append_new(
			out, json_pack("{s:o, s:o, s:b}", "this_host",
				       address_json(&paths->path[i].local), "remote_host",
				       address_json(&paths->path[i].remote), "established",
				       (int)i == established));
	return out;
}

static json_t *connection_json(const struct resource_status *s, const struct status_peer *p,
			       const struct api_paths *paths)
{
	json_t *devices = json_array();

	for (unsigned i = 0; i < p->device_count; i++)
		(void)json_array_append_new(devices, peer_device_json(s, &p->devices[i]));
	return json_pack("{s:i, s:o, s:s, s:b, s:s, s:b, s:I, s:I, s:o, s:o,"
			 " s:o, s:s, s:i, s:I, s:I, s:o, s:o, s:b}",
			 "peer-node-id", (int)p->node_id, "name", api_text(p->name),
			 "connection-state", conn_state_name(p->conn), "congested",
			 (int)p->congested, "peer-role", role_name(p->role), "tls", (int)p->tls,
			 "ap-in-flight", (json_int_t)p->ap_in_flight_sectors, "rs-in-flight",
			 (json_int_t)p->rs_in_flight_sectors, "paths",
			 paths_json(paths, p->conn == CONN_CONNECTED ? p->path : -1),
			 "peer_devices", devices,
			 "reason", api_text(p->reason), "protocol", protocol_name(p->protocol),
			 "agreed-protocol", (int)p->apv, "sent-bytes", (json_int_t)p->sent_bytes,
			 "received-bytes", (json_int_t)p->received_bytes, "tls-peer-expires",
			 p->tls ? time_json(p->tls_peer_expires_s) : json_null(), "tls-cipher",
			 p->tls ? json_string(p->tls_cipher) : json_null(), "tls-kernel",
			 (int)p->tls_kernel);
}

/* ---- volumes ---- */

static json_t *backing_json(const struct api_backing *b)
{
	const char *mode = !b->attached ? "none" : b->direct_io ? "direct" : "page-cache";

	if (!b->path[0])
		return json_null();
	return json_pack("{s:o, s:b, s:s}", "path", api_text(b->path), "attached",
			 (int)b->attached, "io-mode", mode);
}

static json_t *device_json(const struct status_volume *v, const struct api_backing *backing)
{
	return json_pack("{s:i, s:i, s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:i, s:i,"
			 " s:i, s:i, s:b, s:o, s:o, s:o}",
			 "volume", (int)v->vnr, "minor", NO_MINOR, "disk-state",
			 disk_state_name(v->disk), "client", (int)v->client, "open",
			 v->open_rw || v->open_ro, "quorum", (int)v->quorum, "size",
			 kib(v->size_sectors), "read", kib(v->read_sectors), "written",
			 kib(v->written_sectors), "al-writes", (json_int_t)v->al_writes,
			 "bm-writes", (json_int_t)v->bm_writes, "upper-pending",
			 (int)v->upper_pending, "lower-pending", (int)v->lower_pending,
			 "unanswered", (int)v->unanswered,
			 "al-hot-extents", (int)v->al_hot_extents,
			 "open-for-writing", (int)v->open_rw, "current-uuid", hex(v->current_uuid),
			 "backing", backing_json(backing), "reason", api_text(v->reason));
}

/* ---- resources ---- */

static json_t *verdict_percent(const struct api_verdict *v)
{
	return v->word == VERDICT_SYNCING ? json_real(percent(v->percent)) : json_null();
}

static json_t *verdict_eta(const struct api_verdict *v)
{
	return v->eta_s >= 0 ? json_integer(v->eta_s) : json_null();
}

/* Connections in byte order of their names, as the utilities print them. */
static json_t *connections_json(const struct resource_status *s, const struct api_paths *paths)
{
	const struct status_peer *order[NODES_MAX];
	json_t *out = json_array();

	for (unsigned i = 0; i < s->peer_count; i++) {
		unsigned k = i;

		for (; k > 0 && strcmp(order[k - 1]->name, s->peers[i].name) > 0; k--)
			order[k] = order[k - 1];
		order[k] = &s->peers[i];
	}
	for (unsigned i = 0; i < s->peer_count; i++)
		(void)json_array_append_new(out, connection_json(s, order[i],
							       &paths[order[i] - s->peers]));
	return out;
}

/* Demoted by force: who has it open for writing gets errors until it is closed. */
static bool fails_io(const struct resource_status *s)
{
	bool fails = false;

	for (unsigned i = 0; i < s->volume_count; i++)
		fails |= s->role != ROLE_PRIMARY && s->volumes[i].open_rw;
	return fails;
}

json_t *api_resource_json(const struct resource_status *s, const struct api_backing *backing,
			  const struct api_paths *paths)
{
	bool suspended = s->susp_user || s->susp_no_data || s->susp_quorum || s->susp_fencing;
	json_t *devices = json_array();
	struct api_verdict v;

	api_verdict(s, &v);
	for (unsigned i = 0; i < s->volume_count; i++)
		(void)json_array_append_new(devices, device_json(&s->volumes[i], &backing[i]));
	return json_pack("{s:o, s:i, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:s, s:o, s:o,"
			 " s:s, s:o, s:o, s:o}",
			 "name", api_text(s->name), "node-id", (int)s->node_id, "role",
			 role_name(s->role), "suspended", (int)suspended, "suspended-user",
			 (int)s->susp_user, "suspended-no-data", (int)s->susp_no_data,
			 "suspended-fencing", (int)s->susp_fencing, "suspended-quorum",
			 (int)s->susp_quorum,
			 "force-io-failures", (int)fails_io(s),
			 "write-ordering", "flush",
			 "devices", devices, "connections", connections_json(s, paths), "verdict",
			 api_verdict_name(v.word), "reason", api_text(v.reason), "percent",
			 verdict_percent(&v), "eta-seconds", verdict_eta(&v));
}

json_t *api_resource_down_json(const char *name)
{
	return json_pack("{s:o, s:i, s:s, s:b, s:[], s:[], s:s, s:s, s:n, s:n}", "name",
			 api_text(name), "node-id", -1, "role", role_name(ROLE_UNKNOWN),
			 "suspended", 0, "devices", "connections", "verdict",
			 api_verdict_name(VERDICT_DOWN), "reason",
			 "not running on this node; start it with 'drbdctl up'", "percent",
			 "eta-seconds");
}
