/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the command line: options, targets, help. */
#include "args.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define MAX_TIMEOUT_S (7U * 24 * 3600)

static const struct option_row {
	unsigned bit;
	const char *name;
	const char *short_name;  /* NULL = none */
	const char *value;       /* name of its value in help, NULL = it has none */
	size_t offset;           /* bool in struct cli, where it has no value */
	const char *text;
} options[] = {
	{ OPT_JSON, "--json", "-j", NULL, offsetof(struct cli, json), "machine-readable output" },
	{ OPT_VERBOSE, "--verbose", "-v", NULL, offsetof(struct cli, verbose), "all fields" },
	{ OPT_STATISTICS, "--statistics", "-s", NULL, offsetof(struct cli, statistics),
	  "counters, too" },
	{ OPT_WATCH, "--watch", "-w", NULL, offsetof(struct cli, watch),
	  "show it again and again until Ctrl-C" },
	{ OPT_FORCE, "--force", "-f", NULL, offsetof(struct cli, force), "do it all the same" },
	{ OPT_DISCARD, "--discard-my-data", NULL, NULL, offsetof(struct cli, discard_my_data),
	  "after a split brain, give up this node's changes" },
	{ OPT_CLEAR, "--clear-bitmap", NULL, NULL, offsetof(struct cli, clear_bitmap),
	  "declare the volume equal on all connected nodes" },
	{ OPT_NO_MEMBERS, "--no-members", NULL, NULL, offsetof(struct cli, no_members),
	  "leave out what drbd-utils before 9.27 cannot read" },
	{ OPT_FROM_V08, "--from-v08", NULL, NULL, offsetof(struct cli, from_v08),
	  "convert metadata of DRBD 8, with generations and bitmap" },
	{ OPT_PEER, "--peer", NULL, "NODE", 0, "which node was the peer under DRBD 8" },
	{ OPT_MAX_PEERS, "--max-peers", NULL, "N", 0, "bitmap slots, 1 to 31" },
	{ OPT_RESET, "--reset-bitmap", NULL, "no", 0,
	  "only what is marked, as by verify (default: yes, all of it)" },
	{ OPT_START, "--start", NULL, "SECTOR", 0,
	  "begin there (default: where the last one was ended)" },
	{ OPT_STOP, "--stop", NULL, "SECTOR", 0, "end there (default: at the end)" },
	{ OPT_ABORT, "--abort", NULL, NULL, offsetof(struct cli, abort),
	  "end the one that runs" },
	{ OPT_REPAIR, "--repair", NULL, NULL, offsetof(struct cli, repair),
	  "then resync what differs from this node's copy" },
	{ OPT_KEEP, "--keep", NULL, "NODE", 0, "whose data stay as they are" },
	{ OPT_FOR, "--for", NULL, "NODE", 0,
	  "which one goes on: refused if it has older data than this node" },
	{ OPT_VOLUME, "--volume", NULL, "N", 0, "only of this volume (default: all)" },
	{ OPT_SAVE, "--save-loser", NULL, "FILE", 0,
	  "first save what this node gives up; see apply-undo" },
	{ OPT_SIZE, "--size", NULL, "SIZE", 0, "as 10G (default: all that the disks have)" },
	{ OPT_CLEAN, "--assume-clean", NULL, NULL, offsetof(struct cli, assume_clean),
	  "what is new is the same on all nodes: no resync" },
	{ OPT_HAS_SPACE, "--assume-peer-has-space", NULL, NULL,
	  offsetof(struct cli, assume_peer_has_space), "also while disks of peers are away" },
	{ OPT_TIMEOUT, "--timeout", NULL, "S", 0, "seconds to wait at most (default: for ever)" },
};

