/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control interface over its real socket, with a daemon that this test plays. */
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../daemon/http_command.c"
#include "../../daemon/http_router.c"
#include "../../daemon/http_server.c"

/* ---- the daemon ---- */

struct daemon {
	struct event_base *base;
	struct status_snapshot snapshot;
	struct status_resource resources[2];
	struct event *later;      /* answers `done` on the next turn of the loop */
	control_done done;
	void *ctx;
	bool answer;              /* false: keep the command for ever */
	int rc;
	const char *text;
	struct ev_command command;
	char resource[NAME_MAX_BYTES];
	bool shut_down;
	int reload_rc;
	int post_rc;
};

struct event_base *daemon_control_base(struct daemon *d)
{
	return d->base;
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	d->done(d->ctx, d->rc, d->text);
	d->done = NULL;
}

static int take(struct daemon *d, const char *resource, control_done done, void *ctx)
{
	if (d->post_rc)
		return d->post_rc;
	(void)str_copy(d->resource, sizeof(d->resource), resource);
	d->done = done;
	d->ctx = ctx;
	if (d->answer)
		event_active(d->later, EV_TIMEOUT, 0);
	return 0;
}

int daemon_command(struct daemon *d, const char *resource, const struct ev_command *cmd,
		   control_done done, void *ctx)
{
	d->command = *cmd;
	return take(d, resource, done, ctx);
}

int daemon_up(struct daemon *d, const char *resource, control_done done, void *ctx)
{
	return take(d, resource, done, ctx);
}

int daemon_down(struct daemon *d, const char *resource, bool force, control_done done, void *ctx)
{
	d->command.force = force;
	return take(d, resource, done, ctx);
}

int daemon_adjust(struct daemon *d, const char *resource, control_done done, void *ctx)
{
	return take(d, resource, done, ctx);
}

int daemon_reload(struct daemon *d, char *text, size_t text_bytes)
{
	(void)str_copy(text, text_bytes, "FILE:7: wrong");
	return d->reload_rc;
}

void daemon_shutdown(struct daemon *d)
{
	d->shut_down = true;
	(void)event_base_loopbreak(d->base);
}

void daemon_snapshot_refresh(struct daemon *d)
{
	(void)d;
}

const char *daemon_node(struct daemon *d)
{
	(void)d;
	return "alpha";
}

unsigned daemon_history_get(struct daemon *d, const char *name, struct kept_change *out)
{
	(void)d;
	cr_assert_str_eq(name, "r0");
	out[0] = (struct kept_change){
		.unix_ms = 1000,
		.change = { .what = CHANGE_ROLE, .cause = CAUSE_COMMAND, .node = NODES_MAX,
			    .cause_node = NODES_MAX, .from = ROLE_SECONDARY, .to = ROLE_PRIMARY,
			    .vnr = VNR_NONE, .detail = "primary" },
	};
	return 1;
}

const struct status_snapshot *daemon_snapshot_get(struct daemon *d)
{
	return &d->snapshot;
}

void daemon_snapshot_put(struct daemon *d, const struct status_snapshot *s)
{
	cr_assert_eq(s, &d->snapshot);
}

unsigned daemon_peer_paths(struct daemon *d, const char *resource, unsigned peer_node_id,
			   struct conf_peer_path out[CONF_PATHS_MAX])
{
	(void)d;
	cr_assert_str_eq(resource, "r0");
	cr_assert_eq(peer_node_id, 7);
	memset(out, 0, sizeof(*out));
	(void)str_copy(out[0].local.text, sizeof(out[0].local.text), "10.0.0.1:7000");
	(void)str_copy(out[0].remote.text, sizeof(out[0].remote.text), "10.0.0.2:7000");
	return 1;
}

/* ---- server and clients ---- */

static struct daemon daemon_one;
static struct http_server *server;
static char dir[64], path[128];
static pthread_t thread;
static struct event *stop_event;
static int stop_pipe[2]; /* closing its write end stops the loop */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)event_base_loopbreak(arg);
}

