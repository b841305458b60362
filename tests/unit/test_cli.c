/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drbdctl without a daemon: command lines, the text of status, frames, waiting, exit codes. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/args.c"
#include "../../cli/cmd_change.c"
#include "../../cli/cmd_query.c"
#include "../../cli/cmd_wait.c"
#include "../../cli/fetch.c"
#include "../../cli/out_status.c"
#include "../../cli/screen.c"

/* ---- a client that answers what the test says ---- */

static const char *status_text; /* JSON of one resource, NULL: no daemon */
static int call_rc[8];          /* answers to the next calls */
static unsigned calls;
static char paths[8][256], bodies[8][256];

int client_status(struct cli *cli, const char *resource, json_t **reply, struct err *err)
{
	(void)cli;
	if (!status_text || (resource[0] && !strstr(status_text, resource))) {
		(void)err_set(err, -1, "no answer");
		return EXIT_ERROR;
	}
	*reply = json_array();
	cr_assert_eq(json_array_append_new(*reply, json_loads(status_text, 0, NULL)), 0);
	return EXIT_OK;
}

int client_call(struct cli *cli, const char *path, const json_t *body, json_t **reply,
		struct err *err)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);

	(void)cli;
	cr_assert_lt(calls, 8);
	(void)str_copy(paths[calls], sizeof(paths[0]), path);
	(void)str_copy(bodies[calls], sizeof(bodies[0]), text ? text : "");
	free(text);
	(void)err_set(err, -1, "refused");
	*reply = json_object();
	return call_rc[calls++];
}

/* ---- the table of commands, with functions that only say they ran ---- */

static int ran(struct cli *cli)
{
	(void)cli;
	return EXIT_OK;
}

const struct cli_command cli_commands[] = {
	{ "status", ran, TARGET_RES_OPTIONAL, OPT_JSON | OPT_VERBOSE | OPT_STATISTICS | OPT_WATCH,
	  "state" },
	{ "create-md", ran, TARGET_VOLUME_OPTIONAL, OPT_FORCE | OPT_MAX_PEERS, "metadata" },
	{ "why", ran, TARGET_WHY, OPT_JSON | OPT_VERBOSE, "why" },
	{ "resolve", ran, TARGET_RES, OPT_KEEP | OPT_VOLUME | OPT_SAVE | OPT_TIMEOUT, "resolve" },
	{ "apply-undo", ran, TARGET_UNDO, 0, "undo" },
	{ "up", ran, TARGET_RES_OR_ALL, 0, "up" },
	{ "primary", ran, TARGET_RES, OPT_FORCE, "primary" },
	{ "new-current-uuid", ran, TARGET_VOLUME, OPT_CLEAR, "uuid" },
	{ "connect", ran, TARGET_PEER_OPTIONAL, OPT_DISCARD, "connect" },
	{ "invalidate-remote", ran, TARGET_PEER, 0, "invalidate" },
	{ "wait-sync", ran, TARGET_PEER_OPTIONAL, OPT_TIMEOUT, "wait" },
	{ "version", ran, TARGET_NONE, 0, "versions" },
	{ "help", ran, TARGET_COMMAND_OPTIONAL, 0, "help" },
};
const unsigned cli_command_count = ARRAY_LEN(cli_commands);

static char failure[1024];

int cli_fail(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(failure, sizeof(failure), fmt, ap);
	va_end(ap);
	return code;
}

