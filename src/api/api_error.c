/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns error codes, their HTTP statuses, and the hints that go with refused commands. */
#include "api/api.h"

#include "base/assert.h"
#include "base/str.h"

static const struct {
	const char *name;
	int http;
} codes[] = {
	[API_BAD_REQUEST] = { "bad-request", 400 },
	[API_FORBIDDEN] = { "forbidden", 403 },
	[API_NOT_FOUND] = { "not-found", 404 },
	[API_METHOD] = { "method-not-allowed", 405 },
	[API_REFUSED] = { "refused", 409 },
	[API_NO_DATA] = { "no-up-to-date-data", 409 },
	[API_NO_DISK] = { "no-local-disk", 409 },
	[API_FAILED] = { "failed", 500 },
	[API_TIMED_OUT] = { "timeout", 504 },
};

int api_http_status(enum api_code code)
{
	ASSERT((unsigned)code < ARRAY_LEN(codes));
	return codes[code].http;
}

const char *api_code_name(enum api_code code)
{
	ASSERT((unsigned)code < ARRAY_LEN(codes));
	return codes[code].name;
}

bool api_code_parse(const char *name, enum api_code *code)
{
	for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
		if (str_eq(codes[i].name, name)) {
			*code = (enum api_code)i;
			return true;
		}
	}
	return false;
}

json_t *api_text(const char *text)
{
	char clean[API_TEXT_MAX];

	if (str_is_utf8(text))
		return json_string(text);
	(void)str_copy(clean, sizeof(clean), text);
	for (unsigned char *p = (unsigned char *)clean; *p; p++) {
		if (*p >= 0x80)
			*p = '?';
	}
	return json_string(clean);
}

json_t *api_error_json(const struct api_error *error)
{
	return json_pack("{s:{s:s, s:o, s:s}}", "error", "code", api_code_name(error->code),
			 "message", api_text(error->message), "hint", error->hint);
}

json_t *api_success_json(const char *text)
{
	return json_pack("{s:o}", "message", api_text(text ? text : ""));
}

json_t *api_version_json(void)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:i}", "program", "drbdfs", "version",
			 DRBDFS_VERSION, "api", 1, "protocol-min", APV_MIN, "protocol-max",
			 APV_MAX);
}

/* What to do next, by result. */
static const char *hint_of(const struct api_request *request, int rc)
{
	bool promotes = request->verb == VERB_CORE && request->command.cmd == CMD_PRIMARY;

	/* Its reasons say what to do. */
	if (request->verb == VERB_CORE && request->command.cmd == CMD_RESIZE &&
	    (rc == SS_NEED_CONNECTION || rc == SS_DEVICE_IN_USE))
		return "";
	switch (rc) {
	case SS_TWO_PRIMARIES:
		return "close the file there or run 'drbdctl secondary' on that node first";
	case SS_NO_UP_TO_DATE_DISK:
		return promotes ? "connect to a node that has the data; if this copy is the one to "
				  "keep, 'primary --force' declares it UpToDate" :
				  "connect to a node that has the data first";
	case SS_NO_LOCAL_DISK:
	case SS_IS_DISKLESS:
		return "attach the volume first";
	case SS_DEVICE_IN_USE:
		return "close or unmount what uses the file ('fuser -v' on it shows who)";
	case SS_RESYNC_RUNNING:
		return "wait for its end with 'drbdctl wait-sync'";
	case SS_NEED_CONNECTION:
	case SS_NO_REMOTE_DISK:
		return "connect to the peer first; 'drbdctl status' shows why it is not connected";
	case SS_IN_TRANSIENT_STATE:
	case SS_CONCURRENT_ST_CHG:
	case SS_TIMEOUT:
	case SS_INTERRUPTED:
		return "try again";
	case SS_PRIMARY_READER:
		return "close the file on the peer first";
	case SS_O_VOL_PEER_PRI:
		return "make the peer Secondary first";
	default:
		return "";
	}
}

/* Commands that fail because something is wrong, not because a state forbids them. */
static bool is_setup(const struct api_request *request)
{
	return request->verb == VERB_UP || request->verb == VERB_ADJUST ||
	       (request->verb == VERB_CORE && request->command.cmd == CMD_ATTACH);
}

bool api_result(const struct api_request *request, int rc, const char *text,
		struct api_error *error)
{
	char what[API_WHAT_MAX];

	if (rc >= SS_SUCCESS)
		return true;
	error->hint = hint_of(request, rc);
	if (is_setup(request) && rc != SS_DEVICE_IN_USE) {
		error->code = API_FAILED;
		/* That it has no disk is the result, not the reason. */
		if (rc == SS_NO_LOCAL_DISK)
			error->hint = "";
	} else if (rc == SS_NO_UP_TO_DATE_DISK) {
		error->code = API_NO_DATA;
	} else if (rc == SS_NO_LOCAL_DISK) {
		error->code = API_NO_DISK;
	} else {
		error->code = API_REFUSED;
	}
	api_request_what(request, what);
	(void)str_format(error->message, sizeof(error->message), "%s: %s", what,
			 text && text[0] ? text : state_rv_text((enum state_rv)rc));
	return false;
}