static void *serve(void *base)
{
	(void)event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void fill(struct daemon *d)
{
	struct resource_status *s = &d->resources[0].core;

	(void)str_copy(d->resources[0].name, NAME_MAX_BYTES, "r0");
	d->resources[0].up = true;
	(void)str_copy(s->name, NAME_MAX_BYTES, "r0");
	s->role = ROLE_SECONDARY;
	s->volume_count = 1;
	s->volumes[0] = (struct status_volume){ .vnr = 0, .disk = DISK_UP_TO_DATE,
						.quorum = true, .size_sectors = 2048 };
	s->peer_count = 1;
	s->peers[0].node_id = 7;
	s->peers[0].conn = CONN_CONNECTED;
	s->peers[0].role = ROLE_SECONDARY;
	s->peers[0].protocol = PROTOCOL_C;
	(void)str_copy(s->peers[0].name, NAME_MAX_BYTES, "beta");
	s->peers[0].device_count = 1;
	s->peers[0].devices[0].repl = REPL_ESTABLISHED;
	s->peers[0].devices[0].peer_disk = DISK_UP_TO_DATE;
	(void)str_copy(d->resources[1].name, NAME_MAX_BYTES, "r1");
	d->snapshot.resource_count = 2;
	d->snapshot.resources = d->resources;
}

static void start(void)
{
	char text[256];

	(void)str_copy(dir, sizeof(dir), "/tmp/drbdfs-http-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)str_format(path, sizeof(path), "%s/run/control.sock", dir);
	memset(&daemon_one, 0, sizeof(daemon_one));
	daemon_one.answer = true;
	daemon_one.rc = SS_SUCCESS;
	daemon_one.text = "done";
	fill(&daemon_one);
	daemon_one.base = event_base_new();
	daemon_one.later = event_new(daemon_one.base, -1, 0, on_later, &daemon_one);
	cr_assert_eq(pipe2(stop_pipe, O_CLOEXEC), 0);
	stop_event = event_new(daemon_one.base, stop_pipe[0], EV_READ, on_stop, daemon_one.base);
	(void)event_add(stop_event, NULL);
	server = http_server_new(&daemon_one, daemon_one.base, path, text, sizeof(text));
	cr_assert_not_null(server, "%s", text);
	cr_assert_eq(pthread_create(&thread, NULL, serve, daemon_one.base), 0);
}

static void join(void)
{
	(void)close(stop_pipe[1]);
	(void)pthread_join(thread, NULL);
}

static void stop(void)
{
	char run[160];

	http_server_free(server);
	event_free(stop_event);
	(void)close(stop_pipe[0]);
	event_free(daemon_one.later);
	event_base_free(daemon_one.base);
	cr_assert_neq(access(path, F_OK), 0, "the socket is removed");
	(void)str_format(run, sizeof(run), "%s/run", dir);
	(void)rmdir(run);
	(void)rmdir(dir);
}

struct text {
	char *p;
	size_t n;
};

static size_t on_text(char *data, size_t size, size_t count, void *arg)
{
	struct text *t = arg;

	t->p = realloc(t->p, t->n + size * count + 1);
	memcpy(t->p + t->n, data, size * count);
	t->n += size * count;
	t->p[t->n] = '\0';
	return size * count;
}

/* One request; returns the HTTP status, and the JSON unless NULL is asked for. */
static long call(const char *method, const char *url_path, const char *body, size_t body_bytes,
		 json_t **out)
{
	CURL *curl = curl_easy_init();
	struct text t = { 0 };
	char url[2048];
	long status = 0;

	(void)str_format(url, sizeof(url), "http://localhost%s", url_path);
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_text);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
	if (body) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body_bytes);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (out)
		*out = json_loads(t.p ? t.p : "", 0, NULL);
	free(t.p);
	return status;
}

static long send_post(const char *url_path, const char *body, json_t **out)
{
	return call("POST", url_path, body, strlen(body), out);
}

/* A connection of its own over which these bytes have gone. */
static int send_raw(const char *bytes, size_t n)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)str_copy(sun.sun_path, sizeof(sun.sun_path), path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
	return fd;
}

