/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the table of options and the conversion of a libconfig setting into a value. */
#include "conf/conf_options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"

#define KIB_PER_GIB (UINT64_C(1) << 20)

static const struct conf_word words_protocol[] = {
	{ "A", PROTOCOL_A }, { "B", PROTOCOL_B }, { "C", PROTOCOL_C }, { NULL, 0 }
};

static const struct conf_word words_after_sb_0p[] = {
	{ "disconnect", ASB_DISCONNECT },
	{ "discard-younger-primary", ASB_DISCARD_YOUNGER_PRIMARY },
	{ "discard-older-primary", ASB_DISCARD_OLDER_PRIMARY },
	{ "discard-zero-changes", ASB_DISCARD_ZERO_CHANGES },
	{ "discard-least-changes", ASB_DISCARD_LEAST_CHANGES },
	{ "discard-local", ASB_DISCARD_LOCAL },
	{ "discard-remote", ASB_DISCARD_REMOTE },
	{ NULL, 0 },
};

static const struct conf_word words_after_sb_1p[] = {
	{ "disconnect", ASB_DISCONNECT },
	{ "consensus", ASB_CONSENSUS },
	{ "violently-as0p", ASB_VIOLENTLY },
	{ "discard-secondary", ASB_DISCARD_SECONDARY },
	{ "call-pri-lost-after-sb", ASB_CALL_PRI_LOST },
	{ NULL, 0 },
};

static const struct conf_word words_after_sb_2p[] = {
	{ "disconnect", ASB_DISCONNECT },
	{ "violently-as0p", ASB_VIOLENTLY },
	{ "call-pri-lost-after-sb", ASB_CALL_PRI_LOST },
	{ NULL, 0 },
};

static const struct conf_word words_rr_conflict[] = {
	{ "disconnect", ASB_DISCONNECT },
	{ "retry-connect", ASB_RETRY_CONNECT },
	{ "violently", ASB_VIOLENTLY },
	{ "auto-discard", ASB_AUTO_DISCARD },
	{ "call-pri-lost", ASB_CALL_PRI_LOST },
	{ NULL, 0 },
};

static const struct conf_word words_fencing[] = {
	{ "dont-care", FENCING_DONT_CARE },
	{ "resource-only", FENCING_RESOURCE },
	{ "resource-and-stonith", FENCING_STONITH },
	{ NULL, 0 }
};

static const struct conf_word words_on_io_error[] = {
	{ "detach", IOERR_DETACH },
	{ "pass_on", IOERR_PASS_ON },
	{ "call-local-io-error", IOERR_CALL_HANDLER },
	{ NULL, 0 }
};

static const struct conf_word words_read_balancing[] = {
	{ "prefer-local", READ_PREFER_LOCAL },
	{ "prefer-remote", READ_PREFER_REMOTE },
	{ "round-robin", READ_ROUND_ROBIN },
	{ "least-pending", READ_LEAST_PENDING },
	{ "when-congested-remote", READ_WHEN_CONGESTED_REMOTE },
	{ "32K-striping", READ_STRIPING_32K },
	{ "64K-striping", READ_STRIPING_64K },
	{ "128K-striping", READ_STRIPING_128K },
	{ "256K-striping", READ_STRIPING_256K },
	{ "512K-striping", READ_STRIPING_512K },
	{ "1M-striping", READ_STRIPING_1M },
	{ NULL, 0 },
};

static const struct conf_word words_quorum[] = {
	{ "off", QUORUM_OFF }, { "majority", QUORUM_MAJORITY }, { "all", QUORUM_ALL }, { NULL, 0 }
};

static const struct conf_word words_on_no_quorum[] = {
	{ "suspend-io", NO_QUORUM_SUSPEND }, { "io-error", NO_QUORUM_IO_ERROR }, { NULL, 0 }
};

static const struct conf_word words_on_no_data[] = {
	{ "io-error", NO_DATA_IO_ERROR }, { "suspend-io", NO_DATA_SUSPEND }, { NULL, 0 }
};

static const struct conf_word words_on_outdated[] = {
	{ "disconnect", OUTDATED_DISCONNECT },
	{ "force-secondary", OUTDATED_FORCE_SECONDARY },
	{ NULL, 0 }
};

/* Accepted by the digest lookup of the cryptographic
 * library under the names that the kernel uses. */