static int line(struct cli *cli, const char *text)
{
	static char buf[512];
	static char program[] = "drbdctl";
	char *argv[16] = { program };
	int argc = 1;

	memset(cli, 0, sizeof(*cli));
	failure[0] = '\0';
	(void)str_copy(buf, sizeof(buf), text);
	for (char *w = strtok(buf, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	return args_parse(argc, argv, cli);
}

/* ---- command lines ---- */

Test(cli, good_lines)
{
	struct cli cli;

	cr_assert_eq(line(&cli, "-c f --node=n -s sock status"), EXIT_OK);
	cr_assert_str_eq(cli.conf_file, "f");
	cr_assert_str_eq(cli.node, "n");
	cr_assert_str_eq(cli.socket, "sock");
	cr_assert_str_eq(cli.resource, "");
	cr_assert_eq(cli.vnr, -1);
	cr_assert_eq(line(&cli, "status -s r0 -v --json"), EXIT_OK);
	cr_assert(cli.statistics && cli.verbose && cli.json && !cli.watch);
	cr_assert_null(cli.socket);
	cr_assert_str_eq(cli.resource, "r0");
	cr_assert_eq(line(&cli, "-cf -nn -ssock status -jv"), EXIT_OK);
	cr_assert_str_eq(cli.conf_file, "f");
	cr_assert_str_eq(cli.node, "n");
	cr_assert_str_eq(cli.socket, "sock");
	cr_assert(cli.json && cli.verbose && !cli.statistics);
	cr_assert_eq(line(&cli, "create-md r0/3 --max-peers 7 --force"), EXIT_OK);
	cr_assert_eq(cli.vnr, 3);
	cr_assert_eq(cli.max_peers, 7);
	cr_assert(cli.force);
	cr_assert_eq(line(&cli, "up all"), EXIT_OK);
	cr_assert_str_eq(cli.resource, "");
	cr_assert_eq(line(&cli, "connect r0:beta --discard-my-data"), EXIT_OK);
	cr_assert_str_eq(cli.peer, "beta");
	cr_assert(cli.discard_my_data);
	cr_assert_eq(line(&cli, "why r0:beta/1 primary --json"), EXIT_OK);
	cr_assert_str_eq(cli.peer, "beta");
	cr_assert_str_eq(cli.operand, "primary");
	cr_assert_eq(line(&cli, "resolve r0 --keep alpha --volume 2 --save-loser=f"), EXIT_OK);
	cr_assert_str_eq(cli.keep, "alpha");
	cr_assert_eq(cli.only_vnr, 2);
	cr_assert_str_eq(cli.save_to, "f");
	cr_assert_eq(line(&cli, "apply-undo a/file /mnt/r0"), EXIT_OK);
	cr_assert_str_eq(cli.file, "a/file");
	cr_assert_str_eq(cli.operand, "/mnt/r0");
	cr_assert_eq(line(&cli, "invalidate-remote r0:beta/1"), EXIT_OK);
	cr_assert_str_eq(cli.peer, "beta");
	cr_assert_eq(cli.vnr, 1);
	cr_assert_eq(line(&cli, "wait-sync r0 --timeout=2m"), EXIT_OK);
	cr_assert_eq(cli.timeout_s, 120);
	cr_assert_eq(line(&cli, "--help"), EXIT_OK);
	cr_assert_str_eq(cli.command->name, "help");
	cr_assert_eq(line(&cli, "primary --help"), EXIT_OK);
	cr_assert_str_eq(cli.command->name, "help");
	cr_assert_str_eq(cli.resource, "primary");
	cr_assert_eq(line(&cli, "status -- r0"), EXIT_OK);
	cr_assert_str_eq(cli.resource, "r0");
}

Test(cli, bad_lines)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "statsu",
		  "unknown command 'statsu', did you mean status; 'drbdctl help' lists them" },
		{ "-x status", "unknown option '-x' in front of the command; see 'drbdctl help'" },
		{ "-c", "-c needs a value" },
		{ "status --fast", "status: unknown option '--fast'; see 'drbdctl help status'" },
		{ "status --json=1",
		  "status: unknown option '--json=1'; see 'drbdctl help status'" },
		{ "primary", "primary: argument RES is missing; see 'drbdctl help primary'" },
		{ "primary r0 r1", "primary: one argument too many: 'r1'" },
		{ "primary r0/0", "primary: 'r0/0' is not RES; see 'drbdctl help primary'" },
		{ "primary r0:x", "primary: 'r0:x' is not RES; see 'drbdctl help primary'" },
		{ "create-md /0",
		  "create-md: '/0' is not RES[/VOL]; see 'drbdctl help create-md'" },
		{ "create-md r0/",
		  "create-md: 'r0/' is not RES[/VOL]; see 'drbdctl help create-md'" },
		{ "create-md r0/65535",
		  "create-md: 'r0/65535' is not RES[/VOL]; see 'drbdctl help create-md'" },
		{ "create-md r0 --max-peers 32",
		  "create-md: --max-peers '32' is not a number from 1 to 31" },
		{ "create-md r0 --max-peers", "create-md: --max-peers needs a value" },
		{ "new-current-uuid r0",
		  "new-current-uuid: 'r0' is not RES/VOL; see 'drbdctl help new-current-uuid'" },
		{ "invalidate-remote r0",
		  "invalidate-remote: 'r0' is not RES:PEER[/VOL]; see 'drbdctl "
		  "help invalidate-remote'" },
		{ "connect r0:", "connect: 'r0:' is not RES[:PEER]; see 'drbdctl help connect'" },
		{ "wait-sync r0 --timeout 0", "wait-sync: --timeout '0' is not a number from 1 to "
					      "604800" },
		{ "status r0/0", "status: 'r0/0' is not RES; see 'drbdctl help status'" },
		{ "status -jx", "status: unknown option '-x'; see 'drbdctl help status'" },
		{ "version r0", "version: takes no argument, but there is 'r0'" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct cli cli;

		cr_assert_eq(line(&cli, cases[i].line), EXIT_USAGE, "%s", cases[i].line);
		cr_assert_str_eq(failure, cases[i].message);
	}
}