/* Sends raw bytes, returns the first line of the answer ("" when the server just closes). */
static void raw(const char *bytes, size_t n, char *line, size_t line_bytes)
{
	int fd = send_raw(bytes, n);
	ssize_t got;
	size_t used = 0;

	(void)shutdown(fd, SHUT_WR);
	while (used + 1 < line_bytes && (got = read(fd, line + used, line_bytes - 1 - used)) > 0)
		used += (size_t)got;
	line[used] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	(void)close(fd);
}

static const char *code_of(const json_t *body)
{
	const char *code = json_string_value(json_object_get(json_object_get(body, "error"),
							     "code"));

	return code ? code : "";
}

TestSuite(http, .init = start, .fini = stop, .timeout = 60);

Test(http, socket_is_private)
{
	struct stat st;
	char run[160];

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0660);
	(void)str_format(run, sizeof(run), "%s/run", dir);
	cr_assert_eq(stat(run, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0750);
	join();
}

Test(http, version_and_status)
{
	json_t *body;

	cr_assert_eq(call("GET", "/v1/version", NULL, 0, &body), 200);
	cr_assert_str_eq(json_string_value(json_object_get(body, "version")), DRBDFS_VERSION);
	json_decref(body);
	cr_assert_eq(call("GET", "/v1/status", NULL, 0, &body), 200);
	cr_assert_eq(json_array_size(body), 2);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(body, 0), "verdict")),
			 "OK");
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(body, 1), "verdict")),
			 "DOWN");
	json_decref(body);
	cr_assert_eq(call("GET", "/v1/status/r0", NULL, 0, &body), 200);
	json_t *path_json = json_array_get(json_object_get(json_array_get(json_object_get(
		json_array_get(body, 0), "connections"), 0), "paths"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(json_object_get(path_json,
		"remote_host"), "address")), "10.0.0.2");
	json_decref(body);
	cr_assert_eq(call("GET", "/v1/status/r1", NULL, 0, &body), 200);
	cr_assert_eq(json_array_size(body), 1);
	json_decref(body);
	cr_assert_eq(call("GET", "/v1/status/nope", NULL, 0, &body), 404);
	cr_assert_str_eq(code_of(body), "not-found");
	json_decref(body);
	join();
}

Test(http, why)
{
	json_t *body, *changes;

	cr_assert_eq(call("GET", "/v1/why/r0", NULL, 0, &body), 200);
	cr_assert_str_eq(json_string_value(json_object_get(body, "node")), "alpha");
	changes = json_object_get(body, "changes");
	cr_assert_eq(json_array_size(changes), 1);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(changes, 0), "by")),
			 "command primary");
	json_decref(body);
	cr_assert_eq(call("GET", "/v1/why/r9", NULL, 0, &body), 404);
	json_decref(body);
	join();
}

Test(http, command_reaches_the_daemon_and_its_answer_the_client)
{
	json_t *body;

	cr_assert_eq(send_post("/v1/resources/r0/primary", "{\"force\": true}", &body), 200);
	cr_assert_str_eq(json_string_value(json_object_get(body, "message")), "done");
	json_decref(body);
	cr_assert_str_eq(daemon_one.resource, "r0");
	cr_assert_eq(daemon_one.command.cmd, CMD_PRIMARY);
	cr_assert(daemon_one.command.force);

	cr_assert_eq(send_post("/v1/resources/r0/connect", "{\"peer\": \"beta\"}", NULL), 200);
	cr_assert_eq(daemon_one.command.cmd, CMD_CONNECT);
	cr_assert_eq(daemon_one.command.peer, 7);
	cr_assert_eq(send_post("/v1/resources/r1/up", "", NULL), 200);
	cr_assert_str_eq(daemon_one.resource, "r1");
	join();
}

