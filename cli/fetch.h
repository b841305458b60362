/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The status of the one resource that a command is about. */
#ifndef FETCH_H
#define FETCH_H

#include <jansson.h>

#include "cli.h"

/* EXIT_OK: *resource is inside *array, which the caller
 * decrefs. A resource that is down is an error. */
int fetch_resource(struct cli *cli, json_t **array, const json_t **resource);

#endif
