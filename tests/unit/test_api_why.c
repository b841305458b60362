/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No state stays unexplained; who could become Primary; the JSON of it and of the changes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_why.h"
#include "base/assert.h"
#include "base/str.h"

static struct resource_status *s;

static void setup(void)
{
	s = calloc(1, sizeof(*s));
	str_copy(s->name, sizeof(s->name), "r0");
	s->role = ROLE_SECONDARY;
	s->volume_count = s->peer_count = 1;
	s->volumes[0].disk = DISK_UP_TO_DATE;
	s->volumes[0].quorum = true;
	s->volumes[0].current_uuid = 0x1234;
	str_copy(s->peers[0].name, sizeof(s->peers[0].name), "beta");
	s->peers[0].node_id = 1;
	s->peers[0].conn = CONN_CONNECTED;
	s->peers[0].role = ROLE_SECONDARY;
	s->peers[0].readable = true;
	s->peers[0].retry_at_ns = UINT64_MAX;
	s->peers[0].device_count = 1;
	s->peers[0].devices[0].repl = REPL_ESTABLISHED;
	s->peers[0].devices[0].peer_disk = DISK_UP_TO_DATE;
}

static void teardown(void)
{
	free(s);
}

TestSuite(why, .init = setup, .fini = teardown);

/* Criterion reports each assertion, also one that holds: too much for a million questions. */
#define check(held, ...) do { if (!(held)) cr_assert_fail(__VA_ARGS__); } while (0)

/* What came out of one question. */
struct seen {
	unsigned count;
	bool io, primary;
	struct api_why_item last;
};

static void check_item(void *ctx, const struct api_why_item *i)
{
	struct seen *seen = ctx;

	check(i->state, "no state");
	check(i->text[0], "%s: no text", i->state);
	check(!strncmp(i->command, "drbdctl ", 8), "%s: %s", i->state, i->command);
	check(!strchr(i->text, '$'), "%s", i->text);
	check(!strchr(i->command, '$'), "%s", i->command);
	check(i->who != WHY_PEER || i->node == 1, "%s: node %u", i->state, i->node);
	/* What nobody has to do can only be waited for. */
	check(i->who != WHY_NOBODY || strstr(i->command, " wait-") ||
	      strstr(i->command, "--watch"), "%s: %s", i->state, i->command);
	seen->count++;
	seen->io |= i->holds_io;
	seen->primary |= i->holds_primary;
	seen->last = *i;
}

static struct seen ask(void)
{
	struct seen seen = { 0 };

	api_why(s, "alpha", check_item, &seen);
	return seen;
}

static struct seen ask_primary(bool *possible)
{
	struct seen seen = { 0 };

	*possible = api_why_primary(s, "alpha", check_item, &seen);
	return seen;
}

/* ---- all combinations ---- */

static const enum repl_state all_repl[] = {
	REPL_OFF, REPL_ESTABLISHED, REPL_STARTING_SYNC_S, REPL_STARTING_SYNC_T, REPL_WF_BITMAP_S,
	REPL_WF_BITMAP_T, REPL_WF_SYNC_UUID, REPL_SYNC_SOURCE, REPL_SYNC_TARGET, REPL_VERIFY_S,
	REPL_VERIFY_T, REPL_PAUSED_SYNC_S, REPL_PAUSED_SYNC_T, REPL_AHEAD, REPL_BEHIND,
};

static bool all_is_well(void)
{
	const struct status_volume *v = &s->volumes[0];
	const struct status_peer_device *d = &s->peers[0].devices[0];
	bool disk_good = v->disk == DISK_UP_TO_DATE ||
			 (v->client && d->peer_disk == DISK_UP_TO_DATE && s->peers[0].readable);
	bool settled = d->repl == REPL_ESTABLISHED || d->repl == REPL_VERIFY_S ||
		       d->repl == REPL_VERIFY_T;
	bool peer_good = d->peer_disk == DISK_UP_TO_DATE ||
			 (d->peer_disk == DISK_DISKLESS && d->peer_client);

	return disk_good && s->peers[0].conn == CONN_CONNECTED && settled && peer_good &&
	       !s->susp_user && !s->susp_no_data && !s->susp_quorum &&
	       !s->susp_fencing && s->volumes[0].quorum;
}

static bool may_be_primary(void)
{
	const struct status_peer *p = &s->peers[0];

	return s->role == ROLE_PRIMARY ||
	       (p->role != ROLE_PRIMARY && s->volumes[0].quorum &&
		(s->volumes[0].disk == DISK_UP_TO_DATE ||
		 (p->devices[0].peer_disk == DISK_UP_TO_DATE && p->readable)));
}

