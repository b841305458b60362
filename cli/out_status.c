/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the layout and the colours of status. */
#include "out_status.h"

#include <string.h>

#include "base/str.h"
#include "json_get.h"
#include "proto/proto_enum.h"

#define RESET "\033[0m"

/* Classes of values (3.2, colours): the local end is bold. */
enum shade { PLAIN, TRANSITIONAL, PRIMARY, GOOD, BAD };

struct printer {
	FILE *out;
	const struct out_style *style;
	bool first; /* no field on this line so far */
};

static const char *shade_code(enum shade shade, bool local)
{
	static const char *const local_codes[] = { "", "\033[1m", "\033[1;36m", "\033[1;32m",
						   "\033[1;31m" };
	static const char *const peer_codes[] = { "", "", "\033[36m", "\033[32m", "\033[31m" };

	return (local ? local_codes : peer_codes)[shade];
}

static void value_put(struct printer *p, const char *value, enum shade shade, bool local)
{
	const char *code = p->style->colour ? shade_code(shade, local) : "";

	(void)fprintf(p->out, "%s%s%s", code, value, code[0] ? RESET : "");
}

static void line_begin(struct printer *p, unsigned indent)
{
	(void)fprintf(p->out, "%*s", (int)indent, "");
	p->first = true;
}

static void line_end(struct printer *p)
{
	(void)fputc('\n', p->out);
}

static void word(struct printer *p, const char *text)
{
	(void)fprintf(p->out, "%s%s", p->first ? "" : " ", text);
	p->first = false;
}

static void field(struct printer *p, const char *key, const char *value, enum shade shade,
		  bool local)
{
	(void)fprintf(p->out, "%s%s:", p->first ? "" : " ", key);
	value_put(p, value, shade, local);
	p->first = false;
}

static void field_int(struct printer *p, const json_t *object, const char *key)
{
	(void)fprintf(p->out, "%s%s:%lld", p->first ? "" : " ", key,
		      (long long)get_int(object, key));
	p->first = false;
}

static void field_bool(struct printer *p, const char *key, bool value, enum shade if_yes,
		       enum shade if_no)
{
	field(p, key, value ? "yes" : "no", value ? if_yes : if_no, true);
}

/* ---- words ---- */

int out_repl_rank(const char *word_text)
{
	for (int i = REPL_OFF; i <= REPL_BEHIND; i++) {
		if (str_eq(repl_state_name((enum repl_state)i), word_text))
			return i;
	}
	return -1;
}

int out_conn_rank(const char *word_text)
{
	for (int i = CONN_STANDALONE; i <= CONN_CONNECTED; i++) {
		if (str_eq(conn_state_name((enum conn_state)i), word_text))
			return i;
	}
	return -1;
}

static enum shade role_shade(const char *role)
{
	return str_eq(role, "Primary") ? PRIMARY : str_eq(role, "Secondary") ? PLAIN : TRANSITIONAL;
}

static enum shade disk_shade(const char *disk, bool client)
{
	if (str_eq(disk, "UpToDate") || (client && str_eq(disk, "Diskless")))
		return GOOD;
	if (str_eq(disk, "Diskless") || str_eq(disk, "Inconsistent") || str_eq(disk, "Outdated"))
		return BAD;
	return TRANSITIONAL;
}

static enum shade conn_shade(const char *conn)
{
	if (str_eq(conn, "StandAlone") || str_eq(conn, "Connecting"))
		return BAD;
	return str_eq(conn, "Connected") ? PLAIN : TRANSITIONAL;
}

static enum shade repl_shade(const char *repl, bool *local)
{
	static const char *const plain[] = { "Established", "VerifyS", "VerifyT", "PausedSyncS",
					     "Ahead", NULL };

	*local = str_eq(repl, "SyncTarget") || str_eq(repl, "PausedSyncT") ||
		 str_eq(repl, "Behind");
	if (str_eq(repl, "SyncSource") || str_eq(repl, "SyncTarget") ||
	    str_eq(repl, "PausedSyncT"))
		return BAD;
	for (unsigned i = 0; plain[i]; i++) {
		if (str_eq(plain[i], repl))
			return PLAIN;
	}
	return TRANSITIONAL;
}