static const char *const digests[] = { "md5", "sha1", "sha224", "sha256", "sha384", "sha512" };
/* Also for TYPE_CHECKSUM; needs no library. */
static const char checksum[] = "crc32c";

/* NUM(group, name, field, unit, min, max, preset), FLAG(group, name, field, preset),
 * WORD(group, name, field, words, preset), TEXT(group, name, field, type),
 * EITHER(group, name, field, words, min, max, preset): a word or a number. */
#define OPTIONS(NUM, FLAG, WORD, TEXT, EITHER)                                                     \
	WORD(NET, "protocol", net.protocol, words_protocol, PROTOCOL_C)                            \
	WORD(NET, "fencing", net.fencing, words_fencing, FENCING_DONT_CARE)                        \
	NUM(NET, "timeout", net.timeout_ds, UNIT_DS, 1, 600, 60)                                   \
	NUM(NET, "ko-count", net.ko_count, UNIT_ONE, 0, 200, 7)                                    \
	NUM(NET, "ping-int", net.ping_int_s, UNIT_S, 1, 120, 10)                                   \
	NUM(NET, "ping-timeout", net.ping_timeout_ds, UNIT_DS, 1, 300, 5)                          \
	NUM(NET, "connect-int", net.connect_int_s, UNIT_S, 1, 120, 10)                             \
	NUM(NET, "socket-check-timeout", net.socket_check_timeout_ds, UNIT_DS, 0, 300, 0)      \
	NUM(NET, "max-epoch-size", net.max_epoch_size, UNIT_ONE, 1, 20000, 2048)                   \
	NUM(NET, "max-buffers", net.max_buffers, UNIT_ONE, 32, 131072, 2048)                       \
	WORD(NET, "after-sb-0pri", net.after_sb_0p, words_after_sb_0p, ASB_DISCONNECT)             \
	WORD(NET, "after-sb-1pri", net.after_sb_1p, words_after_sb_1p, ASB_DISCONNECT)             \
	WORD(NET, "after-sb-2pri", net.after_sb_2p, words_after_sb_2p, ASB_DISCONNECT)             \
	FLAG(NET, "always-asbp", net.always_asbp, false)                                           \
	FLAG(NET, "allow-two-primaries", net.two_primaries, false)                                 \
	WORD(NET, "rr-conflict", net.rr_conflict, words_rr_conflict, ASB_DISCONNECT)               \
	FLAG(NET, "allow-remote-read", net.allow_remote_read, true)                                \
	TEXT(NET, "cram-hmac-alg", net.cram_hmac_alg, TYPE_DIGEST)                                 \
	TEXT(NET, "shared-secret", net.shared_secret, TYPE_SECRET)                                 \
	TEXT(NET, "data-integrity-alg", net.data_integrity_alg, TYPE_CHECKSUM)                     \
	FLAG(NET, "tls", net.tls, false)                                                           \
	TEXT(NET, "verify-alg", net.verify_alg, TYPE_CHECKSUM)                                     \
	TEXT(NET, "csums-alg", net.csums_alg, TYPE_CHECKSUM)                                       \
	FLAG(NET, "csums-after-crash-only", net.csums_after_crash_only, false)                     \
	WORD(DISK, "on-io-error", disk.on_io_error, words_on_io_error, IOERR_DETACH)               \
	WORD(DISK, "read-balancing", disk.read_balancing, words_read_balancing, READ_PREFER_LOCAL) \
	NUM(DISK, "al-extents", disk.al_extents, UNIT_ONE, AL_EXTENTS_MIN, AL_EXTENTS_MAX,         \
	    AL_EXTENTS_DEFAULT)                                                                    \
	NUM(DISK, "size", disk.size_sectors, UNIT_SECTORS, 0, UINT64_C(1) << 41, 0)                \
	NUM(DISK, "disk-timeout", disk.disk_timeout_ds, UNIT_DS, 0, 6000, 0)                       \
	NUM(DISK, "resync-rate", disk.resync_rate_kib, UNIT_KIB, 1, 8 * KIB_PER_GIB, 250)          \
	NUM(DISK, "c-plan-ahead", disk.c_plan_ahead_ds, UNIT_DS, 0, 300, 20)                       \
	NUM(DISK, "c-delay-target", disk.c_delay_target_ds, UNIT_DS, 1, 100, 10)                   \
	NUM(DISK, "c-fill-target", disk.c_fill_target_sectors, UNIT_SECTORS, 0, 1048576, 100)      \
	NUM(DISK, "c-max-rate", disk.c_max_rate_kib, UNIT_KIB, 0, 4 * KIB_PER_GIB, 102400)         \
	NUM(DISK, "c-min-rate", disk.c_min_rate_kib, UNIT_KIB, 0, 4 * KIB_PER_GIB, 0)              \
	NUM(DISK, "c-min-share", disk.c_min_share, UNIT_ONE, 0, 100, 25)                           \
	NUM(DISK, "rs-discard-granularity", disk.rs_discard_bytes, UNIT_BYTES, 0, 1048576, 0)      \
	FLAG(DISK, "resync-without-replication", disk.rs_without_replication, false)               \
	TEXT(DISK, "resync-after", disk.resync_after, TYPE_VOLUME)                                 \
	FLAG(OPTIONS, "auto-promote", res.auto_promote, true)                                      \
	NUM(OPTIONS, "auto-promote-timeout", res.auto_promote_timeout_ds, UNIT_DS, 0, 600, 20)     \
	NUM(OPTIONS, "twopc-timeout", res.twopc_timeout_ds, UNIT_DS, 50, 600, 300)                 \
	NUM(OPTIONS, "twopc-retry-timeout", res.twopc_retry_timeout_ds, UNIT_DS, 1, 50, 1)         \
	EITHER(OPTIONS, "quorum", res.quorum, words_quorum, 1, NODES_MAX, QUORUM_OFF)              \
	EITHER(OPTIONS, "quorum-minimum-redundancy", res.quorum_min_redundancy, words_quorum, 1,   \
	       NODES_MAX, QUORUM_OFF)                                                              \
	WORD(OPTIONS, "on-no-quorum", res.on_no_quorum, words_on_no_quorum, NO_QUORUM_SUSPEND)     \
	WORD(OPTIONS, "on-no-data-accessible", res.on_no_data, words_on_no_data, NO_DATA_IO_ERROR) \
	WORD(OPTIONS, "on-suspended-primary-outdated", res.on_suspended_primary_outdated,          \
	     words_on_outdated, OUTDATED_DISCONNECT)                                               \
	NUM(OPTIONS, "verify-interval", res.verify_interval_s, UNIT_S, 0, 366 * 86400, 0)         \
	NUM(OPTIONS, "handler-timeout", res.handler_timeout_s, UNIT_S, 0, 86400, 300)