static const char *target_text(enum cli_target target)
{
	switch (target) {
	case TARGET_NONE:
		return "";
	case TARGET_RES_OPTIONAL:
		return " [RES]";
	case TARGET_RES_OR_ALL:
		return " RES|all";
	case TARGET_RES:
		return " RES";
	case TARGET_VOLUME_OPTIONAL:
		return " RES[/VOL]";
	case TARGET_VOLUME:
		return " RES/VOL";
	case TARGET_PEER_OPTIONAL:
		return " RES[:PEER]";
	case TARGET_PEER:
		return " RES:PEER[/VOL]";
	case TARGET_NODE_ID:
		return " RES:NODE-ID";
	case TARGET_PEER_VOLUMES:
		return " RES[:PEER][/VOL]";
	case TARGET_WHY:
		return " RES[:PEER][/VOL] [primary]";
	case TARGET_UNDO:
		return " FILE [TARGET]";
	case TARGET_VOLUME_FILE:
		return " RES/VOL FILE";
	case TARGET_PEER_GI:
		return " RES:PEER[/VOL] GI";
	case TARGET_COMMAND_OPTIONAL:
		return " [COMMAND]";
	case TARGET_TLS:
		return " init|issue NODE|all";
	}
	ASSERT(false); /* target in range */
	return "";
}

const struct cli_command *args_command(const char *name)
{
	for (unsigned i = 0; i < cli_command_count; i++) {
		if (str_eq(cli_commands[i].name, name))
			return &cli_commands[i];
	}
	return NULL;
}

/* ---- help ---- */

static void help_one(FILE *out, const struct cli_command *c)
{
	(void)fprintf(out, "drbdctl %s%s", c->name, target_text(c->target));
	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		if (c->options & options[i].bit)
			(void)fprintf(out, " [%s%s%s]", options[i].name,
				      options[i].value ? " " : "",
				      options[i].value ? options[i].value : "");
	}
	(void)fprintf(out, "\n    %s\n", c->text);
	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		if (c->options & options[i].bit)
			(void)fprintf(out, "    %-18s %s\n", options[i].name, options[i].text);
	}
}

void args_help(FILE *out, const struct cli_command *command)
{
	if (command) {
		help_one(out, command);
		return;
	}
	(void)fputs("usage: drbdctl [-c FILE] [-n NODE] [-s SOCKET] "
		    "COMMAND [ARGUMENT] [OPTIONS]\n\n",
		    out);
	for (unsigned i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];
		char left[64];

		(void)str_format(left, sizeof(left), "%s%s", c->name, target_text(c->target));
		(void)fprintf(out, "  %-34s %s\n", left, c->text);
	}
	(void)fputs("\n'drbdctl help COMMAND' shows its options.\n"
		    "  -c, --config FILE   default /etc/drbdfs/drbdfs.conf; for ordinary users\n"
		    "                      ~/.config/drbdfs/drbdfs.conf\n"
		    "  -n, --node NODE     which node of the file this is (default: the\n"
		    "                      host name)\n"
		    "  -s, --socket PATH   where the daemon listens (default\n"
		    "                      /run/drbdfs/control.sock, for ordinary users\n"
		    "                      $XDG_RUNTIME_DIR/drbdfs/control.sock)\n",
		    out);
}

/* ---- targets ---- */

static int target_fail(const struct cli *cli, const char *given)
{
	enum cli_target t = cli->command->target;

	if (t == TARGET_NONE)
		return cli_fail(EXIT_USAGE, "%s: takes no argument, but there is '%s'",
				cli->command->name, given);
	/* That it might be left out does not matter here. */
	if (t == TARGET_RES_OPTIONAL)
		t = TARGET_RES;
	return cli_fail(EXIT_USAGE, "%s: '%s' is not%s; see 'drbdctl help %s'", cli->command->name,
			given, target_text(t), cli->command->name);
}

static bool takes_volume(enum cli_target t)
{
	return t == TARGET_VOLUME || t == TARGET_VOLUME_OPTIONAL || t == TARGET_PEER ||
	       t == TARGET_PEER_VOLUMES || t == TARGET_WHY || t == TARGET_VOLUME_FILE ||
	       t == TARGET_PEER_GI;
}