static enum shade verdict_shade(const char *verdict)
{
	if (str_eq(verdict, "OK"))
		return GOOD;
	if (str_eq(verdict, "SYNCING"))
		return TRANSITIONAL;
	return BAD;
}

void out_duration(char *text, size_t bytes, long long s)
{
	if (s < 100)
		(void)str_format(text, bytes, "%lld s", s);
	else if (s < 3600)
		(void)str_format(text, bytes, "%lld min %lld s", s / 60, s % 60);
	else if (s < 100 * 3600)
		(void)str_format(text, bytes, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		(void)str_format(text, bytes, "%lld days", s / 86400);
}

/* ---- progress ---- */

static void bar_put(struct printer *p, double percent)
{
	unsigned width = p->style->bar;
	unsigned full = (unsigned)(percent / 100.0 * width);

	if (full > width)
		full = width;
	(void)fputc('[', p->out);
	for (unsigned i = 0; i < width; i++)
		(void)fputc(i < full ? '=' : i == full ? '>' : ' ', p->out);
	(void)fputs("] ", p->out);
	p->first = true;
}

/* done, rate and ETA of a resync; the rate in MiB/s of the last seconds. */
static void progress_put(struct printer *p, const json_t *device)
{
	json_int_t eta = get_int(device, "estimated-seconds-to-finish");
	char text[48];

	(void)str_format(text, sizeof(text), "%.2f", get_real(device, "percent-resync-done"));
	field(p, "done", text, PLAIN, false);
	(void)str_format(text, sizeof(text), "%.2f MiB/s", get_real(device, "db/dt [MiB/s]"));
	field(p, "rate", text, PLAIN, false);
	/* The utilities' number for "no progress" would be read as a time. */
	if (eta >= 1000000)
		return;
	out_duration(text, sizeof(text), eta);
	field(p, "eta", text, PLAIN, false);
}

/* ---- peer devices ---- */

static void peer_device_counters(struct printer *p, const json_t *d)
{
	line_begin(p, 8);
	field_int(p, d, "received");
	field_int(p, d, "sent");
	if (p->style->verbose || get_int(d, "out-of-sync"))
		field_int(p, d, "out-of-sync");
	if (p->style->verbose) {
		field_int(p, d, "pending");
		field_int(p, d, "unacked");
	}
	line_end(p);
}

/* What the last verify has come to, and when the next one is due. */
static void verify_put(struct printer *p, const json_t *d)
{
	const json_t *last = json_object_get(d, "last-verify");
	bool due = json_is_string(json_object_get(d, "next-verify"));

	if (!json_is_object(last) && !due)
		return;
	line_begin(p, 8);
	if (json_is_object(last)) {
		field(p, "last-verify", get_text(last, "time"), PLAIN, false);
		field_bool(p, "complete", get_bool(last, "complete"), PLAIN, PLAIN);
		field_int(p, last, "found");
		field_int(p, last, "skipped");
	}
	if (due)
		field(p, "next-verify", get_text(d, "next-verify"), PLAIN, false);
	line_end(p);
}

static void peer_device_put(struct printer *p, const json_t *d, bool show_volume)
{
	const char *repl = get_text(d, "replication-state");
	const char *disk = get_text(d, "peer-disk-state");
	bool client = get_bool(d, "peer-client"), local;
	bool syncing = get_bool(d, "has-sync-details");
	enum shade shade = repl_shade(repl, &local);

	line_begin(p, 4);
	if (show_volume)
		field_int(p, d, "volume");
	if (p->style->verbose || out_repl_rank(repl) > OUT_ESTABLISHED)
		field(p, "replication", repl, shade, local);
	field(p, "peer-disk", disk, disk_shade(disk, client), false);
	if (str_eq(disk, "Diskless") && (p->style->verbose || !p->style->tty))
		field(p, "peer-client", client ? "yes" : "no", PLAIN, false);
	if (syncing && !p->style->bar)
		progress_put(p, d);
	if (p->style->verbose && syncing && !text_is(d, "limited-by", "none"))
		field(p, "limited-by", get_text(d, "limited-by"), PLAIN, false);
	if (p->style->verbose || !text_is(d, "resync-suspended", "no"))
		field(p, "resync-suspended", get_text(d, "resync-suspended"), PLAIN, false);
	line_end(p);
	if (syncing && p->style->bar) {
		line_begin(p, 6);
		bar_put(p, get_real(d, "percent-resync-done"));
		progress_put(p, d);
		line_end(p);
	}
	if (p->style->verbose)
		verify_put(p, d);
	if (p->style->statistics)
		peer_device_counters(p, d);
}

/* ---- connections ---- */

/* Where there is a choice. */
static void connection_paths(struct printer *p, const json_t *c)
{
	const json_t *paths = get_array(c, "paths"), *path;
	size_t i;

	if (json_array_size(paths) < 2)
		return;
	json_array_foreach(paths, i, path) {
		const json_t *own = json_object_get(path, "this_host");
		const json_t *other = json_object_get(path, "remote_host");

		line_begin(p, 6);
		field(p, "path", get_text(own, "address"), PLAIN, false);
		field(p, "to", get_text(other, "address"), PLAIN, false);
		field(p, "established", get_bool(path, "established") ? "yes" : "no", PLAIN, false);
		line_end(p);
	}
}

static void connection_extras(struct printer *p, const json_t *c)
{
	line_begin(p, 6);
	field(p, "protocol", get_text(c, "protocol"), PLAIN, false);
	field_int(p, c, "agreed-protocol");
	field_int(p, c, "ap-in-flight");
	field_int(p, c, "rs-in-flight");
	field_int(p, c, "sent-bytes");
	field_int(p, c, "received-bytes");
	line_end(p);
	connection_paths(p, c);
	if (!get_bool(c, "tls"))
		return;
	line_begin(p, 6);
	field(p, "tls-peer-expires", get_text(c, "tls-peer-expires"), PLAIN, false);
	field(p, "tls-cipher", get_text(c, "tls-cipher"), PLAIN, false);
	field(p, "tls-kernel", get_bool(c, "tls-kernel") ? "yes" : "no", PLAIN, false);
	line_end(p);
}

static void connection_put(struct printer *p, const json_t *c, bool show_volume)
{
	const char *conn = get_text(c, "connection-state");
	const char *role = get_text(c, "peer-role");
	bool verbose = p->style->verbose, up = str_eq(conn, "Connected");
	size_t i;
	const json_t *d;

	line_begin(p, 2);
	word(p, get_text(c, "name"));
	if (verbose)
		(void)fprintf(p->out, " node-id:%lld", (long long)get_int(c, "peer-node-id"));
	if (verbose || !up)
		field(p, "connection", conn, conn_shade(conn), true);
	if (up) {
		field(p, "role", role, role_shade(role), false);
		if (verbose || get_bool(c, "tls"))
			field(p, "tls", get_bool(c, "tls") ? "yes" : "no", PLAIN, false);
		if (verbose || get_bool(c, "congested"))
			field(p, "congested", get_bool(c, "congested") ? "yes" : "no", PLAIN,
			      false);
	}
	line_end(p);
	if (!up && get_text(c, "reason")[0])
		(void)fprintf(p->out, "    %s\n", get_text(c, "reason"));
	if (verbose)
		connection_extras(p, c);
	if (!up && !verbose && !p->style->statistics)
		return;
	json_array_foreach(get_array(c, "peer_devices"), i, d)
		peer_device_put(p, d, show_volume);
}

/* ---- volumes ---- */

static void device_counters(struct printer *p, const json_t *d)
{
	line_begin(p, 6);
	if (p->style->verbose)
		field_int(p, d, "size");
	field_int(p, d, "read");
	field_int(p, d, "written");
	if (p->style->verbose) {
		field_int(p, d, "al-writes");
		field_int(p, d, "bm-writes");
		field_int(p, d, "upper-pending");
		field_int(p, d, "lower-pending");
	}
	line_end(p);
}

static void device_put(struct printer *p, const json_t *d, bool show_volume)
{
	const char *disk = get_text(d, "disk-state");
	const json_t *backing = json_object_get(d, "backing");
	bool client = get_bool(d, "client"), verbose = p->style->verbose;

	line_begin(p, 2);
	if (show_volume)
		field_int(p, d, "volume");
	field(p, "disk", disk, disk_shade(disk, client), true);
	if (str_eq(disk, "Diskless") && (verbose || !p->style->tty))
		field(p, "client", client ? "yes" : "no", PLAIN, true);
	if (verbose)
		field(p, "backing_dev",
		      json_is_object(backing) ? get_text(backing, "path") : "none", PLAIN, true);
	if (json_is_object(backing) && (verbose || text_is(backing, "io-mode", "page-cache")))
		field(p, "io", get_text(backing, "io-mode"), PLAIN, true);
	if (verbose || !get_bool(d, "quorum"))
		field_bool(p, "quorum", get_bool(d, "quorum"), GOOD, BAD);
	field_bool(p, "open", get_bool(d, "open"), PRIMARY, PLAIN);
	line_end(p);
	if (get_text(d, "reason")[0] && !text_is(d, "disk-state", "UpToDate"))
		(void)fprintf(p->out, "    %s\n", get_text(d, "reason"));
	if (p->style->statistics)
		device_counters(p, d);
}

/* ---- resources ---- */

static void verdict_put(struct printer *p, const json_t *r)
{
	const char *verdict = get_text(r, "verdict");
	const json_t *eta = json_object_get(r, "eta-seconds");
	char text[48];

	(void)fprintf(p->out, "%s: ", get_text(r, "name"));
	value_put(p, verdict, verdict_shade(verdict), true);
	if (str_eq(verdict, "SYNCING")) {
		(void)fprintf(p->out, " %d %%", (int)get_real(r, "percent"));
		if (json_is_integer(eta)) {
			out_duration(text, sizeof(text), json_integer_value(eta));
			(void)fprintf(p->out, " eta %s", text);
		}
		(void)fprintf(p->out, ", %s\n", get_text(r, "reason"));
		return;
	}
	(void)fprintf(p->out, "%s%s\n", get_text(r, "reason")[0] ? ": " : "",
		      get_text(r, "reason"));
}

static void suspended_text(const json_t *r, char *text, size_t bytes)
{
	static const char *const reasons[] = { "user", "no-data", "fencing", "quorum" };

	text[0] = '\0';
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		char key[32];

		(void)str_format(key, sizeof(key), "suspended-%s", reasons[i]);
		if (get_bool(r, key))
			(void)str_append(text, bytes, "%s%s", text[0] ? "," : "", reasons[i]);
	}
	if (!text[0])
		(void)str_copy(text, bytes, "no");
}

