/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the routes and the bodies of requests. */
#include "api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define SEGMENTS_MAX 5
#define SECTORS_MAX 0x1p53
#define SEGMENT_BYTES (NAME_MAX_BYTES + 1)

/* What the body of a command may say. */
#define HAS_VOLUME 0x01U
#define HAS_PEER 0x02U
#define HAS_FORCE 0x04U
#define HAS_DISCARD 0x08U
#define HAS_CLEAR 0x10U
#define HAS_KEEP 0x20U
#define HAS_RANGE 0x40U
#define HAS_SAVE 0x80U
#define HAS_SIZE 0x100U
#define HAS_NODE 0x200U
#define HAS_ASKER 0x400U /* may be left out */

static const struct command_row {
	const char *name;
	enum api_verb verb;
	enum core_command cmd; /* VERB_CORE */
	unsigned takes;        /* HAS_*; volume, peer and node are required where taken */
} commands[] = {
	{ "up", VERB_UP, 0, 0 },
	{ "down", VERB_DOWN, 0, HAS_FORCE },
	{ "adjust", VERB_ADJUST, 0, 0 },
	{ "attach", VERB_CORE, CMD_ATTACH, HAS_VOLUME },
	{ "detach", VERB_CORE, CMD_DETACH, HAS_VOLUME | HAS_FORCE },
	{ "connect", VERB_CORE, CMD_CONNECT, HAS_PEER | HAS_DISCARD | HAS_SAVE },
	{ "disconnect", VERB_CORE, CMD_DISCONNECT, HAS_PEER | HAS_FORCE },
	{ "primary", VERB_CORE, CMD_PRIMARY, HAS_FORCE },
	{ "secondary", VERB_CORE, CMD_SECONDARY, HAS_FORCE },
	{ "suspend-io", VERB_CORE, CMD_SUSPEND_IO, 0 },
	{ "resume-io", VERB_CORE, CMD_RESUME_IO, 0 },
	{ "invalidate", VERB_CORE, CMD_INVALIDATE, HAS_VOLUME | HAS_KEEP },
	{ "invalidate-remote", VERB_CORE, CMD_INVALIDATE_REMOTE, HAS_VOLUME | HAS_PEER | HAS_KEEP },
	{ "pause-sync", VERB_CORE, CMD_PAUSE_SYNC, HAS_VOLUME | HAS_PEER },
	{ "resume-sync", VERB_CORE, CMD_RESUME_SYNC, HAS_VOLUME | HAS_PEER },
	{ "verify", VERB_CORE, CMD_VERIFY, HAS_VOLUME | HAS_PEER | HAS_RANGE },
	{ "resize", VERB_CORE, CMD_RESIZE, HAS_VOLUME | HAS_SIZE },
	{ "outdate", VERB_CORE, CMD_OUTDATE, HAS_VOLUME | HAS_ASKER },
	{ "forget-peer", VERB_CORE, CMD_FORGET_PEER, HAS_NODE },
	{ "new-current-uuid", VERB_CORE, CMD_NEW_CURRENT_UUID, HAS_VOLUME | HAS_CLEAR },
};