static bool takes_peer(enum cli_target t)
{
	return t == TARGET_PEER || t == TARGET_PEER_OPTIONAL || t == TARGET_PEER_VOLUMES ||
	       t == TARGET_WHY || t == TARGET_PEER_GI || t == TARGET_NODE_ID;
}

static bool needs_volume(enum cli_target t)
{
	return t == TARGET_VOLUME || t == TARGET_VOLUME_FILE;
}

static bool needs_peer(enum cli_target t)
{
	return t == TARGET_PEER || t == TARGET_PEER_GI || t == TARGET_NODE_ID;
}

static bool needs_operand(enum cli_target t)
{
	return t == TARGET_VOLUME_FILE || t == TARGET_PEER_GI;
}

static bool takes_operand(enum cli_target t)
{
	return needs_operand(t) || t == TARGET_TLS || t == TARGET_WHY ||
	       t == TARGET_UNDO;
}

/* Splits RES[:PEER][/VOL]. */
static int target_parse(struct cli *cli, const char *given)
{
	enum cli_target t = cli->command->target;
	char text[2 * NAME_MAX_BYTES + 8];
	char *colon, *slash;
	uint64_t vnr = 0, node = 0;

	if (t == TARGET_COMMAND_OPTIONAL)
		return str_copy(cli->resource, sizeof(cli->resource), given) ?
			       EXIT_OK : target_fail(cli, given);
	if (t == TARGET_TLS)
		return (str_eq(given, "init") || str_eq(given, "issue")) &&
				       str_copy(cli->resource, sizeof(cli->resource), given) ?
			       EXIT_OK : target_fail(cli, given);
	if (t == TARGET_UNDO) {
		cli->file = given;
		return EXIT_OK;
	}
	if (t == TARGET_NONE || !str_copy(text, sizeof(text), given))
		return target_fail(cli, given);
	colon = strchr(text, ':');
	slash = strchr(colon ? colon : text, '/');
	if ((colon && !takes_peer(t)) || (slash && !takes_volume(t)))
		return target_fail(cli, given);
	if (slash) {
		*slash++ = '\0';
		if (str_to_u64(slash, &vnr) || vnr > VNR_MAX)
			return target_fail(cli, given);
		cli->vnr = (int)vnr;
	}
	if (colon && t == TARGET_NODE_ID) {
		*colon++ = '\0';
		if (str_to_u64(colon, &node) || node >= NODES_MAX)
			return target_fail(cli, given);
		cli->node_id = (unsigned)node;
		cli->has_node_id = true;
	} else if (colon) {
		*colon++ = '\0';
		if (name_problem(colon) || !str_copy(cli->peer, sizeof(cli->peer), colon))
			return target_fail(cli, given);
	}
	if ((needs_volume(t) && !slash) || (needs_peer(t) && !colon) || name_problem(text))
		return target_fail(cli, given);
	if (t == TARGET_RES_OR_ALL && str_eq(text, "all"))
		return EXIT_OK;
	return str_copy(cli->resource, sizeof(cli->resource), text) ? EXIT_OK :
								       target_fail(cli, given);
}

static bool target_is_optional(enum cli_target t)
{
	return t == TARGET_NONE || t == TARGET_RES_OPTIONAL || t == TARGET_COMMAND_OPTIONAL;
}

/* ---- options ---- */

/* Position in the command line. */
struct cursor {
	int argc, next;
	char **argv;
};

/* "--name=value" or "--name value"; NULL when the value is missing. */
static const char *value_of(struct cursor *c, const char *arg)
{
	const char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;

	if (equals)
		return equals + 1;
	return c->next < c->argc ? c->argv[c->next++] : NULL;
}

static bool name_is(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(arg, name, n) && (arg[n] == '\0' || arg[n] == '=');
}

static int peer_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	if (name_problem(value) || !str_copy(cli->peer, sizeof(cli->peer), value))
		return cli_fail(EXIT_USAGE, "%s: %s '%s' is no name of a node",
				cli->command->name, o->name, value);
	return EXIT_OK;
}

