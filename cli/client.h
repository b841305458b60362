/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to the daemon over its Unix socket. */
#ifndef CLIENT_H
#define CLIENT_H

#include <jansson.h>

#include "cli.h"

/* GET or, with a body (borrowed), POST. EXIT_OK with the answer (caller decrefs) in *reply; else an
 * exit code, with the message in err->text. */
int client_call(struct cli *cli, const char *path, const json_t *body, json_t **reply,
		struct err *err);
/* The status array, of one resource or of all ("" name). */
int client_status(struct cli *cli, const char *resource, json_t **reply, struct err *err);
void client_close(struct cli *cli);
/* Exit code for an error code of the interface; EXIT_USAGE for an unknown one. */
int client_exit_code(const char *api_code);

#endif