#define FIELD(f)                                                                                   \
	.offset = offsetof(struct conf_opts, f), .size = sizeof(((struct conf_opts *)NULL)->f)
#define ROW_NUM(g, n, f, u, lo, hi, p)                                                             \
	{ .name = (n), .group = GROUP_##g, .type = TYPE_NUMBER, .unit = (u), .min = (lo),          \
	  .max = (hi), .preset = (p), FIELD(f) },
#define ROW_FLAG(g, n, f, p)                                                                       \
	{ .name = (n), .group = GROUP_##g, .type = TYPE_BOOL, .max = 1, .preset = (p), FIELD(f) },
#define ROW_WORD(g, n, f, w, p)                                                                    \
	{ .name = (n), .group = GROUP_##g, .type = TYPE_WORD, .words = (w), .preset = (p),         \
	  FIELD(f) },
#define ROW_EITHER(g, n, f, w, lo, hi, p)                                                          \
	{ .name = (n), .group = GROUP_##g, .type = TYPE_NUMBER, .unit = UNIT_ONE, .min = (lo),     \
	  .max = (hi), .preset = (p), .words = (w), FIELD(f) },
#define ROW_TEXT(g, n, f, t)                                                                       \
	{ .name = (n), .group = GROUP_##g, .type = (t),                                            \
	  .max = sizeof(((struct conf_opts *)NULL)->f) - 1, FIELD(f) },

static const struct conf_option table[] = {
	OPTIONS(ROW_NUM, ROW_FLAG, ROW_WORD, ROW_TEXT, ROW_EITHER)
};

const char *conf_group_name(enum conf_group group)
{
	switch (group) {
	case GROUP_NET:
		return "net";
	case GROUP_DISK:
		return "disk";
	case GROUP_OPTIONS:
		return "options";
	}
	ASSERT(false); /* group in range */
	return "";
}

const struct conf_option *conf_options(unsigned *count)
{
	*count = ARRAY_LEN(table);
	return table;
}

const struct conf_option *conf_option_find(enum conf_group group, const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].group == group && str_eq(table[i].name, name))
			return &table[i];
	}
	return NULL;
}

