/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands, and the parsing of a command line by it. */
#ifndef ARGS_H
#define ARGS_H

#include <stdio.h>

#include "cli.h"

/* What a command is about. Parts in [] may be left out and then mean all of them. */
enum cli_target {
	TARGET_NONE,
	TARGET_RES_OPTIONAL,     /* [RES] */
	TARGET_RES_OR_ALL,       /* RES|all */
	TARGET_RES,              /* RES */
	TARGET_VOLUME_OPTIONAL,  /* RES[/VOL] */
	TARGET_VOLUME,           /* RES/VOL */
	TARGET_PEER_OPTIONAL,    /* RES[:PEER] */
	TARGET_PEER,             /* RES:PEER[/VOL] */
	TARGET_NODE_ID,          /* RES:NODE-ID */
	TARGET_PEER_VOLUMES,     /* RES[:PEER][/VOL] */
	TARGET_WHY,              /* RES[:PEER][/VOL] [primary] */
	TARGET_UNDO,             /* FILE [TARGET] */
	TARGET_VOLUME_FILE,      /* RES/VOL FILE */
	TARGET_PEER_GI,          /* RES:PEER[/VOL] GI */
	TARGET_COMMAND_OPTIONAL, /* help [COMMAND] */
	TARGET_TLS,              /* init, or issue NODE */
};

#define OPT_JSON 0x001U
#define OPT_VERBOSE 0x002U
#define OPT_STATISTICS 0x004U
#define OPT_WATCH 0x008U
#define OPT_FORCE 0x010U
#define OPT_DISCARD 0x020U
#define OPT_CLEAR 0x040U
#define OPT_MAX_PEERS 0x080U
#define OPT_TIMEOUT 0x100U
#define OPT_NO_MEMBERS 0x200U
#define OPT_FROM_V08 0x400U
#define OPT_PEER 0x800U
#define OPT_RESET 0x1000U
#define OPT_START 0x2000U
#define OPT_STOP 0x4000U
#define OPT_ABORT 0x8000U
#define OPT_KEEP 0x10000U
#define OPT_VOLUME 0x20000U
#define OPT_SAVE 0x40000U
#define OPT_SIZE 0x80000U
#define OPT_CLEAN 0x100000U
#define OPT_HAS_SPACE 0x200000U
#define OPT_REPAIR 0x400000U
#define OPT_FOR 0x800000U

struct cli_command {
	const char *name;
	int (*run)(struct cli *cli);
	enum cli_target target;
	unsigned options;        /* OPT_* it takes */
	const char *text;        /* what it does, for help */
};

extern const struct cli_command cli_commands[];
extern const unsigned cli_command_count;

/* Fills *cli. EXIT_OK, or EXIT_USAGE with a message on stderr. */
int args_parse(int argc, char **argv, struct cli *cli);
/* One command, or all of them when NULL. */
void args_help(FILE *out, const struct cli_command *command);
const struct cli_command *args_command(const char *name);
/* Says so, with the nearest known one; returns the exit code. */
int args_command_unknown(const char *name);

#endif
