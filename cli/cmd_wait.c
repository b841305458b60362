/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wait-connect, wait-sync (config-and-utilities 3.8). */
#include "commands.h"

#include <stdint.h>
#include <time.h>

#include "base/str.h"
#include "fetch.h"
#include "json_get.h"
#include "out_status.h"
#include "wait.h"

#define POLL_MS 100

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool device_done(const json_t *device, bool for_sync)
{
	int rank = out_repl_rank(get_text(device, "replication-state"));

	return for_sync ? rank == OUT_ESTABLISHED : rank >= OUT_ESTABLISHED;
}

bool wait_done(const json_t *resource, const char *peer, bool for_sync, char *missing, size_t bytes)
{
	const json_t *connection, *device;
	size_t i, k;

	json_array_foreach(get_array(resource, "connections"), i, connection) {
		const char *name = get_text(connection, "name");
		const char *state = get_text(connection, "connection-state");

		if (peer[0] && !str_eq(name, peer))
			continue;
		/* One that gave up will not come by waiting. */
		if (out_conn_rank(state) < OUT_UNCONNECTED)
			continue;
		if (out_conn_rank(state) != OUT_CONNECTED) {
			(void)str_format(missing, bytes, "%s is %s%s%s", name, state,
					 get_text(connection, "reason")[0] ? ": " : "",
					 get_text(connection, "reason"));
			return false;
		}
		json_array_foreach(get_array(connection, "peer_devices"), k, device) {
			if (device_done(device, for_sync))
				continue;
			(void)str_format(missing, bytes, "volume %lld is %s with %s",
					 (long long)get_int(device, "volume"),
					 get_text(device, "replication-state"), name);
			return false;
		}
	}
	return true;
}

static bool has_peer(const json_t *resource, const char *peer)
{
	const json_t *connection;
	size_t i;

	json_array_foreach(get_array(resource, "connections"), i, connection) {
		if (text_is(connection, "name", peer))
			return true;
	}
	return false;
}

/* One look. EXIT_TIMED_OUT: not yet. */
static int poll_once(struct cli *cli, bool for_sync, char *missing, size_t bytes)
{
	const json_t *resource;
	json_t *array;
	int rc = fetch_resource(cli, &array, &resource);

	if (rc)
		return rc;
	if (cli->peer[0] && !has_peer(resource, cli->peer))
		rc = cli_fail(EXIT_ERROR, "%s %s:%s: the resource has no such peer",
			      cli->command_name, cli->resource, cli->peer);
	else
		rc = wait_done(resource, cli->peer, for_sync, missing, bytes) ? EXIT_OK :
										EXIT_TIMED_OUT;
	json_decref(array);
	return rc;
}

static int wait_for(struct cli *cli, bool for_sync)
{
	uint64_t end_ms = now_ms() + (uint64_t)cli->timeout_s * 1000;
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	char missing[512] = "";

	for (;;) {
		int rc = poll_once(cli, for_sync, missing, sizeof(missing));

		if (rc != EXIT_TIMED_OUT)
			return rc;
		if (cli->timeout_s && now_ms() >= end_ms)
			return cli_fail(EXIT_TIMED_OUT, "%s %s: not within %u s: %s",
					cli->command_name, cli->resource, cli->timeout_s, missing);
		(void)nanosleep(&pause, NULL);
	}
}

int cmd_wait_sync(struct cli *cli)
{
	return wait_for(cli, true);
}

int cmd_wait_connect(struct cli *cli)
{
	return wait_for(cli, false);
}
