/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the HTTP side of drbdctl. */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "api/api.h"
#include "base/str.h"

#define REPLY_BYTES_MAX (16U << 20)
#define STATUS_TIMEOUT_S 5L
#define COMMAND_TIMEOUT_S 150L /* longer than the daemon's own limit, whose answer says more */
#define CONNECT_TIMEOUT_S 5L

/* Text that arrives. */
struct reply_text {
	char *text;
	size_t bytes;
	bool too_big;
};

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct reply_text *r = arg;
	size_t n = size * count;
	char *bigger;

	if (n > REPLY_BYTES_MAX - r->bytes) {
		r->too_big = true;
		return 0;
	}
	bigger = realloc(r->text, r->bytes + n + 1);
	if (!bigger)
		return 0;
	r->text = bigger;
	memcpy(r->text + r->bytes, data, n);
	r->bytes += n;
	return n;
}

/* Where a given file has errors, the socket it may name is not known. */
static int configured_socket(struct cli *cli, char out[CONF_PATH_MAX], struct err *err)
{
	struct conf_messages messages = { 0 };
	char file[CONF_PATH_MAX];
	struct conf *conf;
	int rc = EXIT_OK;

	conf_default_file(file);
	conf = conf_load(cli->conf_file ? cli->conf_file : file, &messages);
	if (!conf && cli->conf_file) {
		(void)err_set(err, -EINVAL, "%s; or name the socket of the daemon with -s",
			      messages.count ? messages.items[0].text : "out of memory");
		rc = EXIT_ERROR;
	}
	conf_messages_clear(&messages);
	if (conf && conf->control_socket[0])
		(void)str_copy(out, CONF_PATH_MAX, conf->control_socket);
	else
		conf_default_socket(out);
	conf_free(conf);
	return rc;
}

/* -s, else the configuration's control-socket if there is a configuration, else the default. */
static int socket_path(struct cli *cli, char out[CONF_PATH_MAX], struct err *err)
{
	struct sockaddr_un address;
	int rc = EXIT_OK;

	if (!cli->socket)
		rc = configured_socket(cli, out, err);
	else if (!str_copy(out, CONF_PATH_MAX, cli->socket))
		out[0] = '\0';
	if (rc == EXIT_OK && (!out[0] || strlen(out) >= sizeof(address.sun_path))) {
		(void)err_set(err, -ENAMETOOLONG,
			      "control socket %s: the path must have 1 to %zu bytes; give another "
			      "one with -s",
			      cli->socket ? cli->socket : out, sizeof(address.sun_path) - 1);
		rc = EXIT_USAGE;
	}
	return rc;
}

static int client_open(struct cli *cli, struct err *err)
{
	char path[CONF_PATH_MAX];
	CURL *curl;
	int rc;

	if (cli->curl)
		return EXIT_OK;
	rc = socket_path(cli, path, err);
	if (rc)
		return rc;
	curl = curl_easy_init();
	if (!curl) {
		(void)err_set(err, -ENOMEM, "out of memory");
		return EXIT_USAGE;
	}
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	/* The environment may name a proxy for all of http. */
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	cli->curl = curl;
	return EXIT_OK;
}

void client_close(struct cli *cli)
{
	if (cli->curl)
		curl_easy_cleanup(cli->curl);
	cli->curl = NULL;
}

static int transport_error(struct cli *cli, CURLcode code, const struct reply_text *r,
			   struct err *err)
{
	char path[CONF_PATH_MAX];
	struct err ignored = ERR_INIT;
	long os_errno = 0;

	(void)curl_easy_getinfo(cli->curl, CURLINFO_OS_ERRNO, &os_errno);
	(void)socket_path(cli, path, &ignored);
	if (code == CURLE_OPERATION_TIMEDOUT) {
		(void)err_set(err, -ETIMEDOUT,
			      "control socket %s: the daemon does not answer; is it stopped, or "
			      "the machine overloaded?",
			      path);
	} else if (code != CURLE_COULDNT_CONNECT) {
		(void)err_set(err, -EIO, "control socket %s: %s", path,
			      r->too_big ? "the answer is too big" : curl_easy_strerror(code));
	} else if (os_errno == EACCES) {
		(void)err_set(err, -EACCES,
			      "control socket %s: permission denied; run drbdctl as root or as the "
			      "user of the daemon", path);
		return EXIT_ERROR;
	} else {
		(void)err_set(err, -ECONNREFUSED,
			      "control socket %s: %s; start it with 'drbdfs mount', or name its "
			      "socket with -s",
			      path, os_errno == ENOENT ? "there is none: no drbdfs runs here"
						       : "no drbdfs answers there");
	}
	return EXIT_USAGE;
}