STATIC_ASSERT(sizeof(enum after_sb) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum wire_protocol) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum fencing) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum on_io_error) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum read_balancing) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum on_no_quorum) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum on_no_data) == sizeof(uint32_t), "words are stored as 32 bit");
STATIC_ASSERT(sizeof(enum on_outdated) == sizeof(uint32_t), "words are stored as 32 bit");

static void store(const struct conf_option *o, struct conf_opts *opts, uint64_t value)
{
	void *field = (char *)opts + o->offset;
	uint32_t small = (uint32_t)value;
	bool flag = value != 0;

	switch (o->type) {
	case TYPE_BOOL:
		memcpy(field, &flag, sizeof(flag));
		return;
	case TYPE_WORD:
		memcpy(field, &small, sizeof(small));
		return;
	case TYPE_NUMBER:
		if (o->size == sizeof(uint64_t))
			memcpy(field, &value, sizeof(value));
		else
			memcpy(field, &small, sizeof(small));
		return;
	case TYPE_DIGEST:
	case TYPE_CHECKSUM:
	case TYPE_VOLUME:
	case TYPE_SECRET:
		break;
	}
	ASSERT(false); /* a text is not stored as a number */
}

uint64_t conf_option_get(const struct conf_option *o, const struct conf_opts *opts)
{
	const void *field = (const char *)opts + o->offset;
	uint64_t wide = 0;
	uint32_t small = 0;
	bool flag = false;

	if (o->type == TYPE_BOOL) {
		memcpy(&flag, field, sizeof(flag));
		return flag;
	}
	if (o->size == sizeof(wide)) {
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
	memcpy(&small, field, sizeof(small));
	return small;
}

void conf_opts_preset(struct conf_opts *opts)
{
	memset(opts, 0, sizeof(*opts));
	for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
		/* A text is empty. */
		if (table[i].type <= TYPE_WORD)
			store(&table[i], opts, table[i].preset);
	}
}

static const struct conf_word *word_find(const struct conf_option *o, const config_setting_t *s)
{
	const char *text =
		config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";

	for (const struct conf_word *w = o->words; w && w->word; w++) {
		bool one_letter = !w->word[1];

		if (one_letter ? !strcasecmp(w->word, text) : str_eq(w->word, text))
			return w;
	}
	return NULL;
}

static void name_words(const struct conf_option *o, struct err *err)
{
	for (const struct conf_word *w = o->words; w && w->word; w++)
		(void)str_append(err->text, sizeof(err->text), "%s \"%s\"",
				 w == o->words ? "" : " |", w->word);
}

static int set_word(const struct conf_option *o, const config_setting_t *s, struct conf_opts *opts,
		    struct err *err)
{
	const struct conf_word *word = word_find(o, s);
	const char *text =
		config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";

	if (word) {
		store(o, opts, word->value);
		return 0;
	}
	(void)err_set(err, -EINVAL, "%s: \"%.40s\" is not a valid value; allowed are", o->name,
		      text);
	name_words(o, err);
	return -EINVAL;
}

static int set_number(const struct conf_option *o, const config_setting_t *s,
		      struct conf_opts *opts, struct err *err)
{
	const char *unit = unit_text(o->unit);
	uint64_t v = 0;
	int rc = 0;
	bool below = false;

	if (word_find(o, s))
		return set_word(o, s, opts, err);
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		below = config_setting_get_int64(s) < 0;
		v = (uint64_t)config_setting_get_int64(s);
		break;
	case CONFIG_TYPE_STRING:
		rc = str_to_value(config_setting_get_string(s), o->unit, &v);
		break;
	default:
		rc = -EINVAL;
	}
	if (rc == -EINVAL && o->words) {
		(void)err_set(err, rc, "%s: not a whole number, nor one of", o->name);
		name_words(o, err);
		return rc;
	}
	if (rc == -EINVAL)
		return err_set(err, rc, "%s: not a number%s%s; whole numbers only%s", o->name,
			       *unit ? " of " : "", unit,
			       *unit ? ", or text with a unit such as \"2M\" or \"3s\"" : "");
	if (!rc && !below && v >= o->min && v <= o->max) {
		store(o, opts, v);
		return 0;
	}
	(void)err_set(err, -ERANGE,
		      "%s: value is too %s, allowed are %" PRIu64 " to %" PRIu64 "%s%s%s", o->name,
		      below || (!rc && v < o->min) ? "small" : "big", o->min, o->max,
		      *unit ? " " : "", unit, o->words ? ", or" : "");
	name_words(o, err);
	return -ERANGE;
}