/* ---- status ---- */

static const char golden[] =
#include "golden_status.h"
	;

static char *render(const char *json, const struct out_style *style)
{
	json_t *array = json_array();
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (json)
		cr_assert_eq(json_array_append_new(array, json_loads(json, 0, NULL)), 0);
	out_status(out, array, style);
	(void)fclose(out);
	json_decref(array);
	return text;
}

static void expect_text(const char *json, const struct out_style *style, const char *expected)
{
	char *text = render(json, style);

	cr_assert_str_eq(text, expected);
	free(text);
}

Test(cli, status_plain)
{
	struct out_style style = { 0 };

	expect_text(golden, &style,
		    "r0: SYNCING 37 % eta 10 s, volume 0 to beta\n"
		    "r0 role:Primary\n"
		    "  disk:UpToDate open:yes\n"
		    "  beta role:Secondary\n"
		    "    replication:SyncSource peer-disk:Inconsistent done:37.50 rate:16.00 MiB/s "
		    "eta:10 s\n"
		    "  gamma role:Secondary\n"
		    "    peer-disk:UpToDate\n"
		    "\n");
	expect_text(NULL, &style, "# No resources are configured for this node.\n");
}

Test(cli, status_verbose_with_statistics)
{
	struct out_style style = { .verbose = true, .statistics = true };

	expect_text(
		golden, &style,
		"r0: SYNCING 37 % eta 10 s, volume 0 to beta\n"
		"r0 node-id:0 role:Primary suspended:no force-io-failures:no\n"
		"    write-ordering:flush\n"
		"  volume:0 disk:UpToDate backing_dev:/dev/vg/r0 io:direct quorum:yes open:yes\n"
		"      size:262144 read:10 written:20 al-writes:3 bm-writes:0 upper-pending:0 "
		"lower-pending:0\n"
		"  beta node-id:2 connection:Connected role:Secondary tls:no congested:no\n"
		"      protocol:C agreed-protocol:124 ap-in-flight:0 rs-in-flight:0 "
		"sent-bytes:1000 received-bytes:0\n"
		"    volume:0 replication:SyncSource peer-disk:Inconsistent done:37.50 "
		"rate:16.00 MiB/s eta:10 s limited-by:c-max-rate resync-suspended:no\n"
		"        received:0 sent:0 out-of-sync:163840 pending:0 unacked:0\n"
		"  gamma node-id:1 connection:Connected role:Secondary tls:no congested:no\n"
		"      protocol:C agreed-protocol:124 ap-in-flight:0 rs-in-flight:0 "
		"sent-bytes:1000 received-bytes:0\n"
		"      path:10.0.0.1 to:10.0.0.3 established:no\n"
		"      path:2001:db8::1 to:fe80::3%eth0 established:yes\n"
		"    volume:0 replication:Established peer-disk:UpToDate resync-suspended:no\n"
		"        last-verify:2025-11-30T00:00:20Z complete:yes found:12 skipped:4 "
		"next-verify:2025-11-30T00:00:31Z\n"
		"        received:0 sent:0 out-of-sync:0 pending:0 unacked:0\n"
		"\n");
}

Test(cli, status_coloured_with_bars)
{
	struct out_style style = { .colour = true, .tty = true, .bar = 8 };

	expect_text(
		golden, &style,
		"r0: \033[1mSYNCING\033[0m 37 % eta 10 s, volume 0 to beta\n"
		"r0 role:\033[1;36mPrimary\033[0m\n"
		"  disk:\033[1;32mUpToDate\033[0m open:\033[1;36myes\033[0m\n"
		"  beta role:Secondary\n"
		"    replication:\033[31mSyncSource\033[0m peer-disk:\033[31mInconsistent\033[0m\n"
		"      [===>    ] done:37.50 rate:16.00 MiB/s eta:10 s\n"
		"  gamma role:Secondary\n"
		"    peer-disk:\033[32mUpToDate\033[0m\n"
		"\n");
}

