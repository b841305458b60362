/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every command of drbdctl gets: where things are,
 * the parsed arguments, the loaded configuration. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"

/* Exit codes as of the DRBD utilities (config-and-utilities 1.8, 2). */
enum cli_exit {
	EXIT_OK = 0,
	EXIT_TIMED_OUT = 5,       /* wait-* */
	EXIT_ERROR = 10,          /* configuration, unknown object, what cannot be opened */
	EXIT_REFUSED = 11,        /* state change refused */
	EXIT_NO_DISK = 16,        /* there is no local disk */
	EXIT_NO_DATA = 17,        /* no UpToDate data */
	EXIT_USAGE = 20,          /* wrong command line, no daemon, or any other failure */
	EXIT_NO_METADATA = 255,   /* none, or none that can be used */
};

#define CLI_PEERS_MAX_UNSET 0U

struct cli_command;

struct cli {
	/* options in front of the command; NULL = the default */
	const char *conf_file;
	const char *node;
	const char *socket;
	const struct cli_command *command;
	const char *command_name;
	/* options of the command */
	bool json, verbose, statistics, watch, force, discard_my_data, clear_bitmap;
	bool no_members, from_v08;
	bool keep_bitmap;         /* --reset-bitmap=no */
	bool abort, repair, has_start;
	uint64_t start_sector, stop_sector; /* --start, --stop; 0 = the end */
	bool assume_clean, assume_peer_has_space;
	uint64_t size_sectors;    /* --size; 0 = not given */
	unsigned max_peers;       /* create-md --max-peers; CLI_PEERS_MAX_UNSET = not given */
	unsigned timeout_s;       /* --timeout; 0 = none */
	/* RES, RES/VOL, RES:PEER or RES:PEER/VOL; "" and -1 where not given; "all" is "" */
	char resource[NAME_MAX_BYTES];
	char peer[NAME_MAX_BYTES];
	int vnr;
	bool has_node_id;
	unsigned node_id;         /* RES:NODE-ID */
	const char *keep;         /* resolve --keep, NULL = not given */
	const char *for_node;     /* outdate --for */
	const char *save_to;      /* resolve --save-loser, NULL = not given */
	int only_vnr;             /* resolve --volume, -1 = all */
	const char *file;         /* apply-undo: its first argument */
	const char *operand;      /* the argument behind that, "" where there is none */
	/* filled by cli_load() */
	struct conf *conf;
	char node_name[NAME_MAX_BYTES];
	void *curl;               /* of client.c */
};

/* Loads the configuration and finds out which node this is, once. EXIT_OK or EXIT_ERROR, messages
 * on stderr. */
int cli_load(struct cli *cli);
/* As cli_load(), and the named resource must exist and include this node. */
int cli_load_resource(struct cli *cli, const struct conf_resource **res,
		      const struct conf_node **node);
/* "drbdctl: ..." on stderr; returns `code`. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