static void check_combination(void)
{
	const struct status_peer_device *d = &s->peers[0].devices[0];
	struct seen seen = ask(), primary;
	bool possible;
	bool io = s->susp_user || s->susp_no_data || s->susp_quorum || s->susp_fencing ||
		  !s->volumes[0].quorum ||
		  !(s->volumes[0].disk == DISK_UP_TO_DATE ||
		    (d->peer_disk == DISK_UP_TO_DATE && s->peers[0].readable));

	primary = ask_primary(&possible);
	check((seen.count == 0) == all_is_well() && seen.io == io &&
	      possible == may_be_primary() && (primary.count == 0) == possible &&
	      (possible || primary.primary),
	      "disk %s client %d conn %s repl %s pdsk %s suspended %d/%d: %u items, io %d; "
	      "primary %d: %u items",
	      disk_state_name(s->volumes[0].disk), s->volumes[0].client,
	      conn_state_name(s->peers[0].conn), repl_state_name(d->repl),
	      disk_state_name(d->peer_disk), s->susp_user, s->susp_no_data, seen.count, seen.io,
	      possible, primary.count);
}

static void with_flags(void)
{
	for (unsigned n = 0; n < 1U << 10; n++) {
		s->role = n & 1 ? ROLE_PRIMARY : ROLE_SECONDARY;
		s->peers[0].role = n >> 1 & 1 ? ROLE_PRIMARY : ROLE_SECONDARY;
		s->volumes[0].client = n >> 2 & 1;
		s->peers[0].devices[0].peer_client = n >> 3 & 1;
		s->susp_user = n >> 4 & 1;
		s->susp_no_data = n >> 5 & 1;
		s->peers[0].readable = n >> 6 & 1;
		s->volumes[0].quorum = n >> 7 & 1;
		s->susp_quorum = n >> 8 & 1;
		s->susp_fencing = s->peers[0].suspends = n >> 9 & 1;
		check_combination();
	}
}

Test(why, every_disk_beside_every_connection)
{
	for (unsigned disk = DISK_DISKLESS; disk <= DISK_UP_TO_DATE; disk++) {
		for (unsigned conn = CONN_STANDALONE; conn <= CONN_CONNECTED; conn++) {
			s->volumes[0].disk = (enum disk_state)disk;
			s->peers[0].conn = (enum conn_state)conn;
			with_flags();
		}
	}
}

Test(why, every_replication_state_beside_every_disk)
{
	struct status_peer_device *d = &s->peers[0].devices[0];

	for (unsigned n = 0; n < ARRAY_LEN(all_repl) * 100; n++) {
		d->repl = all_repl[n / 100];
		d->peer_disk = (enum disk_state)(n % 10);
		s->volumes[0].disk = (enum disk_state)(n / 10 % 10);
		with_flags();
	}
}

Test(why, every_pause_of_a_resync_names_who_has_to_resume)
{
	struct status_peer_device *d = &s->peers[0].devices[0];

	for (unsigned n = 0; n < 32; n++) {
		d->susp_parallel = n & 16;
		d->repl = n & 8 ? REPL_PAUSED_SYNC_S : REPL_PAUSED_SYNC_T;
		d->susp_user = n & 1;
		d->susp_peer = n & 2;
		d->susp_dependency = n & 4;
		cr_assert_eq(ask().last.who, n & 1 ? WHY_HERE : n & 2 ? WHY_PEER : WHY_NOBODY);
	}
}

/* ---- single ones ---- */

Test(why, standalone_by_its_reason)
{
	static const struct {
		const char *reason, *command;
		enum api_why_who who;
	} cases[] = {
		{ "split brain: both nodes changed", "drbdctl split-brain r0", WHY_HERE },
		{ "unrelated data: no history",
		  "drbdctl down r0 && drbdctl create-md r0 --force && drbdctl up r0", WHY_HERE },
		{ "this node is Primary and its data would be overwritten by a resync",
		  "drbdctl secondary r0 && drbdctl connect r0:beta", WHY_HERE },
		{ "the peer missed the end of a resync while this node is Primary: demote it",
		  "drbdctl secondary r0 && drbdctl connect r0:beta", WHY_HERE },
		{ "beta ended the connection for good", "drbdctl why r0:alpha", WHY_PEER },
		{ "volume 0: nothing was overwritten, because what this node gives up could not "
		  "be saved: x", "drbdctl resolve r0 --keep beta --save-loser FILE", WHY_HERE },
		{ "authentication failed: beta does not have the same shared secret",
		  "drbdctl adjust r0 && drbdctl connect r0:beta", WHY_HERE },
		{ "option protocol differs from that on beta",
		  "drbdctl adjust r0 && drbdctl connect r0:beta", WHY_HERE },
		{ "bitmap-block size of volume 0; create its metadata anew and connect again",
		  "drbdctl down r0 && drbdctl create-md r0 --force && drbdctl up r0", WHY_PEER },
		{ "disconnected by command", "drbdctl connect r0:beta", WHY_HERE },
		{ "", "drbdctl connect r0:beta", WHY_HERE },
	};

	s->peers[0].conn = CONN_STANDALONE;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct seen seen;

		str_copy(s->peers[0].reason, sizeof(s->peers[0].reason), cases[i].reason);
		seen = ask();
		cr_assert_str_eq(seen.last.command, cases[i].command);
		cr_assert_eq(seen.last.who, cases[i].who);
		cr_assert(strstr(seen.last.text, cases[i].reason));
	}
}