Test(cli, status_of_trouble)
{
	struct out_style style = { 0 };

	expect_text("{\"name\":\"r2\",\"role\":\"Secondary\",\"verdict\":\"DEGRADED\","
		    "\"reason\":\"beta is Connecting: timed out\",\"suspended-quorum\":true,"
		    "\"suspended-user\":true,\"devices\":["
		    "{\"volume\":0,\"disk-state\":\"UpToDate\",\"quorum\":true,"
		    "\"backing\":{\"path\":\"/x\",\"io-mode\":\"page-cache\"}},"
		    "{\"volume\":1,\"disk-state\":\"Diskless\",\"client\":true,\"backing\":null,"
		    "\"quorum\":false},"
		    "{\"volume\":2,\"disk-state\":\"Failed\",\"quorum\":true,"
		    "\"reason\":\"write error\"}],"
		    "\"connections\":[{\"name\":\"beta\",\"connection-state\":\"Connecting\","
		    "\"reason\":\"timed out\",\"peer_devices\":[{\"volume\":0}]}]}",
		    &style,
		    "r2: DEGRADED: beta is Connecting: timed out\n"
		    "r2 role:Secondary suspended:user,quorum\n"
		    "  volume:0 disk:UpToDate io:page-cache open:no\n"
		    "  volume:1 disk:Diskless client:yes quorum:no open:no\n"
		    "  volume:2 disk:Failed open:no\n"
		    "    write error\n"
		    "  beta connection:Connecting\n"
		    "    timed out\n"
		    "\n");
	expect_text("{\"name\":\"r1\",\"verdict\":\"DOWN\",\"reason\":\"not running\"}", &style,
		    "r1: DOWN: not running\n\n");
	/* Answers of another version must not crash it. */
	expect_text("{}", &style, ": \n role:\n\n");
	expect_text("[1]", &style, ": \n role:\n\n");
}

Test(cli, durations)
{
	static const struct {
		long long s;
		const char *text;
	} cases[] = { { 0, "0 s" },		{ 99, "99 s" },		 { 200, "3 min 20 s" },
		      { 3600, "1 h 0 min" },	{ 7500, "2 h 5 min" },	 { 864000, "10 days" } };

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		char text[32];

		out_duration(text, sizeof(text), cases[i].s);
		cr_assert_str_eq(text, cases[i].text);
	}
}

Test(cli, frames_fit_the_terminal)
{
	char *frame = screen_frame("one\n\033[1mlonger\033[0m\n\xc3\xa4\xc3\xb6\xc3\xbc\n", 4, 5);

	cr_assert_str_eq(frame, "\033[Hone\033[K\r\n\033[1mlong\033[0m\033[K\r\n"
				"\xc3\xa4\xc3\xb6\xc3\xbc\033[K\r\n\033[J");
	free(frame);
	frame = screen_frame("1\n2\n3\n4\n", 10, 3);
	cr_assert_str_eq(frame, "\033[H1\033[K\r\n2\033[K\r\n... 2 more lines\033[K\033[J");
	free(frame);
	frame = screen_frame("1\n2\n", 10, 2);
	cr_assert_str_eq(frame, "\033[H1\033[K\r\n2\033[K\033[J");
	free(frame);
}

/* ---- waiting ---- */

static bool done(const char *conn, const char *repl, const char *peer, bool for_sync)
{
	json_t *r = json_pack("{s:[{s:s,s:s,s:[{s:i,s:s}]}]}", "connections", "name", "beta",
			      "connection-state", conn, "peer_devices", "volume", 0,
			      "replication-state", repl);
	char missing[128] = "";
	bool is_done = wait_done(r, peer, for_sync, missing, sizeof(missing));

	cr_assert_neq(is_done, missing[0] != '\0');
	json_decref(r);
	return is_done;
}

Test(cli, when_waiting_ends)
{
	cr_assert(done("Connected", "Established", "", false));
	cr_assert(done("Connected", "Established", "", true));
	cr_assert(done("Connected", "SyncTarget", "", false));
	cr_assert_not(done("Connected", "SyncTarget", "", true));
	cr_assert_not(done("Connected", "Off", "", false));
	cr_assert_not(done("Connecting", "Off", "", false));
	cr_assert_not(done("Connecting", "Off", "beta", false));
	cr_assert(done("Connecting", "Off", "gamma", false));
	cr_assert(done("StandAlone", "Off", "", true));
	cr_assert_not(done("Unconnected", "Off", "", true));
	cr_assert_not(done("Nonsense", "", "", true) && false);
}

