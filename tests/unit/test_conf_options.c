/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of options: each one's minimum, maximum, default and what lies outside. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf_options.h"

/* Sets one option from libconfig text such as "5" or "\"5M\"". */
static int set(const struct conf_option *o, const char *value, struct conf_opts *opts,
	       struct err *err)
{
	config_t cfg;
	char text[256];
	int rc;

	(void)snprintf(text, sizeof(text), "%s = %s;", o->name, value);
	config_init(&cfg);
	cr_assert(config_read_string(&cfg, text), "%s", text);
	rc = conf_option_set(o, config_setting_get_elem(config_root_setting(&cfg), 0), opts, err);
	config_destroy(&cfg);
	return rc;
}

static int set_u64(const struct conf_option *o, uint64_t value, struct conf_opts *opts,
		   struct err *err)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "\"%" PRIu64 "\"", value);
	return set(o, text, opts, err);
}

Test(conf_options, numbers_at_their_bounds)
{
	unsigned count, numbers = 0;
	const struct conf_option *o = conf_options(&count);

	for (unsigned i = 0; i < count; i++) {
		struct conf_opts opts;
		struct err err = ERR_INIT;

		if (o[i].type != TYPE_NUMBER)
			continue;
		numbers++;
		conf_opts_preset(&opts);
		cr_assert_eq(conf_option_get(&o[i], &opts), o[i].preset, "%s", o[i].name);
		cr_assert(o[i].words || (o[i].min <= o[i].preset && o[i].preset <= o[i].max), "%s",
			  o[i].name);
		cr_assert_eq(set_u64(&o[i], o[i].min, &opts, &err), 0, "%s", o[i].name);
		cr_assert_eq(conf_option_get(&o[i], &opts), o[i].min, "%s", o[i].name);
		cr_assert_eq(set_u64(&o[i], o[i].max, &opts, &err), 0, "%s", o[i].name);
		cr_assert_eq(conf_option_get(&o[i], &opts), o[i].max, "%s", o[i].name);
		cr_assert_eq(set_u64(&o[i], o[i].max + 1, &opts, &err), -ERANGE, "%s", o[i].name);
		cr_assert_not_null(strstr(err.text, "too big"), "%s", err.text);
		if (o[i].min) {
			cr_assert_eq(set_u64(&o[i], o[i].min - 1, &opts, &err), -ERANGE);
			cr_assert_not_null(strstr(err.text, "too small"), "%s", err.text);
		}
		cr_assert_eq(set(&o[i], "-1", &opts, &err), -ERANGE, "%s", o[i].name);
		cr_assert_eq(set(&o[i], "\"99999999999999999999\"", &opts, &err), -ERANGE);
		cr_assert_eq(set(&o[i], "1.5", &opts, &err), -EINVAL, "%s", o[i].name);
		cr_assert_eq(set(&o[i], "\"x\"", &opts, &err), -EINVAL, "%s", o[i].name);
		cr_assert_eq(set(&o[i], "true", &opts, &err), -EINVAL, "%s", o[i].name);
		cr_assert_eq(strncmp(err.text, o[i].name, strlen(o[i].name)), 0);
		cr_assert_eq(conf_option_get(&o[i], &opts), o[i].max, "untouched by failures");
	}
	cr_assert_eq(numbers, 26);
}

/* The defaults and ranges of DRBD, written down once more. */
Test(conf_options, known_ranges)
{
	static const struct {
		enum conf_group group;
		const char *name;
		uint64_t min, max, preset;
	} known[] = {
		{ GROUP_NET, "timeout", 1, 600, 60 },
		{ GROUP_NET, "ko-count", 0, 200, 7 },
		{ GROUP_NET, "ping-int", 1, 120, 10 },
		{ GROUP_NET, "ping-timeout", 1, 300, 5 },
		{ GROUP_NET, "connect-int", 1, 120, 10 },
		{ GROUP_NET, "socket-check-timeout", 0, 300, 0 },
		{ GROUP_NET, "max-epoch-size", 1, 20000, 2048 },
		{ GROUP_NET, "max-buffers", 32, 131072, 2048 },
		{ GROUP_DISK, "al-extents", 67, 6433, 1237 },
		{ GROUP_DISK, "size", 0, UINT64_C(2199023255552), 0 },
		{ GROUP_DISK, "resync-rate", 1, 8388608, 250 },
		{ GROUP_DISK, "c-plan-ahead", 0, 300, 20 },
		{ GROUP_DISK, "c-delay-target", 1, 100, 10 },
		{ GROUP_DISK, "c-fill-target", 0, 1048576, 100 },
		{ GROUP_DISK, "c-max-rate", 0, 4194304, 102400 },
		{ GROUP_DISK, "c-min-rate", 0, 4194304, 0 },
		{ GROUP_DISK, "c-min-share", 0, 100, 25 },
		{ GROUP_DISK, "rs-discard-granularity", 0, 1048576, 0 },
		{ GROUP_OPTIONS, "auto-promote-timeout", 0, 600, 20 },
		{ GROUP_OPTIONS, "twopc-timeout", 50, 600, 300 },
		{ GROUP_OPTIONS, "twopc-retry-timeout", 1, 50, 1 },
		{ GROUP_OPTIONS, "verify-interval", 0, 31622400, 0 },
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct conf_option *o = conf_option_find(known[i].group, known[i].name);

		cr_assert_not_null(o, "%s", known[i].name);
		cr_assert_eq(o->min, known[i].min, "%s", o->name);
		cr_assert_eq(o->max, known[i].max, "%s", o->name);
		cr_assert_eq(o->preset, known[i].preset, "%s", o->name);
	}
}

