/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests, results, verdicts and the JSON of status. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/assert.h"
#include "base/str.h"

/* ---- requests ---- */

static bool parse(enum api_method method, const char *path, const char *body,
		  struct api_request *r, struct api_error *e)
{
	return api_request_parse(method, path, body, strlen(body), r, e);
}

Test(api, routes)
{
	struct api_request r;
	struct api_error e;

	cr_assert(parse(API_GET, "/v1/version", "", &r, &e));
	cr_assert_eq(r.verb, VERB_VERSION);
	cr_assert(parse(API_GET, "/v1/status", "", &r, &e));
	cr_assert_eq(r.verb, VERB_STATUS);
	cr_assert_str_eq(r.resource, "");
	cr_assert(parse(API_GET, "/v1/status/r%30", "", &r, &e));
	cr_assert_str_eq(r.resource, "r0");
	cr_assert(parse(API_POST, "/v1/shutdown", "", &r, &e));
	cr_assert_eq(r.verb, VERB_SHUTDOWN);
	cr_assert(parse(API_POST, "/v1/resources/r0/up", "", &r, &e));
	cr_assert_eq(r.verb, VERB_UP);
	cr_assert(parse(API_POST, "/v1/resources/r0/adjust", "{}", &r, &e));
	cr_assert_eq(r.verb, VERB_ADJUST);
	cr_assert(parse(API_POST, "/v1/resources/r0/down", "{\"force\": true}", &r, &e));
	cr_assert_eq(r.verb, VERB_DOWN);
	cr_assert(r.command.force);
}

Test(api, commands)
{
	static const struct {
		const char *name, *body;
		enum core_command cmd;
	} cases[] = {
		{ "attach", "{\"volume\": 3}", CMD_ATTACH },
		{ "detach", "{\"volume\": 3, \"force\": false}", CMD_DETACH },
		{ "connect", "{\"peer\": \"b\", \"discard-my-data\": true}", CMD_CONNECT },
		{ "disconnect", "{\"peer\": \"b\"}", CMD_DISCONNECT },
		{ "primary", "", CMD_PRIMARY },
		{ "secondary", "{}", CMD_SECONDARY },
		{ "suspend-io", "{}", CMD_SUSPEND_IO },
		{ "resume-io", "{}", CMD_RESUME_IO },
		{ "invalidate", "{\"volume\": 3}", CMD_INVALIDATE },
		{ "invalidate-remote", "{\"volume\": 3, \"peer\": \"b\"}", CMD_INVALIDATE_REMOTE },
		{ "new-current-uuid", "{\"volume\": 3, \"clear-bitmap\": true}",
		  CMD_NEW_CURRENT_UUID },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct api_request r;
		struct api_error e;
		char path[128];

		(void)str_format(path, sizeof(path), "/v1/resources/r0/%s", cases[i].name);
		cr_assert(parse(API_POST, path, cases[i].body, &r, &e), "%s", e.message);
		cr_assert_eq(r.verb, VERB_CORE);
		cr_assert_eq(r.command.cmd, cases[i].cmd);
		if (strstr(cases[i].body, "volume"))
			cr_assert_eq(r.command.vnr, 3);
		if (strstr(cases[i].body, "peer"))
			cr_assert_str_eq(r.peer, "b");
		cr_assert_eq(r.command.discard_my_data, strstr(cases[i].body, "discard") != NULL);
		cr_assert_eq(r.command.clear_bitmap, strstr(cases[i].body, "clear") != NULL);
		cr_assert_not(parse(API_GET, path, cases[i].body, &r, &e));
		cr_assert_eq(e.code, API_METHOD);
		cr_assert_not(parse(API_POST, path, "{\"what\": 1}", &r, &e));
		cr_assert_eq(e.code, API_BAD_REQUEST);
	}
}

Test(api, what_is_given_up_and_where_it_is_saved)
{
	struct api_request r;
	struct api_error e;

	cr_assert(parse(API_POST, "/v1/resources/r0/connect",
			"{\"peer\": \"b\", \"save-to\": \"/a/b\", \"only-volume\": 3, "
			"\"discard-my-data\": true}", &r, &e), "%s", e.message);
	cr_assert_str_eq(r.command.save_to, "/a/b");
	cr_assert(r.command.one_volume);
	cr_assert_eq(r.command.vnr, 3);
	cr_assert(parse(API_GET, "/v1/why/r0", "", &r, &e));
	cr_assert_eq(r.verb, VERB_WHY);
}