int client_exit_code(const char *api_code)
{
	enum api_code code;

	if (!api_code || !api_code_parse(api_code, &code))
		return EXIT_USAGE;
	switch (code) {
	case API_FORBIDDEN:
	case API_NOT_FOUND:
	case API_FAILED:
		return EXIT_ERROR;
	case API_REFUSED:
		return EXIT_REFUSED;
	case API_NO_DATA:
		return EXIT_NO_DATA;
	case API_NO_DISK:
		return EXIT_NO_DISK;
	case API_TIMED_OUT:
	case API_BAD_REQUEST:
	case API_METHOD:
		break;
	}
	return EXIT_USAGE;
}

static int reply_parse(long http, const struct reply_text *r, json_t **reply, struct err *err)
{
	json_t *body = r->text ? json_loadb(r->text, r->bytes, 0, NULL) : NULL;
	const json_t *error = json_object_get(body, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *hint = json_string_value(json_object_get(error, "hint"));
	int code;

	if (http == 200 && body) {
		*reply = body;
		return EXIT_OK;
	}
	code = client_exit_code(json_string_value(json_object_get(error, "code")));
	if (message)
		(void)err_set(err, -EPROTO, "%s%s%s", message, hint && hint[0] ? "; " : "",
			      hint ? hint : "");
	else
		(void)err_set(err, -EPROTO, "the daemon's answer is not understood (HTTP %ld)",
			      http);
	json_decref(body);
	return code;
}

static int perform(struct cli *cli, const char *path, const char *text, json_t **reply,
		   struct err *err)
{
	CURL *curl = cli->curl;
	struct reply_text r = { 0 };
	char url[API_PATH_BYTES_MAX + 32];
	long http = 0;
	CURLcode code;
	int rc;

	(void)str_format(url, sizeof(url), "http://localhost%s", path);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, text ? COMMAND_TIMEOUT_S : STATUS_TIMEOUT_S);
	if (text) {
		(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
	} else {
		(void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	}
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
	rc = code ? transport_error(cli, code, &r, err) : reply_parse(http, &r, reply, err);
	free(r.text);
	return rc;
}

/* What the daemon says about a command begins with it; all other failures shall, too. */
static void name_operation(const struct cli *cli, struct err *err)
{
	size_t n = cli->command_name ? strlen(cli->command_name) : 0;

	if (n && (strncmp(err->text, cli->command_name, n) ||
		  (err->text[n] != ' ' && err->text[n] != ':')))
		(void)err_wrap(err, "%s", cli->command_name);
}

int client_call(struct cli *cli, const char *path, const json_t *body, json_t **reply,
		struct err *err)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc;

	if (body && !text) {
		(void)err_set(err, -ENOMEM, "out of memory");
		rc = EXIT_USAGE;
	} else {
		rc = client_open(cli, err);
		if (rc == EXIT_OK)
			rc = perform(cli, path, text, reply, err);
	}
	free(text);
	if (rc)
		name_operation(cli, err);
	return rc;
}

int client_status(struct cli *cli, const char *resource, json_t **reply, struct err *err)
{
	char path[API_PATH_BYTES_MAX];
	char *escaped;
	int rc;

	if (!resource[0])
		return client_call(cli, "/v1/status", NULL, reply, err);
	escaped = curl_easy_escape(NULL, resource, 0);
	(void)str_format(path, sizeof(path), "/v1/status/%s", escaped ? escaped : "");
	curl_free(escaped);
	rc = client_call(cli, path, NULL, reply, err);
	if (rc == EXIT_OK && !json_is_array(*reply)) {
		json_decref(*reply);
		(void)err_set(err, -EPROTO, "the daemon's answer is not understood");
		return EXIT_USAGE;
	}
	return rc;
}