static int number_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	uint64_t v = 0, max = o->bit == OPT_TIMEOUT ? MAX_TIMEOUT_S : NODES_MAX - 1;
	int rc = o->bit == OPT_TIMEOUT ? str_to_value(value, UNIT_S, &v) : str_to_u64(value, &v);

	if (rc || v > max || v < 1)
		return cli_fail(EXIT_USAGE, "%s: %s '%s' is not a number from 1 to %u",
				cli->command->name, o->name, value, (unsigned)max);
	if (o->bit == OPT_TIMEOUT)
		cli->timeout_s = (unsigned)v;
	else
		cli->max_peers = (unsigned)v;
	return EXIT_OK;
}

static int node_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	if (name_problem(value))
		return cli_fail(EXIT_USAGE, "%s: %s '%s' is no name of a node",
				cli->command->name, o->name, value);
	if (o->bit == OPT_FOR)
		cli->for_node = value;
	else
		cli->keep = value;
	return EXIT_OK;
}

static int volume_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	uint64_t v;

	if (str_to_u64(value, &v) || v > VNR_MAX)
		return cli_fail(EXIT_USAGE, "%s: %s '%s' is not the number of a volume",
				cli->command->name, o->name, value);
	cli->only_vnr = (int)v;
	return EXIT_OK;
}

static int reset_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	if (!str_eq(value, "no") && !str_eq(value, "yes"))
		return cli_fail(EXIT_USAGE, "%s: %s '%s' is neither yes nor no",
				cli->command->name, o->name, value);
	cli->keep_bitmap = str_eq(value, "no");
	return EXIT_OK;
}

static int sector_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	uint64_t v;

	if (str_to_value(value, UNIT_SECTORS, &v))
		return cli_fail(EXIT_USAGE, "%s: %s '%s' is not a number of sectors, or a size",
				cli->command->name, o->name, value);
	if (o->bit == OPT_SIZE) {
		cli->size_sectors = v;
	} else if (o->bit == OPT_STOP) {
		cli->stop_sector = v;
	} else {
		cli->start_sector = v;
		cli->has_start = true;
	}
	return EXIT_OK;
}

static int value_parse(struct cli *cli, const struct option_row *o, const char *value)
{
	switch (o->bit) {
	case OPT_PEER:
		return peer_parse(cli, o, value);
	case OPT_RESET:
		return reset_parse(cli, o, value);
	case OPT_KEEP:
	case OPT_FOR:
		return node_parse(cli, o, value);
	case OPT_VOLUME:
		return volume_parse(cli, o, value);
	case OPT_SAVE:
		cli->save_to = value;
		return EXIT_OK;
	case OPT_START:
	case OPT_STOP:
	case OPT_SIZE:
		return sector_parse(cli, o, value);
	default:
		return number_parse(cli, o, value);
	}
}

/* An option behind the command. */
static int option_parse(struct cli *cli, struct cursor *c, const char *arg)
{
	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		const struct option_row *o = &options[i];
		const char *value;
		bool set = true;

		if (!(cli->command->options & o->bit))
			continue;
		if (!o->value && (str_eq(arg, o->name) ||
				  (o->short_name && str_eq(arg, o->short_name)))) {
			memcpy((char *)cli + o->offset, &set, sizeof(set));
			return EXIT_OK;
		}
		if (!o->value || !name_is(arg, o->name))
			continue;
		value = value_of(c, arg);
		if (!value)
			return cli_fail(EXIT_USAGE, "%s: %s needs a value", cli->command->name,
					o->name);
		return value_parse(cli, o, value);
	}
	return cli_fail(EXIT_USAGE, "%s: unknown option '%s'; see 'drbdctl help %s'",
			cli->command->name, arg, cli->command->name);
}

/* "-jv" is "-j -v". */
static int options_parse(struct cli *cli, struct cursor *c, const char *arg)
{
	int rc = EXIT_OK;

	if (arg[1] == '-')
		return option_parse(cli, c, arg);
	for (const char *p = arg + 1; *p && rc == EXIT_OK; p++)
		rc = option_parse(cli, c, (const char[]){ '-', *p, '\0' });
	return rc;
}

