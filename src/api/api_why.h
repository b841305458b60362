/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a resource is in the state that it is in: each part that is not as it should be, what that
 * holds up, who has to act and with which command. Pure functions of the status.
 */
#ifndef API_WHY_H
#define API_WHY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/api.h"
#include "proto/proto_change.h"

#define API_WHY_VERSION 1

enum api_why_who { WHY_NOBODY, WHY_HERE, WHY_PEER };

struct api_why_item {
	uint8_t node;          /* of the peer, NODES_MAX = not about one */
	uint32_t vnr;          /* VNR_NONE = not about one volume */
	const char *state;     /* static word */
	bool holds_io, holds_sync, holds_primary;
	enum api_why_who who;  /* has to act; nobody: it goes on by itself */
	char text[2 * API_TEXT_MAX];
	char command[API_TEXT_MAX]; /* never "" */
	int64_t retry_ms;      /* till the next attempt that is made anyway, -1 = none */
};

typedef void (*api_why_emit)(void *ctx, const struct api_why_item *item);

/* Everything that is not as it should be; `self` is the name of this node. */
void api_why(const struct resource_status *status, const char *self, api_why_emit emit, void *ctx);
/* Could this node become Primary now? If not, each reason is emitted. */
bool api_why_primary(const struct resource_status *status, const char *self, api_why_emit emit,
		     void *ctx);
/* The same about a resource that is down here. */
void api_why_down(const char *resource, const char *self, api_why_emit emit, void *ctx);
/* Is there a copy of the volume that can serve reads here? */
bool api_data_reachable(const struct resource_status *status, const struct status_volume *volume);

/* api_why_json.c */
/* What GET /v1/why/RES answers; `up` false: of the status only the name is valid. `changes` oldest
 * first. */
json_t *api_why_json(const struct resource_status *status, bool up, const char *self,
		     const struct kept_change *changes, unsigned change_count);

#endif
