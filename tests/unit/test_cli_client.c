/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client side of the control interface against a server that answers what the test says. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../cli/client.c"

static char dir[64], path[96];
static int listener;
static const char *answer;   /* the whole HTTP answer */
static char request[4096];   /* what was asked last */

static void *serve_one(void *arg)
{
	int fd = accept(listener, NULL, NULL);
	size_t used = 0;
	ssize_t n;

	(void)arg;
	while (used + 1 < sizeof(request) && !strstr(request, "\r\n\r\n") &&
	       (n = read(fd, request + used, sizeof(request) - 1 - used)) > 0) {
		used += (size_t)n;
		request[used] = '\0';
	}
	cr_assert_eq(write(fd, answer, strlen(answer)), (ssize_t)strlen(answer));
	(void)close(fd);
	return NULL;
}

static void start(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	(void)str_copy(dir, sizeof(dir), "/tmp/drbdfs-client-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)str_format(path, sizeof(path), "%s/sock", dir);
	(void)str_copy(sun.sun_path, sizeof(sun.sun_path), path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	cr_assert_eq(listen(listener, 4), 0);
}

static void stop(void)
{
	(void)close(listener);
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(client, .init = start, .fini = stop, .timeout = 30);

/* One call; the JSON text of the reply (caller frees) or NULL. */
static char *ask(const char *url_path, const json_t *body, const char *http, int *rc,
		 struct err *err)
{
	struct cli cli = { .socket = path };
	json_t *reply = NULL;
	char *text = NULL;
	pthread_t thread;

	answer = http;
	request[0] = '\0';
	cr_assert_eq(pthread_create(&thread, NULL, serve_one, NULL), 0);
	*rc = client_call(&cli, url_path, body, &reply, err);
	(void)pthread_join(thread, NULL);
	client_close(&cli);
	if (*rc == EXIT_OK)
		text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	return text;
}

static void expect_failure(const char *http, int code, const char *message)
{
	struct err err = ERR_INIT;
	int rc;

	cr_assert_null(ask("/v1/status", NULL, http, &rc, &err));
	cr_assert_eq(rc, code, "%d: %s", rc, err.text);
	cr_assert_not_null(strstr(err.text, message), "%s", err.text);
}

Test(client, get_and_post)
{
	json_t *body = json_pack("{s:b}", "force", 1);
	struct err err = ERR_INIT;
	char *text;
	int rc;

	text = ask("/v1/status", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", &rc, &err);
	cr_assert_str_eq(text, "[]");
	cr_assert_eq(strncmp(request, "GET /v1/status HTTP/1.1\r\n", 25), 0, "%s", request);
	free(text);
	text = ask("/v1/resources/r0/primary", body,
		   "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"message\":\"\"}", &rc, &err);
	cr_assert_str_eq(text, "{\"message\":\"\"}");
	cr_assert_eq(strncmp(request, "POST /v1/resources/r0/primary ", 30), 0, "%s", request);
	cr_assert_not_null(strstr(request, "Content-Length: 14\r\n"));
	free(text);
	json_decref(body);
}

#define ERROR_BODY(code) \
	"HTTP/1.1 409 X\r\nConnection: close\r\n\r\n{\"error\":{\"code\":\"" code \
	"\",\"message\":\"no\",\"hint\":\"do this\"}}"

Test(client, errors_become_exit_codes)
{
	expect_failure(ERROR_BODY("refused"), EXIT_REFUSED, "no; do this");
	expect_failure(ERROR_BODY("no-up-to-date-data"), EXIT_NO_DATA, "no; do this");
	expect_failure(ERROR_BODY("not-found"), EXIT_ERROR, "no");
	expect_failure(ERROR_BODY("failed"), EXIT_ERROR, "no");
	expect_failure(ERROR_BODY("forbidden"), EXIT_ERROR, "no");
	expect_failure(ERROR_BODY("no-local-disk"), EXIT_NO_DISK, "no; do this");
	expect_failure(ERROR_BODY("timeout"), EXIT_USAGE, "no");
	expect_failure(ERROR_BODY("bad-request"), EXIT_USAGE, "no");
	expect_failure(ERROR_BODY("of-the-future"), EXIT_USAGE, "no");
}

Test(client, nonsense_from_the_server)
{
	expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>", EXIT_USAGE,
		       "not understood (HTTP 200)");
	expect_failure("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", EXIT_USAGE,
		       "not understood (HTTP 500)");
	expect_failure("\x01\x02", EXIT_USAGE, path);
	expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", EXIT_USAGE, path);
}

Test(client, no_server)
{
	struct cli cli = { .socket = "/nonexistent/control.sock", .command_name = "role" };
	struct err err = ERR_INIT;
	json_t *reply;

	cr_assert_eq(client_status(&cli, "r0", &reply, &err), EXIT_USAGE);
	cr_assert_str_eq(err.text,
			 "role: control socket /nonexistent/control.sock: there is none: no drbdfs "
			 "runs here; start it with 'drbdfs mount', or name its socket with -s");
	client_close(&cli);
}

/* One that a killed daemon has left. */
Test(client, stale_socket)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct cli cli = { .socket = sun.sun_path };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct err err = ERR_INIT;
	json_t *reply;

	(void)str_format(sun.sun_path, sizeof(sun.sun_path), "%s/stale", dir);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(fd);
	cr_assert_eq(client_status(&cli, "", &reply, &err), EXIT_USAGE);
	cr_assert_not_null(strstr(err.text, "no drbdfs answers there"), "%s", err.text);
	client_close(&cli);
	(void)unlink(sun.sun_path);
}

Test(client, paths_that_cannot_be_sockets)
{
	char text[300] = "";
	struct cli cli = { .socket = text };
	struct err err = ERR_INIT;
	json_t *reply;

	cr_assert_eq(client_status(&cli, "", &reply, &err), EXIT_USAGE);
	cr_assert_not_null(strstr(err.text, "must have 1 to 107 bytes"), "%s", err.text);
	memset(text, 'x', 200);
	cr_assert_eq(client_status(&cli, "", &reply, &err), EXIT_USAGE);
	cr_assert_not_null(strstr(err.text, "must have 1 to 107 bytes"), "%s", err.text);
}

/* Else the command would go to whoever listens at the default place. */
Test(client, configuration_that_was_given_must_be_there)
{
	struct cli cli = { .conf_file = "/nonexistent/conf" };
	struct err err = ERR_INIT;
	json_t *reply;

	cr_assert_eq(client_status(&cli, "", &reply, &err), EXIT_ERROR);
	cr_assert_not_null(strstr(err.text, "/nonexistent/conf: cannot read the configuration"),
			   "%s", err.text);
}

Test(client, names_are_escaped)
{
	struct cli cli = { .socket = path };
	struct err err = ERR_INIT;
	json_t *reply;
	pthread_t thread;

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	cr_assert_eq(pthread_create(&thread, NULL, serve_one, NULL), 0);
	cr_assert_eq(client_status(&cli, "a?b#", &reply, &err), EXIT_USAGE,
		     "an object is no array");
	(void)pthread_join(thread, NULL);
	cr_assert_eq(strncmp(request, "GET /v1/status/a%3Fb%23 ", 24), 0, "%s", request);
	client_close(&cli);
}

Test(client, socket_of_the_configuration)
{
	char file[96], text[CONF_PATH_MAX];
	struct cli cli = { .conf_file = file };
	FILE *f;

	(void)str_format(file, sizeof(file), "%s/conf", dir);
	f = fopen(file, "w");
	(void)fputs(
		"node = { control-socket = \"/run/of/conf.sock\"; };\n"
		"resources = ( { name = \"r0\"; volumes = ( { volume = 0; disk = \"none\"; } );\n"
		"nodes = ( { name = \"a\"; node-id = 0; } ); } );\n",
		f);
	(void)fclose(f);
	cr_assert_eq(socket_path(&cli, text, NULL), EXIT_OK);
	cr_assert_str_eq(text, "/run/of/conf.sock");
	cli.socket = "/given";
	cr_assert_eq(socket_path(&cli, text, NULL), EXIT_OK);
	cr_assert_str_eq(text, "/given");
	(void)unlink(file);
}
