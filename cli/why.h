/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's explanation of a resource. */
#ifndef WHY_H
#define WHY_H

#include <jansson.h>

#include "cli.h"

/* EXIT_OK: the caller decrefs *why. Else an exit code, and the message is printed. */
int why_fetch(struct cli *cli, json_t **why);

#endif
