/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control interface as text: requests in, JSON out. No socket, no thread. Documented in
 * drbdctl(8).
 *
 *   GET  /v1/version
 *   GET  /v1/status            array of resources
 *   GET  /v1/status/RES        the same with one element
 *   GET  /v1/why/RES           what is not as it should be, who has to act, the last changes
 *   POST /v1/resources/RES/COMMAND   {"volume": N, "peer": "NAME", "force": true, ...}
 *   POST /v1/reload            reads the configuration again, changes nothing
 *   POST /v1/shutdown
 *
 * A failure is {"error": {"code": ..., "message": ..., "hint": ...}} with a matching HTTP status.
 */
#ifndef API_H
#define API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "core/core.h"
#include "proto/proto_status.h"

#define API_BODY_BYTES_MAX (64U << 10)
#define API_PATH_BYTES_MAX 1024U
#define API_TEXT_MAX 320

/* ---- errors ---- */

/* Codes are part of the interface; drbdctl makes its exit code from them. */
enum api_code {
	API_BAD_REQUEST,   /* 400 bad-request */
	API_FORBIDDEN,     /* 403 forbidden */
	API_NOT_FOUND,     /* 404 not-found */
	API_METHOD,        /* 405 method-not-allowed */
	API_REFUSED,       /* 409 refused: a state change */
	API_NO_DATA,       /* 409 no-up-to-date-data */
	API_NO_DISK,       /* 409 no-local-disk */
	API_FAILED,        /* 500 failed: up, attach, adjust could not be done */
	API_TIMED_OUT,     /* 504 timeout */
};

struct api_error {
	enum api_code code;
	char message[API_TEXT_MAX];
	const char *hint;  /* static, "" = none */
};

int api_http_status(enum api_code code);
const char *api_code_name(enum api_code code);
/* False when the word is not a code. */
bool api_code_parse(const char *name, enum api_code *code);
json_t *api_error_json(const struct api_error *error);

/* ---- requests ---- */

enum api_method { API_GET, API_POST };

enum api_verb {
	VERB_VERSION,
	VERB_STATUS,
	VERB_WHY,
	VERB_UP,
	VERB_DOWN,
	VERB_ADJUST,
	VERB_CORE,         /* request.command says which */
	VERB_RELOAD,
	VERB_SHUTDOWN,
};

struct api_request {
	enum api_verb verb;
	const char *command_name;          /* static; "" for GET and shutdown */
	char resource[NAME_MAX_BYTES];     /* "" = all */
	char peer[NAME_MAX_BYTES];         /* "" = none */
	struct ev_command command;         /* VERB_CORE; peer is filled in by api_request_bind() */
};

/* Parses one request. `path` without query; body may hold anything. False: *error says why. */
bool api_request_parse(enum api_method method, const char *path, const char *body,
		       size_t body_bytes, struct api_request *request, struct api_error *error);
/* "COMMAND RES[:PEER][/VOL]", what messages begin with. */
#define API_WHAT_MAX (2 * NAME_MAX_BYTES + 40)
void api_request_what(const struct api_request *request, char out[API_WHAT_MAX]);
/* Checks volume and peer of a VERB_CORE request
 * against a resource that is up; finds the node id. */
bool api_request_bind(struct api_request *request, const struct resource_status *status,
		      struct api_error *error);

/* Result of a command (rc as in ac_reply). True: success, *error untouched. `text` may be NULL. */
bool api_result(const struct api_request *request, int rc, const char *text,
		struct api_error *error);
json_t *api_success_json(const char *text);
json_t *api_version_json(void);

/* ---- status ---- */

enum api_verdict_word {
	VERDICT_OK,
	VERDICT_DEGRADED,
	VERDICT_SYNCING,
	VERDICT_SPLIT_BRAIN,
	VERDICT_BLOCKED,
	VERDICT_DOWN,
};

struct api_verdict {
	enum api_verdict_word word;
	char reason[API_TEXT_MAX]; /* "" when OK */
	double percent;            /* SYNCING: 0..100 over all volumes and peers */
	int64_t eta_s;             /* SYNCING: -1 = not known */
};

const char *api_verdict_name(enum api_verdict_word word);
void api_verdict(const struct resource_status *status, struct api_verdict *verdict);

/* What status tells about a volume besides the core's part. */
struct api_backing {
	const char *path;  /* "" = no disk configured */
	bool direct_io, attached;
};

/* The addresses of the connection to one peer. */
struct api_paths {
	unsigned count;
	struct conf_peer_path path[CONF_PATHS_MAX];
};

/* One element of the status array; `backing` has status->volume_count elements, `paths` has
 * status->peer_count. */
json_t *api_resource_json(const struct resource_status *status, const struct api_backing *backing,
			  const struct api_paths *paths);
/* The element of a resource that is configured, but down. */
json_t *api_resource_down_json(const char *name);

/* Share of a resync that is done, 0..100; seconds to its end, -1 = not known. */
double api_resync_percent(const struct status_resync *resync);
int64_t api_resync_eta_s(const struct status_resync *resync);
/* As json_string(), with what is not UTF-8 replaced. Never NULL but for lack of memory. */
json_t *api_text(const char *text);

#endif