static void resource_put(struct printer *p, const json_t *r)
{
	const json_t *devices = get_array(r, "devices"), *item;
	const char *role = get_text(r, "role");
	bool verbose = p->style->verbose;
	bool one = json_array_size(devices) == 1 &&
		   get_int(json_array_get(devices, 0), "volume") == 0;
	char suspended[64];
	size_t i;

	verdict_put(p, r);
	if (text_is(r, "verdict", "DOWN"))
		return;
	line_begin(p, 0);
	word(p, get_text(r, "name"));
	if (verbose)
		(void)fprintf(p->out, " node-id:%lld", (long long)get_int(r, "node-id"));
	field(p, "role", role, role_shade(role), true);
	suspended_text(r, suspended, sizeof(suspended));
	if (verbose || !str_eq(suspended, "no"))
		field(p, "suspended", suspended, str_eq(suspended, "no") ? PLAIN : BAD, true);
	if (verbose || get_bool(r, "force-io-failures"))
		field_bool(p, "force-io-failures", get_bool(r, "force-io-failures"), BAD, PLAIN);
	line_end(p);
	if (verbose && p->style->statistics)
		(void)fprintf(p->out, "    write-ordering:%s\n", get_text(r, "write-ordering"));
	json_array_foreach(devices, i, item)
		device_put(p, item, verbose || !one);
	json_array_foreach(get_array(r, "connections"), i, item)
		connection_put(p, item, verbose || !one);
}

void out_status(FILE *out, const json_t *resources, const struct out_style *style)
{
	struct printer p = { .out = out, .style = style, .first = true };
	const json_t *r;
	size_t i;

	if (!json_array_size(resources))
		(void)fputs("# No resources are configured for this node.\n", out);
	json_array_foreach(resources, i, r) {
		resource_put(&p, r);
		(void)fputc('\n', out);
	}
}