/* An option in front of the command. */
static int global_parse(struct cli *cli, struct cursor *c, const char *arg)
{
	static const struct {
		const char *name, *short_name;
		size_t offset;
	} globals[] = {
		{ "--config", "-c", offsetof(struct cli, conf_file) },
		{ "--node", "-n", offsetof(struct cli, node) },
		{ "--socket", "-s", offsetof(struct cli, socket) },
	};

	for (unsigned i = 0; i < ARRAY_LEN(globals); i++) {
		const char *value;

		bool is_short = !strncmp(arg, globals[i].short_name, 2);

		if (!is_short && !name_is(arg, globals[i].name))
			continue;
		value = is_short && arg[2] ? arg + 2 : value_of(c, arg);
		if (!value)
			return cli_fail(EXIT_USAGE, "%s needs a value", arg);
		memcpy((char *)cli + globals[i].offset, &value, sizeof(value));
		return EXIT_OK;
	}
	return cli_fail(EXIT_USAGE,
			"unknown option '%s' in front of the command; see 'drbdctl help'", arg);
}

/* ---- the whole line ---- */

int args_command_unknown(const char *name)
{
	struct str_nearest n = { .wanted = name };

	for (unsigned i = 0; i < cli_command_count; i++)
		str_nearest_try(&n, cli_commands[i].name);
	return cli_fail(EXIT_USAGE, "unknown command '%s'%s%s; 'drbdctl help' lists them", name,
			n.best ? ", did you mean " : "", n.best ? n.best : "");
}

static int word_take(struct cli *cli, const char *word, bool *have_target)
{
	if (!cli->command) {
		cli->command = args_command(word);
		cli->command_name = word;
		return cli->command ? EXIT_OK : args_command_unknown(word);
	}
	if (*have_target && takes_operand(cli->command->target) && !cli->operand[0]) {
		cli->operand = word;
		return EXIT_OK;
	}
	if (*have_target)
		return cli_fail(EXIT_USAGE, "%s: one argument too many: '%s'", cli->command->name,
				word);
	*have_target = true;
	return target_parse(cli, word);
}

/* "COMMAND --help" is "help COMMAND". */
static int help_instead(struct cli *cli)
{
	(void)str_copy(cli->resource, sizeof(cli->resource), cli->command->name);
	cli->command = args_command("help");
	cli->command_name = "help";
	return EXIT_OK;
}

int args_parse(int argc, char **argv, struct cli *cli)
{
	struct cursor c = { .argc = argc, .next = 1, .argv = argv };
	bool have_target = false, only_words = false;
	int rc = EXIT_OK;

	cli->vnr = -1;
	cli->only_vnr = -1;
	cli->operand = "";
	while (rc == EXIT_OK && c.next < c.argc) {
		const char *arg = c.argv[c.next++];

		if (!cli->command && (str_eq(arg, "-h") || str_eq(arg, "--help")))
			arg = "help";
		if (!cli->command && (str_eq(arg, "-V") || str_eq(arg, "--version")))
			arg = "version";
		if (!only_words && str_eq(arg, "--"))
			only_words = true;
		else if (only_words || arg[0] != '-' || !arg[1])
			rc = word_take(cli, arg, &have_target);
		else if (!cli->command)
			rc = global_parse(cli, &c, arg);
		else if (str_eq(arg, "-h") || str_eq(arg, "--help"))
			return help_instead(cli);
		else
			rc = options_parse(cli, &c, arg);
	}
	if (rc != EXIT_OK)
		return rc;
	if (!cli->command) {
		args_help(stderr, NULL);
		return EXIT_USAGE;
	}
	if (needs_operand(cli->command->target) ? !cli->operand[0]
						 : !have_target &&
						   !target_is_optional(cli->command->target))
		return cli_fail(EXIT_USAGE, "%s: argument%s is missing; see 'drbdctl help %s'",
				cli->command->name, target_text(cli->command->target),
				cli->command->name);
	return EXIT_OK;
}