static bool __attribute__((format(printf, 3, 4)))
fail(struct api_error *error, enum api_code code, const char *fmt, ...)
{
	va_list ap;

	error->code = code;
	error->hint = "";
	va_start(ap, fmt);
	(void)vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- path ---- */

struct segments {
	unsigned count;
	char text[SEGMENTS_MAX][SEGMENT_BYTES];
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Splits "/a/b%20c" and decodes each part; a decoded '/' or NUL is refused. */
static bool path_split(const char *path, struct segments *out, struct api_error *error)
{
	unsigned used = 0;

	out->count = 0;
	if (path[0] != '/' || strnlen(path, API_PATH_BYTES_MAX) == API_PATH_BYTES_MAX)
		return fail(error, API_BAD_REQUEST, "not a path of this interface");
	for (const char *p = path; *p; p++) {
		char c = *p;

		if (c == '/') {
			if (out->count == SEGMENTS_MAX)
				return fail(error, API_NOT_FOUND, "no such path");
			out->text[out->count++][0] = '\0';
			used = 0;
			continue;
		}
		if (c == '%') {
			int hi = hex_digit(p[1]);
			int lo = hi < 0 ? -1 : hex_digit(p[2]);

			if (lo < 0 || (hi == 0 && lo == 0) || (hi << 4 | lo) == '/')
				return fail(error, API_BAD_REQUEST, "bad %%-sequence in the path");
			c = (char)(hi << 4 | lo);
			p += 2;
		}
		if (used + 1 >= SEGMENT_BYTES)
			return fail(error, API_NOT_FOUND, "a name in the path is too long");
		out->text[out->count - 1][used++] = c;
		out->text[out->count - 1][used] = '\0';
	}
	return true;
}

/* ---- body ---- */

static const struct flag_row {
	const char *key;
	unsigned bit;
	size_t offset;
} flags[] = {
	{ "force", HAS_FORCE, offsetof(struct ev_command, force) },
	{ "discard-my-data", HAS_DISCARD, offsetof(struct ev_command, discard_my_data) },
	{ "clear-bitmap", HAS_CLEAR, offsetof(struct ev_command, clear_bitmap) },
	{ "keep-bitmap", HAS_KEEP, offsetof(struct ev_command, keep_bitmap) },
	{ "abort", HAS_RANGE, offsetof(struct ev_command, abort) },
	{ "assume-clean", HAS_SIZE, offsetof(struct ev_command, assume_clean) },
	{ "assume-peer-has-space", HAS_SIZE, offsetof(struct ev_command, force) },
	{ "repair", HAS_RANGE, offsetof(struct ev_command, repair) },
};

static bool body_flag(const struct command_row *row, const char *key, const json_t *value,
		      struct api_request *request, struct api_error *error)
{
	for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
		bool set = json_is_true(value);

		if (!str_eq(flags[i].key, key) || !(row->takes & flags[i].bit))
			continue;
		if (!json_is_boolean(value))
			return fail(error, API_BAD_REQUEST, "%s: '%s' must be true or false",
				    row->name, key);
		memcpy((char *)&request->command + flags[i].offset, &set, sizeof(set));
		return true;
	}
	return fail(error, API_BAD_REQUEST, "%s: unknown key '%.64s' in the body", row->name, key);
}

/* Of a verify or resize; the sector numbers are exact up to the largest volume. */
static bool body_sector(const struct command_row *row, const char *key, const json_t *value,
			struct ev_command *command, struct api_error *error)
{
	double n = json_real_value(value);

	if (!json_is_real(value) || n < 0 || n > SECTORS_MAX || n != (double)(uint64_t)n)
		return fail(error, API_BAD_REQUEST, "%s: '%s' must be the number of a sector",
			    row->name, key);
	if (str_eq(key, "size-sectors")) {
		command->size_sectors = (uint64_t)n;
		return true;
	}
	if (str_eq(key, "stop-sector")) {
		command->stop_sector = (uint64_t)n;
		return true;
	}
	command->start_sector = (uint64_t)n;
	return command->has_start = true;
}

/* Which volume is given up, and where it is saved before. */
static bool body_save(const struct command_row *row, const char *key, const json_t *value,
		      struct ev_command *command, struct api_error *error)
{
	const char *path = json_string_value(value);

	if (!path || path[0] != '/' ||
	    !str_copy(command->save_to, sizeof(command->save_to), path))
		return fail(error, API_BAD_REQUEST,
			    "%s: '%s' must be the absolute path of a file, of less than %u bytes",
			    row->name, key, SAVE_PATH_MAX);
	return true;
}

static bool body_volume(const struct command_row *row, const char *key, const json_t *value,
			struct ev_command *command, struct api_error *error)
{
	double n = json_real_value(value);

	if (!json_is_real(value) || n < 0 || n > VNR_MAX || n != (double)(unsigned)n)
		return fail(error, API_BAD_REQUEST, "%s: '%s' must be 0 to %u", row->name, key,
			    VNR_MAX);
	command->vnr = (uint16_t)n;
	return true;
}

static bool body_node(const struct command_row *row, const json_t *value,
		      struct ev_command *command, struct api_error *error)
{
	double n = json_real_value(value);

	if (!json_is_real(value) || n < 0 || n >= NODES_MAX || n != (double)(unsigned)n)
		return fail(error, API_BAD_REQUEST, "%s: 'node-id' must be 0 to %u", row->name,
			    NODES_MAX - 1);
	command->peer = (uint8_t)n;
	return true;
}

static bool body_member(const struct command_row *row, const char *key, const json_t *value,
			struct api_request *request, struct api_error *error)
{
	const char *text = json_string_value(value);

	if (str_eq(key, "volume") && (row->takes & HAS_VOLUME))
		return body_volume(row, key, value, &request->command, error);
	if (str_eq(key, "only-volume") && (row->takes & HAS_SAVE))
		return request->command.one_volume =
			       body_volume(row, key, value, &request->command, error);
	if (str_eq(key, "save-to") && (row->takes & HAS_SAVE))
		return body_save(row, key, value, &request->command, error);
	if (str_eq(key, "node-id") && (row->takes & HAS_NODE))
		return body_node(row, value, &request->command, error);
	if ((str_eq(key, "peer") && (row->takes & HAS_PEER)) ||
	    (str_eq(key, "for") && (row->takes & HAS_ASKER))) {
		if (!text || name_problem(text))
			return fail(error, API_BAD_REQUEST, "%s: '%s' must be a node name",
				    row->name, key);
		request->command.has_peer = (row->takes & HAS_ASKER) != 0;
		return str_copy(request->peer, sizeof(request->peer), text);
	}
	if (((row->takes & HAS_RANGE) &&
	     (str_eq(key, "start-sector") || str_eq(key, "stop-sector"))) ||
	    ((row->takes & HAS_SIZE) && str_eq(key, "size-sectors")))
		return body_sector(row, key, value, &request->command, error);
	return body_flag(row, key, value, request, error);
}

static bool body_object(const struct command_row *row, json_t *object, struct api_request *request,
			struct api_error *error)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return fail(error, API_BAD_REQUEST, "%s: the body must be a JSON object",
			    row->name);
	json_object_foreach(object, key, value) {
		if (!body_member(row, key, value, request, error))
			return false;
	}
	if ((row->takes & HAS_VOLUME) && !json_object_get(object, "volume"))
		return fail(error, API_BAD_REQUEST, "%s: 'volume' is missing", row->name);
	if ((row->takes & HAS_NODE) && !json_object_get(object, "node-id"))
		return fail(error, API_BAD_REQUEST, "%s: 'node-id' is missing", row->name);
	if ((row->takes & HAS_PEER) && !json_object_get(object, "peer"))
		return fail(error, API_BAD_REQUEST, "%s: 'peer' is missing", row->name);
	if ((request->command.save_to[0] || request->command.one_volume) &&
	    !request->command.discard_my_data)
		return fail(error, API_BAD_REQUEST,
			    "%s: 'only-volume' and 'save-to' need 'discard-my-data'", row->name);
	return true;
}