static int set_bool(const struct conf_option *o, const config_setting_t *s, struct conf_opts *opts,
		    struct err *err)
{
	const char *text;

	if (config_setting_type(s) == CONFIG_TYPE_BOOL) {
		store(o, opts, config_setting_get_bool(s) != 0);
		return 0;
	}
	text = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : "";
	if (str_eq(text, "yes") || str_eq(text, "no")) {
		store(o, opts, str_eq(text, "yes"));
		return 0;
	}
	return err_set(err, -EINVAL, "%s: not true, false, \"yes\" or \"no\"", o->name);
}

static bool digest_known(enum conf_type type, const char *name)
{
	if (type == TYPE_SECRET || type == TYPE_VOLUME || !*name)
		return true;
	if (type == TYPE_CHECKSUM && str_eq(name, checksum))
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(digests); i++) {
		if (str_eq(digests[i], name))
			return true;
	}
	return false;
}

bool conf_volume_ref(const char *ref, char name[NAME_MAX_BYTES], uint16_t *vnr)
{
	const char *slash = strrchr(ref, '/');
	uint64_t n = 0;

	if (!slash || slash == ref || (size_t)(slash - ref) >= NAME_MAX_BYTES ||
	    str_to_u64(slash + 1, &n) || n > VNR_MAX)
		return false;
	memcpy(name, ref, (size_t)(slash - ref));
	name[slash - ref] = '\0';
	*vnr = (uint16_t)n;
	return !name_problem(name);
}

static bool volume_known(const char *text)
{
	char name[NAME_MAX_BYTES];
	uint16_t vnr;

	return !*text || conf_volume_ref(text, name, &vnr);
}

static int set_text(const struct conf_option *o, const config_setting_t *s, struct conf_opts *opts,
		    struct err *err)
{
	const char *text;

	if (config_setting_type(s) != CONFIG_TYPE_STRING)
		return err_set(err, -EINVAL, "%s: not a text in quotes", o->name);
	text = config_setting_get_string(s);
	if (strlen(text) > o->max)
		return err_set(err, -ERANGE, "%s: too long, max len: %" PRIu64, o->name, o->max);
	if (o->type == TYPE_VOLUME && !volume_known(text))
		return err_set(err, -EINVAL, "%s: \"%.140s\" is not RESOURCE/VOLUME", o->name,
			       text);
	if (!digest_known(o->type, text)) {
		(void)err_set(err, -EINVAL, "%s: \"%s\" is not a known hash; allowed are", o->name,
			      text);
		for (unsigned i = 0; i < ARRAY_LEN(digests); i++)
			(void)str_append(err->text, sizeof(err->text), "%s \"%s\"",
					 i ? " |" : "", digests[i]);
		if (o->type == TYPE_CHECKSUM)
			(void)str_append(err->text, sizeof(err->text), " | \"%s\"", checksum);
		return -EINVAL;
	}
	/* No trace of a longer value: results are compared as memory. */
	memset((char *)opts + o->offset, 0, o->size);
	(void)str_copy((char *)opts + o->offset, o->size, text);
	return 0;
}

int conf_option_set(const struct conf_option *option, const config_setting_t *setting,
		    struct conf_opts *opts, struct err *err)
{
	switch (option->type) {
	case TYPE_NUMBER:
		return set_number(option, setting, opts, err);
	case TYPE_BOOL:
		return set_bool(option, setting, opts, err);
	case TYPE_WORD:
		return set_word(option, setting, opts, err);
	case TYPE_DIGEST:
	case TYPE_CHECKSUM:
	case TYPE_VOLUME:
	case TYPE_SECRET:
		return set_text(option, setting, opts, err);
	}
	ASSERT(false); /* type in range */
	return -EINVAL;
}