Test(api, bad_requests)
{
	static const struct {
		enum api_code code;
		const char *path, *body;
	} cases[] = {
		{ API_BAD_REQUEST, "", "" },
		{ API_BAD_REQUEST, "v1/status", "" },
		{ API_BAD_REQUEST, "/v1/status/a%2fb", "" },
		{ API_BAD_REQUEST, "/v1/status/a%0", "" },
		{ API_BAD_REQUEST, "/v1/status/a%00", "" },
		{ API_NOT_FOUND, "/", "" },
		{ API_NOT_FOUND, "/v2/status", "" },
		{ API_NOT_FOUND, "/v1", "" },
		{ API_NOT_FOUND, "/v1/status/r0/more", "" },
		{ API_NOT_FOUND, "/v1/resources/r0", "" },
		{ API_NOT_FOUND, "/v1/resources/r0/explode", "" },
		{ API_NOT_FOUND, "/v1/resources/r0/up/and/more", "" },
		{ API_BAD_REQUEST, "/v1/resources/-x/up", "" },
		{ API_BAD_REQUEST, "/v1/resources//up", "" },
		{ API_BAD_REQUEST, "/v1/resources/r0/up", "[]" },
		{ API_BAD_REQUEST, "/v1/resources/r0/up", "{" },
		{ API_BAD_REQUEST, "/v1/resources/r0/up", "{} {}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/up", "{\"force\": true}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/down", "{\"force\": 1}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/down", "{\"force\":true,\"force\":true}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach", "" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach", "{\"volume\": -1}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach", "{\"volume\": 65535}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach",
		  "{\"volume\": 99999999999999999999}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach", "{\"volume\": 1e999}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach", "{\"volume\": 0.5}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/attach", "{\"volume\": \"0\"}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect", "{}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect", "{\"peer\": 1}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect",
		  "{\"peer\": \"b\", \"save-to\": \"/f\"}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect",
		  "{\"peer\": \"b\", \"only-volume\": 3}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect",
		  "{\"peer\": \"b\", \"discard-my-data\": true, \"save-to\": \"f\"}" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect",
		  "{\"peer\": \"b\", \"discard-my-data\": true, \"only-volume\": -1}" },
		{ API_BAD_REQUEST, "/v1/why/", "" },
		{ API_NOT_FOUND, "/v1/why", "" },
		{ API_BAD_REQUEST, "/v1/resources/r0/connect", "{\"peer\": \"a/b\"}" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct api_request r;
		struct api_error e;
		bool post = strstr(cases[i].path, "resources") != NULL;

		cr_assert_not(parse(post ? API_POST : API_GET, cases[i].path, cases[i].body, &r,
				    &e), "case %u", i);
		cr_assert_eq(e.code, cases[i].code, "case %u: %s", i, e.message);
		cr_assert_neq(e.message[0], '\0');
		cr_assert_not_null(e.hint);
	}
}

Test(api, deep_and_big_bodies)
{
	size_t n = API_BODY_BYTES_MAX + 1;
	char *body = malloc(n + 1);
	struct api_request r;
	struct api_error e;

	memset(body, '[', n);
	body[n] = '\0';
	cr_assert_not(api_request_parse(API_POST, "/v1/resources/r0/up", body, n - 1, &r, &e));
	cr_assert_eq(e.code, API_BAD_REQUEST);
	cr_assert_not(api_request_parse(API_POST, "/v1/resources/r0/up", body, n, &r, &e));
	cr_assert_not_null(strstr(e.message, "64 KiB"));
	free(body);
}

/* ---- a status to play with ---- */

static void fill(struct resource_status *s)
{
	memset(s, 0, sizeof(*s));
	(void)str_copy(s->name, sizeof(s->name), "r0");
	s->node_id = 0;
	s->role = ROLE_PRIMARY;
	s->now_ns = UINT64_C(20000000000);
	s->unix_ms = 1764460830123;
	s->volume_count = 1;
	s->volumes[0] = (struct status_volume){ .vnr = 0, .disk = DISK_UP_TO_DATE, .quorum = true,
						.open_rw = true, .size_sectors = 524288,
						.read_sectors = 20, .written_sectors = 40,
						.al_writes = 3, .current_uuid = 0xabcdef };
	s->peer_count = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct status_peer *p = &s->peers[i];

		/* Not in the order of their names. */
		(void)str_copy(p->name, sizeof(p->name), i ? "beta" : "gamma");
		p->node_id = (uint8_t)(i + 1);
		p->conn = CONN_CONNECTED;
		p->role = ROLE_SECONDARY;
		p->apv = 124;
		p->protocol = PROTOCOL_C;
		p->sent_bytes = 1000;
		p->device_count = 1;
		p->devices[0].repl = REPL_ESTABLISHED;
		p->devices[0].peer_disk = DISK_UP_TO_DATE;
		p->devices[0].verify.next_ns = UINT64_MAX;
	}
	s->peers[0].devices[0].verify = (struct status_verify){
		.last_ended_ns = UINT64_C(10000000000), .last_found_bits = 3,
		.last_skipped_bits = 1, .last_whole = true, .next_ns = UINT64_C(21000000000),
	};
}

static void start_sync(struct resource_status *s)
{
	struct status_peer_device *d = &s->peers[1].devices[0];

	d->repl = REPL_SYNC_SOURCE;
	d->peer_disk = DISK_INCONSISTENT;
	d->out_of_sync_sectors = 327680;
	d->resync = (struct status_resync){ .running = true, .total_bits = 65536,
					    .left_bits = 40960, .started_ns = UINT64_C(10000000000),
					    .rate_bytes_s = 16 << 20, .want_kib_s = 20480,
					    .limit = LIMIT_MAX_RATE };
}

/* Who had it open when it was demoted by force gets errors until it is closed. */
Test(api, io_fails_after_a_demotion_by_force)
{
	struct api_backing backing = { .path = "" };
	struct resource_status s;

	fill(&s);
	for (unsigned step = 0; step < 3; step++) {
		struct api_paths paths[NODES_MAX] = { 0 };
		json_t *j = api_resource_json(&s, &backing, paths);

		cr_assert_eq(json_boolean_value(json_object_get(j, "force-io-failures")),
			     step == 1);
		json_decref(j);
		s.role = ROLE_SECONDARY;
		s.volumes[0].open_rw = step == 0;
	}
}

/* ---- binding and results ---- */

Test(api, binding)
{
	struct resource_status s;
	struct api_request r;
	struct api_error e;

	fill(&s);
	cr_assert(parse(API_POST, "/v1/resources/r0/invalidate-remote",
			"{\"volume\": 0, \"peer\": \"beta\"}", &r, &e));
	cr_assert(api_request_bind(&r, &s, &e));
	cr_assert_eq(r.command.peer, 2);
	r.command.vnr = 1;
	cr_assert_not(api_request_bind(&r, &s, &e));
	cr_assert_str_eq(e.message,
			 "invalidate-remote r0:beta/1: there is no volume 1 (volumes: 0)");
	cr_assert(parse(API_POST, "/v1/resources/r0/connect", "{\"peer\": \"x\"}", &r, &e));
	cr_assert_not(api_request_bind(&r, &s, &e));
	cr_assert_eq(e.code, API_NOT_FOUND);
	cr_assert_str_eq(e.message, "connect r0:x: 'x' is no peer of this node "
				    "(peers: gamma, beta)");
}

Test(api, results)
{
	struct api_request r;
	struct api_error e;
	json_t *body;
	char *text;

	cr_assert(parse(API_POST, "/v1/resources/r0/primary", "", &r, &e));
	cr_assert(api_result(&r, SS_SUCCESS, NULL, &e));
	cr_assert(api_result(&r, SS_NOTHING_TO_DO, NULL, &e));
	cr_assert_not(api_result(&r, SS_TWO_PRIMARIES, "beta is Primary", &e));
	cr_assert_eq(e.code, API_REFUSED);
	body = api_error_json(&e);
	text = json_dumps(body, JSON_COMPACT);
	cr_assert_str_eq(text,
			 "{\"error\":{\"code\":\"refused\",\"message\":\"primary r0: beta is "
			 "Primary\",\"hint\":\"close the file there or run 'drbdctl secondary' "
			 "on that node first\"}}");
	free(text);
	json_decref(body);
	cr_assert_not(api_result(&r, SS_NO_UP_TO_DATE_DISK, NULL, &e));
	cr_assert_eq(e.code, API_NO_DATA);
	cr_assert_not_null(strstr(e.message, "no UpToDate data"));
	cr_assert(parse(API_POST, "/v1/resources/r0/attach", "{\"volume\":0}", &r, &e));
	cr_assert_not(api_result(&r, -ENODATA, "no metadata", &e));
	cr_assert_eq(e.code, API_FAILED);
	/* What it lacks is no next step. */
	cr_assert_not(api_result(&r, SS_NO_LOCAL_DISK, "no metadata", &e));
	cr_assert_eq(e.code, API_FAILED);
	cr_assert_str_eq(e.message, "attach r0/0: no metadata");
	cr_assert_str_eq(e.hint, "");
	cr_assert(parse(API_POST, "/v1/resources/r0/adjust", "", &r, &e));
	cr_assert_not(api_result(&r, SS_DEVICE_IN_USE, "open", &e));
	cr_assert_eq(e.code, API_REFUSED);
	cr_assert(parse(API_POST, "/v1/resources/r0/invalidate", "{\"volume\":0}", &r, &e));
	cr_assert_not(api_result(&r, SS_NO_LOCAL_DISK, NULL, &e));
	cr_assert_eq(e.code, API_NO_DISK);
	cr_assert(parse(API_POST, "/v1/resources/r0/disconnect", "{\"peer\":\"beta\"}", &r,
			&e));
	cr_assert_not(api_result(&r, SS_NO_UP_TO_DATE_DISK, NULL, &e));
	cr_assert_null(strstr(e.hint, "primary --force"));
	for (int rc = -30; rc <= 0; rc++) {
		cr_assert_not(api_result(&r, rc, NULL, &e));
		cr_assert_not_null(e.hint);
	}
}

Test(api, codes_are_a_bijection)
{
	for (int i = API_BAD_REQUEST; i <= API_TIMED_OUT; i++) {
		enum api_code code;

		cr_assert(api_code_parse(api_code_name((enum api_code)i), &code));
		cr_assert_eq((int)code, i);
		cr_assert_geq(api_http_status(code), 400);
	}
	enum api_code code;

	cr_assert_not(api_code_parse("nonsense", &code));
}

/* ---- verdicts ---- */

static void judge(struct resource_status *s, enum api_verdict_word word, const char *reason)
{
	struct api_verdict v;

	api_verdict(s, &v);
	cr_assert_eq(v.word, word, "%s", api_verdict_name(v.word));
	cr_assert_str_eq(v.reason, reason);
}

Test(api, verdicts)
{
	struct resource_status s;

	fill(&s);
	judge(&s, VERDICT_OK, "");
	start_sync(&s);
	judge(&s, VERDICT_SYNCING, "volume 0 to beta");
	s.peers[0].conn = CONN_CONNECTING;
	judge(&s, VERDICT_SYNCING, "volume 0 to beta");
	s.peers[1].devices[0].repl = REPL_PAUSED_SYNC_T;
	judge(&s, VERDICT_SYNCING, "volume 0 from beta, waits for another resync");
	s.peers[1].devices[0].susp_peer = true;
	judge(&s, VERDICT_SYNCING, "volume 0 from beta, paused there");
	s.peers[1].devices[0].susp_user = true;
	judge(&s, VERDICT_SYNCING, "volume 0 from beta, paused here ('drbdctl resume-sync')");

	fill(&s);
	s.peers[0].conn = CONN_CONNECTING;
	(void)str_copy(s.peers[0].reason, STATUS_REASON_MAX, "connection refused");
	judge(&s, VERDICT_DEGRADED, "gamma is Connecting: connection refused");
	s.susp_no_data = true;
	judge(&s, VERDICT_BLOCKED, "no UpToDate data can be reached; I/O waits until they can");
	s.susp_no_data = false;
	s.susp_user = true;
	judge(&s, VERDICT_BLOCKED, "suspended by command; I/O waits for resume-io");

	fill(&s);
	s.peers[1].devices[0].peer_disk = DISK_OUTDATED;
	judge(&s, VERDICT_DEGRADED, "volume 0 is Outdated on beta");
	s.peers[1].devices[0].peer_disk = DISK_DISKLESS;
	s.peers[1].devices[0].peer_client = true;
	judge(&s, VERDICT_OK, "");

	fill(&s);
	s.volumes[0].disk = DISK_FAILED;
	(void)str_copy(s.volumes[0].reason, STATUS_REASON_MAX, "write error");
	judge(&s, VERDICT_DEGRADED, "volume 0 is Failed here: write error");
	s.peers[0].conn = s.peers[1].conn = CONN_CONNECTING;
	judge(&s, VERDICT_BLOCKED, "volume 0: no UpToDate data, here it is Failed: write error");

	s.volumes[0] = (struct status_volume){ .disk = DISK_INCONSISTENT,
					       .current_uuid = UUID_JUST_CREATED };
	judge(&s, VERDICT_BLOCKED,
	      "volume 0: no UpToDate data, here it is Inconsistent (just created; once, on one "
	      "node: "
	      "'new-current-uuid --clear-bitmap' if all copies are alike, 'primary --force' to "
	      "copy "
	      "this one)");

	fill(&s);
	s.volumes[0].disk = DISK_DISKLESS;
	s.volumes[0].client = true;
	judge(&s, VERDICT_OK, "");

	fill(&s);
	s.peers[1].conn = CONN_STANDALONE;
	(void)str_copy(s.peers[1].reason, STATUS_REASON_MAX, "Split-Brain detected");
	judge(&s, VERDICT_SPLIT_BRAIN,
	      "with beta; 'drbdctl split-brain r0' shows what each has changed, 'drbdctl resolve "
	      "r0 --keep NODE' on both ends it");
}

Test(api, progress_is_clamped)
{
	struct status_resync r = { .running = true, .total_bits = 100, .left_bits = 63,
				   .rate_bytes_s = 4096 };

	cr_assert_float_eq(api_resync_percent(&r), 37.0, 1e-9);
	cr_assert_eq(api_resync_eta_s(&r), 63);
	r.left_bits = 200;
	cr_assert_float_eq(api_resync_percent(&r), 0.0, 1e-9);
	r.rate_bytes_s = 0;
	cr_assert_eq(api_resync_eta_s(&r), -1);
	r.rate_bytes_s = 1;
	r.left_bits = UINT64_MAX;
	cr_assert_eq(api_resync_eta_s(&r), -1);
	r.total_bits = r.left_bits = 0;
	cr_assert_float_eq(api_resync_percent(&r), 100.0, 1e-9);
	r.running = false;
	cr_assert_eq(api_resync_eta_s(&r), -1);
}

/* ---- JSON ---- */

static const char golden[] =
#include "golden_status.h"
	;

Test(api, status_json)
{
	static const struct api_backing backing = { .path = "/dev/vg/r0", .direct_io = true,
						    .attached = true };
	static struct api_paths paths[2];
	struct resource_status s;
	json_t *body;
	char *text;

	fill(&s);
	start_sync(&s);
	/* The paths of gamma, which is the first of the status; the second one is in use. */
	s.peers[0].path = 1;
	paths[0].count = 2;
	(void)str_copy(paths[0].path[0].local.text, 64, "10.0.0.1:7000");
	(void)str_copy(paths[0].path[0].remote.text, 64, "10.0.0.3:7001");
	(void)str_copy(paths[0].path[1].local.text, 64, "[2001:db8::1]:7000");
	(void)str_copy(paths[0].path[1].remote.text, 64, "[fe80::3%eth0]:65535");
	body = api_resource_json(&s, &backing, paths);
	cr_assert_not_null(body);
	text = json_dumps(body, JSON_INDENT(1) | JSON_REAL_PRECISION(8));
	cr_assert_str_eq(text, golden);
	free(text);
	json_decref(body);
}

Test(api, status_json_down)
{
	json_t *body = api_resource_down_json("r0");

	cr_assert_str_eq(json_string_value(json_object_get(body, "verdict")), "DOWN");
	cr_assert_eq(json_array_size(json_object_get(body, "devices")), 0);
	cr_assert(json_is_array(json_object_get(body, "connections")));
	json_decref(body);
}

Test(api, what_is_not_utf8_is_replaced)
{
	json_t *t = api_text("a\xff z");

	cr_assert_str_eq(json_string_value(t), "a? z");
	json_decref(t);
}

Test(api, status_at_its_largest)
{
	struct resource_status *s = calloc(1, sizeof(*s));
	struct api_backing backing[VOLUMES_MAX] = { 0 };
	struct api_paths *paths = calloc(NODES_MAX, sizeof(*paths));
	json_t *body;

	fill(s);
	s->volume_count = VOLUMES_MAX;
	s->peer_count = NODES_MAX;
	for (unsigned i = 0; i < NODES_MAX; i++) {
		s->peers[i].device_count = VOLUMES_MAX;
		s->peers[i].sent_bytes = UINT64_MAX;
	}
	for (unsigned i = 0; i < VOLUMES_MAX; i++)
		backing[i].path = "";
	body = api_resource_json(s, backing, paths);
	cr_assert_not_null(body);
	cr_assert_eq(json_array_size(json_object_get(body, "connections")), NODES_MAX);
	json_decref(body);
	free(paths);
	free(s);
}