Test(http, refusals_keep_their_reason)
{
	static const struct {
		int rc;
		long http;
		const char *code;
	} cases[] = {
		{ SS_TWO_PRIMARIES, 409, "refused" },
		{ SS_NO_UP_TO_DATE_DISK, 409, "no-up-to-date-data" },
		{ SS_TIMEOUT, 409, "refused" },
		{ SS_NO_LOCAL_DISK, 409, "no-local-disk" },
		{ SS_UNKNOWN_ERROR, 409, "refused" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *body;

		daemon_one.rc = cases[i].rc;
		daemon_one.text = "because";
		cr_assert_eq(send_post("/v1/resources/r0/primary", "{}", &body), cases[i].http);
		cr_assert_str_eq(code_of(body), cases[i].code);
		cr_assert_not_null(strstr(json_string_value(json_object_get(
					json_object_get(body, "error"), "message")), "because"));
		json_decref(body);
	}
	cr_assert_eq(send_post("/v1/resources/r0/adjust", "{}", NULL), 500);
	daemon_one.rc = -EIO;
	cr_assert_eq(send_post("/v1/resources/r0/up", "{}", NULL), 500);
	join();
}

Test(http, what_the_snapshot_knows_is_not_asked)
{
	json_t *body;

	cr_assert_eq(send_post("/v1/resources/nope/primary", "{}", NULL), 404);
	cr_assert_eq(send_post("/v1/resources/r1/primary", "{}", &body), 404);
	cr_assert_str_eq(code_of(body), "not-found");
	json_decref(body);
	cr_assert_eq(send_post("/v1/resources/r0/connect", "{\"peer\": \"gamma\"}", NULL), 404);
	cr_assert_eq(send_post("/v1/resources/r0/attach", "{\"volume\": 3}", NULL), 404);
	cr_assert_str_eq(daemon_one.resource, "", "the daemon was not asked");
	daemon_one.post_rc = -ENOENT;
	cr_assert_eq(send_post("/v1/resources/r0/primary", "{}", NULL), 404);
	daemon_one.post_rc = -ENOMEM;
	cr_assert_eq(send_post("/v1/resources/r0/primary", "{}", NULL), 500);
	join();
}

Test(http, malformed_requests_get_400)
{
	static const char *const lines[] = {
		"\x01\x02\x03\xff\r\n\r\n",
		"GET\r\n\r\n",
		"GET /v1/status HTTP/9.x\r\n\r\n",
		"POST /v1/resources/r0/primary HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
		"POST /v1/resources/r0/primary HTTP/1.1\r\nContent-Length: 3\r\n\r\n{]}",
		"GET /v1/%00 HTTP/1.1\r\n\r\n",
		"GET /v1/status/%zz HTTP/1.1\r\n\r\n",
	};
	char line[4096];

	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		raw(lines[i], strlen(lines[i]), line, sizeof(line));
		cr_assert(!line[0] || strstr(line, " 400 "), "case %u: %s", i, line);
	}
	/* It still serves. */
	cr_assert_eq(call("GET", "/v1/version", NULL, 0, NULL), 200);
	cr_assert_eq(send_post("/v1/resources/r0/primary", "not json", NULL), 400);
	cr_assert_eq(call("GET", "/v1/shutdown", NULL, 0, NULL), 405);
	cr_assert_eq(call("DELETE", "/v1/status", NULL, 0, NULL), 405);
	join();
}

Test(http, sizes_are_bounded)
{
	size_t n = API_BODY_BYTES_MAX + 1;
	char *big = malloc(n + 1);
	char long_path[1500];

	memset(big, ' ', n);
	big[n] = '\0';
	cr_assert_geq(call("POST", "/v1/resources/r0/primary", big, n, NULL), 400);
	big[0] = '{';
	big[n - 2] = '}';
	cr_assert_eq(call("POST", "/v1/resources/r0/primary", big, n - 1, NULL), 200);
	memset(long_path, 'a', sizeof(long_path));
	memcpy(long_path, "/v1/status/", 11);
	long_path[sizeof(long_path) - 1] = '\0';
	cr_assert_eq(call("GET", long_path, NULL, 0, NULL), 400);
	free(big);
	join();
}

Test(http, a_client_that_leaves_does_not_disturb_the_command)
{
	char request[] = "POST /v1/resources/r0/primary HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
	int fd;

	daemon_one.answer = false;
	fd = send_raw(request, sizeof(request) - 1);
	/* The reply to a later request shows that the earlier one was taken. */
	cr_assert_eq(call("GET", "/v1/version", NULL, 0, NULL), 200);
	(void)close(fd);
	cr_assert_eq(call("GET", "/v1/version", NULL, 0, NULL), 200);
	join();
	cr_assert_not_null(daemon_one.done);
	daemon_one.done(daemon_one.ctx, SS_SUCCESS, "late");
	cr_assert_eq(server->command_count, 0);
}