Test(why, the_next_attempt_to_connect)
{
	s->peers[0].conn = CONN_CONNECTING;
	s->now_ns = 5000000000;
	s->peers[0].retry_at_ns = 7500000000;
	cr_assert_eq(ask().last.retry_ms, 2500);
	s->peers[0].retry_at_ns = 1;
	cr_assert_eq(ask().last.retry_ms, 0);
	s->peers[0].retry_at_ns = UINT64_MAX;
	cr_assert_eq(ask().last.retry_ms, -1);
}

Test(why, a_just_created_disk)
{
	s->volumes[0].disk = DISK_INCONSISTENT;
	s->volumes[0].current_uuid = UUID_JUST_CREATED;
	s->peers[0].devices[0].peer_disk = DISK_INCONSISTENT;
	api_why(s, "alpha", check_item, &(struct seen){ 0 });
	s->peer_count = 0;
	cr_assert_str_eq(ask().last.command, "drbdctl new-current-uuid r0/0 --clear-bitmap");
}

Test(why, a_disk_that_does_not_answer)
{
	struct seen seen;

	s->volumes[0].disk = DISK_DISKLESS;
	s->volumes[0].unanswered = 3;
	str_copy(s->volumes[0].reason, sizeof(s->volumes[0].reason),
		 "local disk: no answer for 30.0 s");
	seen = ask();
	cr_assert_eq(seen.count, 1);
	cr_assert(strstr(seen.last.text, "does not answer: local disk: no answer for 30.0 s"),
		  "%s", seen.last.text);
	cr_assert(strstr(seen.last.text, "restart the daemon"), "%s", seen.last.text);
	cr_assert(!seen.io);
}

Test(why, what_is_given_up_is_being_saved)
{
	s->peers[0].devices[0].repl = REPL_WF_BITMAP_T;
	s->volumes[0].disk = DISK_OUTDATED;
	s->peers[0].devices[0].saving = true;
	cr_assert(strstr(ask().last.text, "is saved to a file"));
}

Test(why, what_a_verify_found)
{
	s->peers[0].devices[0].verify.unresolved = true;
	cr_assert_str_eq(ask().last.command, "drbdctl invalidate r0/0 --reset-bitmap=no");
}

/* ---- JSON ---- */

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

Test(why, json)
{
	struct kept_change kept[2] = {
		{ .unix_ms = 1764460800123,
		  .change = { .what = CHANGE_CONNECTION, .cause = CAUSE_PEER, .node = 1,
			      .cause_node = 1, .from = CONN_CONNECTED, .to = CONN_NETWORK_FAILURE,
			      .vnr = VNR_NONE, .detail = "P_STATE", .reason = "gone" } },
		{ .unix_ms = 0,
		  .change = { .what = CHANGE_PAUSED, .cause = CAUSE_TWOPC, .node = 1,
			      .cause_node = 0, .to = PAUSED_USER | PAUSED_DEPENDENCY } },
	};
	json_t *why, *item;

	s->peers[0].conn = CONN_STANDALONE;
	s->peers[0].role = ROLE_PRIMARY;
	why = api_why_json(s, true, "alpha", kept, 2);
	cr_assert_eq(json_integer_value(json_object_get(why, "version")), API_WHY_VERSION);
	item = json_array_get(json_object_get(why, "items"), 0);
	cr_assert_str_eq(text_at(item, "peer"), "beta");
	cr_assert_str_eq(text_at(item, "who"), "alpha");
	cr_assert(json_is_null(json_object_get(item, "volume")));
	cr_assert_not(json_is_true(json_object_get(json_object_get(why, "primary"), "possible")));
	item = json_array_get(json_object_get(why, "changes"), 0);
	cr_assert_str_eq(text_at(item, "time"), "2025-11-30T00:00:00.123Z");
	cr_assert_str_eq(text_at(item, "from"), "Connected");
	cr_assert_str_eq(text_at(item, "to"), "NetworkFailure");
	cr_assert_str_eq(text_at(item, "by"), "word of beta, P_STATE");
	cr_assert_str_eq(text_at(item, "reason"), "gone");
	item = json_array_get(json_object_get(why, "changes"), 1);
	cr_assert_str_eq(text_at(item, "from"), "no");
	cr_assert_str_eq(text_at(item, "to"), "user,dependency");
	cr_assert_str_eq(text_at(item, "by"), "two-phase commit of alpha");
	json_decref(why);
}

Test(why, json_of_a_resource_that_is_down)
{
	json_t *why = api_why_json(s, false, "alpha", NULL, 0);
	const json_t *item = json_array_get(json_object_get(why, "items"), 0);

	cr_assert_str_eq(text_at(why, "verdict"), "DOWN");
	cr_assert_str_eq(text_at(item, "command"), "drbdctl up r0");
	json_decref(why);
}