Test(cli, wait_exit_codes)
{
	struct cli cli = { .resource = "r0", .command_name = "wait-sync", .timeout_s = 1 };

	status_text = NULL;
	cr_assert_eq(cmd_wait_sync(&cli), EXIT_ERROR);
	status_text = golden;
	cr_assert_eq(cmd_wait_connect(&cli), EXIT_OK);
	cr_assert_eq(cmd_wait_sync(&cli), EXIT_TIMED_OUT);
	cr_assert_str_eq(failure,
			 "wait-sync r0: not within 1 s: volume 0 is SyncSource with beta");
	(void)str_copy(cli.peer, sizeof(cli.peer), "gamma");
	cr_assert_eq(cmd_wait_sync(&cli), EXIT_OK);
	(void)str_copy(cli.peer, sizeof(cli.peer), "delta");
	cr_assert_eq(cmd_wait_sync(&cli), EXIT_ERROR);
	status_text = "{\"name\":\"r0\",\"verdict\":\"DOWN\"}";
	cr_assert_eq(cmd_wait_sync(&cli), EXIT_ERROR);
}

/* ---- commands ---- */

Test(cli, commands_for_all_peers_do_not_stop_at_the_first_failure)
{
	struct cli cli = { .resource = "r0", .command_name = "connect", .vnr = -1,
			   .discard_my_data = true };

	status_text = golden;
	call_rc[0] = EXIT_REFUSED;
	cr_assert_eq(cmd_peer(&cli), EXIT_REFUSED);
	cr_assert_eq(calls, 2);
	cr_assert_str_eq(paths[0], "/v1/resources/r0/connect");
	cr_assert_str_eq(bodies[0], "{\"discard-my-data\":true,\"peer\":\"beta\"}");
	cr_assert_str_eq(bodies[1], "{\"discard-my-data\":true,\"peer\":\"gamma\"}");
	cr_assert_str_eq(failure, "refused");
}

/* What is new in the configuration is known to nobody before it was read again. */
Test(cli, adjust_all_reads_first)
{
	struct cli cli = { .command_name = "adjust", .vnr = -1 };

	status_text = golden;
	cr_assert_eq(cmd_resource(&cli), EXIT_OK);
	cr_assert_eq(calls, 2);
	cr_assert_str_eq(paths[0], "/v1/reload");
	cr_assert_str_eq(paths[1], "/v1/resources/r0/adjust");
	calls = 0;
	call_rc[0] = EXIT_ERROR;
	cr_assert_eq(cmd_resource(&cli), EXIT_ERROR);
	cr_assert_eq(calls, 1);
}

Test(cli, dstate_of_one_volume)
{
	struct cli cli = { .resource = "r0", .command_name = "dstate", .vnr = 4 };

	status_text = golden;
	cr_assert_eq(cmd_dstate(&cli), EXIT_ERROR);
	cr_assert_str_eq(failure, "dstate r0/4: the resource has no such volume");
}

Test(cli, commands_for_volumes)
{
	struct cli cli = { .resource = "r0", .command_name = "detach", .vnr = -1 };

	status_text = golden;
	cr_assert_eq(cmd_volume(&cli), EXIT_OK);
	cr_assert_eq(calls, 1);
	cr_assert_str_eq(bodies[0], "{\"volume\":0}");
	cli.command_name = "attach"; /* it has its disk: nothing to do */
	cr_assert_eq(cmd_volume(&cli), EXIT_OK);
	cr_assert_eq(calls, 1);
	cli.vnr = 4;
	cli.force = true;
	call_rc[1] = EXIT_NO_DATA;
	cr_assert_eq(cmd_volume(&cli), EXIT_NO_DATA);
	cr_assert_str_eq(bodies[1], "{\"force\":true,\"volume\":4}");
	(void)str_copy(cli.peer, sizeof(cli.peer), "beta");
	cli.vnr = -1;
	cr_assert_eq(cmd_volume(&cli), EXIT_OK);
	cr_assert_str_eq(bodies[2], "{\"force\":true,\"peer\":\"beta\",\"volume\":0}");
	(void)str_copy(cli.resource, sizeof(cli.resource), "a b");
	cr_assert_eq(cmd_resource(&cli), EXIT_OK);
	cr_assert_str_eq(paths[3], "/v1/resources/a%20b/attach");
}

Test(cli, commands_without_daemon)
{
	struct cli cli = { .resource = "r0", .command_name = "role", .vnr = -1 };

	status_text = NULL;
	cr_assert_eq(cmd_role(&cli), EXIT_ERROR);
	cr_assert_eq(cmd_dstate(&cli), EXIT_ERROR);
	cr_assert_eq(cmd_cstate(&cli), EXIT_ERROR);
	cr_assert_eq(cmd_peer(&cli), EXIT_ERROR);
	cli.resource[0] = '\0';
	cr_assert_eq(cmd_resource(&cli), EXIT_ERROR);
	cr_assert_eq(calls, 0);
}