static bool body_parse(const struct command_row *row, const char *body, size_t bytes,
		       struct api_request *request, struct api_error *error)
{
	json_error_t where;
	json_t *object;
	bool good;

	if (bytes > API_BODY_BYTES_MAX)
		return fail(error, API_BAD_REQUEST, "the body is larger than 64 KiB");
	/* Integers as reals: one that is too large is then an error of its key, not of the JSON. */
	object = bytes ? json_loadb(body, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
				    &where) : json_object();
	if (!object)
		return fail(error, API_BAD_REQUEST, "the body is not JSON: line %d: %s",
			    bytes ? where.line : 0, bytes ? where.text : "out of memory");
	good = body_object(row, object, request, error);
	json_decref(object);
	return good;
}

/* ---- requests ---- */

static const struct command_row *command_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		if (str_eq(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static bool take_resource(const char *name, struct api_request *request, struct api_error *error)
{
	if (name_problem(name))
		return fail(error, API_BAD_REQUEST, "the name of the resource %s",
			    name_problem(name));
	return str_copy(request->resource, sizeof(request->resource), name);
}

static bool method_is(enum api_method wanted, enum api_method method, struct api_error *error)
{
	if (wanted == method)
		return true;
	return fail(error, API_METHOD, "this path takes %s", wanted == API_GET ? "GET" : "POST");
}

static bool command_parse(enum api_method method, const struct segments *s, const char *body,
			  size_t bytes, struct api_request *request, struct api_error *error)
{
	const struct command_row *row = command_find(s->text[3]);

	if (!row)
		return fail(error, API_NOT_FOUND, "there is no command '%s'", s->text[3]);
	if (!method_is(API_POST, method, error) || !take_resource(s->text[2], request, error))
		return false;
	request->verb = row->verb;
	request->command_name = row->name;
	request->command.cmd = row->cmd;
	return body_parse(row, body, bytes, request, error);
}

bool api_request_parse(enum api_method method, const char *path, const char *body,
		       size_t body_bytes, struct api_request *request, struct api_error *error)
{
	struct segments s;

	memset(request, 0, sizeof(*request));
	request->command_name = "";
	if (!path_split(path, &s, error))
		return false;
	if (!str_eq(s.text[0], "v1"))
		return fail(error, API_NOT_FOUND, "no such path; this program speaks /v1");
	if (s.count == 2 && str_eq(s.text[1], "version")) {
		request->verb = VERB_VERSION;
		return method_is(API_GET, method, error);
	}
	if ((s.count == 2 || s.count == 3) && str_eq(s.text[1], "status")) {
		request->verb = VERB_STATUS;
		return method_is(API_GET, method, error) &&
		       (s.count == 2 || take_resource(s.text[2], request, error));
	}
	if (s.count == 3 && str_eq(s.text[1], "why")) {
		request->verb = VERB_WHY;
		return method_is(API_GET, method, error) &&
		       take_resource(s.text[2], request, error);
	}
	if (s.count == 2 && (str_eq(s.text[1], "shutdown") || str_eq(s.text[1], "reload"))) {
		request->verb = str_eq(s.text[1], "reload") ? VERB_RELOAD : VERB_SHUTDOWN;
		return method_is(API_POST, method, error);
	}
	if (s.count == 4 && str_eq(s.text[1], "resources"))
		return command_parse(method, &s, body, body_bytes, request, error);
	return fail(error, API_NOT_FOUND, "no such path");
}

void api_request_what(const struct api_request *request, char out[API_WHAT_MAX])
{
	const struct command_row *row = command_find(request->command_name);

	(void)str_format(out, API_WHAT_MAX, "%s%s%s", request->command_name,
			 request->resource[0] ? " " : "", request->resource);
	if (request->peer[0])
		(void)str_append(out, API_WHAT_MAX, ":%s", request->peer);
	if (row && (row->takes & HAS_NODE))
		(void)str_append(out, API_WHAT_MAX, ":%u", request->command.peer);
	if (row && (row->takes & HAS_VOLUME))
		(void)str_append(out, API_WHAT_MAX, "/%u", request->command.vnr);
}

static bool volume_bind(const struct api_request *request, const struct resource_status *status,
			struct api_error *error)
{
	char what[API_WHAT_MAX], known[API_TEXT_MAX / 2] = "";

	for (unsigned i = 0; i < status->volume_count; i++) {
		if (status->volumes[i].vnr == request->command.vnr)
			return true;
		(void)str_append(known, sizeof(known), "%s%u", i ? ", " : "",
				 status->volumes[i].vnr);
	}
	api_request_what(request, what);
	return fail(error, API_NOT_FOUND, "%s: there is no volume %u (volumes: %s)", what,
		    request->command.vnr, known);
}

static bool peer_bind(struct api_request *request, const struct resource_status *status,
		      struct api_error *error)
{
	char what[API_WHAT_MAX], known[API_TEXT_MAX / 2] = "";

	for (unsigned i = 0; i < status->peer_count; i++) {
		if (str_eq(status->peers[i].name, request->peer)) {
			request->command.peer = status->peers[i].node_id;
			return true;
		}
		(void)str_append(known, sizeof(known), "%s%s", i ? ", " : "",
				 status->peers[i].name);
	}
	api_request_what(request, what);
	return fail(error, API_NOT_FOUND, "%s: '%s' is no peer of this node (peers: %s)",
		    what, request->peer, known[0] ? known : "none");
}

bool api_request_bind(struct api_request *request, const struct resource_status *status,
		      struct api_error *error)
{
	const struct command_row *row = command_find(request->command_name);

	ASSERT(row && row->verb == VERB_CORE);
	if (request->command.one_volume && !volume_bind(request, status, error))
		return false;
	return (!(row->takes & HAS_VOLUME) || volume_bind(request, status, error)) &&
	       (!((row->takes & HAS_PEER) || request->command.has_peer) ||
		peer_bind(request, status, error));
}