Test(http, the_end_of_the_server_does_not_disturb_the_command)
{
	char request[] = "POST /v1/resources/r0/down HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
	control_done done;
	int fd;

	daemon_one.answer = false;
	fd = send_raw(request, sizeof(request) - 1);
	cr_assert_eq(call("GET", "/v1/version", NULL, 0, NULL), 200);
	join();
	done = daemon_one.done;
	cr_assert_not_null(done);
	http_commands_forget(server);
	done(daemon_one.ctx, SS_SUCCESS, "later still");
	(void)close(fd);
}

Test(http, reload)
{
	json_t *body;

	cr_assert_eq(send_post("/v1/reload", "", NULL), 200);
	cr_assert_eq(call("GET", "/v1/reload", NULL, 0, NULL), 405);
	daemon_one.reload_rc = -EINVAL;
	cr_assert_eq(send_post("/v1/reload", "", &body), 500);
	cr_assert_str_eq(code_of(body), "failed");
	cr_assert_str_eq(json_string_value(json_object_get(json_object_get(body, "error"),
							   "message")), "FILE:7: wrong");
	json_decref(body);
	join();
}

/* A mistyped name gets the one that was meant. */
Test(http, unknown_resources)
{
	static const struct {
		const char *path, *message;
	} cases[] = {
		{ "/v1/resources/r00/up", "up r00: No such resource, did you mean r0" },
		{ "/v1/resources/r00/adjust", "adjust r00: No such resource, did you mean r0" },
		{ "/v1/resources/r00/primary", "primary r00: No such resource, did you mean r0" },
		{ "/v1/resources/entirely/down", "down entirely: No such resource" },
	};

	daemon_one.post_rc = -ENOENT;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *body;

		cr_assert_eq(send_post(cases[i].path, "", &body), 404);
		cr_assert_str_eq(json_string_value(json_object_get(
					json_object_get(body, "error"), "message")),
				 cases[i].message);
		json_decref(body);
	}
	join();
}

Test(http, shutdown_replies_first)
{
	json_t *body;

	cr_assert_eq(send_post("/v1/shutdown", "", &body), 200);
	cr_assert_str_eq(json_string_value(json_object_get(body, "message")), "shutting down");
	json_decref(body);
	(void)pthread_join(thread, NULL);
	cr_assert(daemon_one.shut_down);
}

Test(http, second_server_is_refused_and_a_stale_socket_replaced)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char text[256] = "", stale[160];
	struct http_server *other;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_null(http_server_new(&daemon_one, daemon_one.base, path, text, sizeof(text)));
	cr_assert_not_null(strstr(text, "another drbdfs"), "%s", text);
	join();

	(void)str_format(stale, sizeof(stale), "%s/stale", dir);
	(void)str_copy(sun.sun_path, sizeof(sun.sun_path), stale);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(fd);
	other = http_server_new(&daemon_one, daemon_one.base, stale, text, sizeof(text));
	cr_assert_not_null(other, "%s", text);
	http_server_free(other);
	cr_assert_neq(access(stale, F_OK), 0);

	fd = creat(stale, 0600);
	(void)close(fd);
	cr_assert_null(http_server_new(&daemon_one, daemon_one.base, stale, text, sizeof(text)));
	cr_assert_not_null(strstr(text, "something else"), "%s", text);
	(void)unlink(stale);
}

Test(http, other_users_are_refused)
{
	uid_t users[CONF_CONTROL_USERS_MAX] = { 4711 };

	http_server_allow(server, users, CONF_CONTROL_USERS_MAX);
	cr_assert_eq(server->user_count, CONF_CONTROL_USERS_MAX);
	cr_assert_eq(server->users[0], 4711);
	/* After the configuration was read again: these and no others. */
	http_server_allow(server, users, 0);
	cr_assert_eq(server->user_count, 0);
	join();
}