Test(conf_options, words)
{
	unsigned count, words = 0;
	const struct conf_option *o = conf_options(&count);

	for (unsigned i = 0; i < count; i++) {
		struct conf_opts opts;
		struct err err = ERR_INIT;

		if (o[i].type != TYPE_WORD)
			continue;
		words++;
		conf_opts_preset(&opts);
		for (const struct conf_word *w = o[i].words; w->word; w++) {
			char text[64];

			(void)snprintf(text, sizeof(text), "\"%s\"", w->word);
			cr_assert_eq(set(&o[i], text, &opts, &err), 0, "%s %s", o[i].name, text);
			cr_assert_eq(conf_option_get(&o[i], &opts), w->value);
		}
		cr_assert_eq(set(&o[i], "\"perhaps\"", &opts, &err), -EINVAL);
		for (const struct conf_word *w = o[i].words; w->word; w++)
			cr_assert_not_null(strstr(err.text, w->word), "%s", err.text);
		cr_assert_eq(set(&o[i], "3", &opts, &err), -EINVAL);
	}
	cr_assert_eq(words, 11);
}

Test(conf_options, quorum_is_a_word_or_a_number)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "\"off\"", QUORUM_OFF }, { "\"majority\"", QUORUM_MAJORITY },
		{ "\"all\"", QUORUM_ALL }, { "1", 1 }, { "\"32\"", 32 },
	};
	const struct conf_option *o = conf_option_find(GROUP_OPTIONS, "quorum");
	struct conf_opts opts;
	struct err err = ERR_INIT;

	conf_opts_preset(&opts);
	cr_assert_eq(opts.res.quorum, QUORUM_OFF);
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(set(o, good[i].text, &opts, &err), 0, "%s: %s", good[i].text,
			     err.text);
		cr_assert_eq(opts.res.quorum, good[i].value, "%s", good[i].text);
	}
	cr_assert_eq(set(o, "0", &opts, &err), -ERANGE);
	cr_assert_not_null(strstr(err.text, "1 to 32, or \"off\" | \"majority\""), "%s", err.text);
	cr_assert_eq(set(o, "33", &opts, &err), -ERANGE);
	cr_assert_eq(set(o, "\"most\"", &opts, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "\"off\" | \"majority\" | \"all\""), "%s", err.text);
	cr_assert_eq(set(o, "true", &opts, &err), -EINVAL);
	cr_assert_eq(opts.res.quorum, 32, "as it was");
}

Test(conf_options, protocol_in_either_case)
{
	const struct conf_option *o = conf_option_find(GROUP_NET, "protocol");
	struct conf_opts opts;
	struct err err;

	conf_opts_preset(&opts);
	cr_assert_eq(opts.net.protocol, PROTOCOL_C);
	cr_assert_eq(set(o, "\"a\"", &opts, &err), 0);
	cr_assert_eq(opts.net.protocol, PROTOCOL_A);
	cr_assert_eq(set(o, "\"D\"", &opts, &err), -EINVAL);
}

Test(conf_options, booleans)
{
	const struct conf_option *o = conf_option_find(GROUP_OPTIONS, "auto-promote");
	struct conf_opts opts;
	struct err err;

	conf_opts_preset(&opts);
	cr_assert(opts.res.auto_promote);
	cr_assert(opts.net.allow_remote_read);
	cr_assert_not(opts.net.always_asbp);
	cr_assert_eq(set(o, "false", &opts, &err), 0);
	cr_assert_not(opts.res.auto_promote);
	cr_assert_eq(set(o, "\"yes\"", &opts, &err), 0);
	cr_assert(opts.res.auto_promote);
	cr_assert_eq(set(o, "\"no\"", &opts, &err), 0);
	cr_assert_not(opts.res.auto_promote);
	cr_assert_eq(set(o, "\"maybe\"", &opts, &err), -EINVAL);
	cr_assert_eq(set(o, "1", &opts, &err), -EINVAL);
}

Test(conf_options, secrets_and_digests)
{
	const struct conf_option *secret = conf_option_find(GROUP_NET, "shared-secret");
	const struct conf_option *alg = conf_option_find(GROUP_NET, "cram-hmac-alg");
	const struct conf_option *sum = conf_option_find(GROUP_NET, "data-integrity-alg");
	char text[80] = "\"";
	struct conf_opts opts;
	struct err err;

	conf_opts_preset(&opts);
	memset(text + 1, 'x', 63);
	memcpy(text + 64, "\"", 2);
	cr_assert_eq(set(secret, text, &opts, &err), 0);
	cr_assert_eq(strlen(opts.net.shared_secret), 63);
	memcpy(text + 64, "x\"", 3);
	cr_assert_eq(set(secret, text, &opts, &err), -ERANGE);
	cr_assert_null(strstr(err.text, "xxx"), "a secret is not shown");
	cr_assert_eq(set(alg, "\"sha256\"", &opts, &err), 0);
	cr_assert_str_eq(opts.net.cram_hmac_alg, "sha256");
	cr_assert_eq(set(alg, "\"sha257\"", &opts, &err), -EINVAL);
	cr_assert_eq(set(alg, "\"crc32c\"", &opts, &err), -EINVAL, "no hash for a proof");
	cr_assert_eq(set(sum, "\"crc32c\"", &opts, &err), 0);
	cr_assert_str_eq(opts.net.data_integrity_alg, "crc32c");
	cr_assert_eq(set(sum, "\"md5\"", &opts, &err), 0);
	cr_assert_eq(set(sum, "\"crc32\"", &opts, &err), -EINVAL);
	cr_assert(strstr(err.text, "\"crc32c\""), "%s", err.text);
}
