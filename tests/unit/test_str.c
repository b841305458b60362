/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounded strings, numbers with units, names, errors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

Test(str, copy_and_append_say_when_it_does_not_fit)
{
	char buf[5];

	cr_assert(str_copy(buf, sizeof(buf), "abcd"));
	cr_assert_str_eq(buf, "abcd");
	cr_assert_not(str_copy(buf, sizeof(buf), "abcde"));
	cr_assert_str_eq(buf, "abcd");
	cr_assert(str_format(buf, sizeof(buf), "%d", 12));
	cr_assert(str_append(buf, sizeof(buf), "%d", 34));
	cr_assert_str_eq(buf, "1234");
	cr_assert_not(str_append(buf, sizeof(buf), "5"));
	cr_assert_str_eq(buf, "1234");
	cr_assert_not(str_format(buf, sizeof(buf), "%s", "too long"));
}

Test(str, numbers)
{
	uint64_t v = 7;

	cr_assert_eq(str_to_u64("0", &v), 0);
	cr_assert_eq(v, 0);
	cr_assert_eq(str_to_u64("18446744073709551615", &v), 0);
	cr_assert_eq(v, UINT64_MAX);
	cr_assert_eq(str_to_u64("18446744073709551616", &v), -ERANGE);
	cr_assert_eq(str_to_u64("", &v), -EINVAL);
	cr_assert_eq(str_to_u64("-1", &v), -EINVAL);
	cr_assert_eq(str_to_u64("+1", &v), -EINVAL);
	cr_assert_eq(str_to_u64(" 1", &v), -EINVAL);
	cr_assert_eq(str_to_u64("1 ", &v), -EINVAL);
	cr_assert_eq(str_to_u64("0x10", &v), -EINVAL);
	cr_assert_eq(v, UINT64_MAX, "untouched by failures");
}

Test(str, values_with_units)
{
	static const struct {
		const char *text;
		enum unit unit;
		int rc;
		uint64_t value;
	} cases[] = {
		{ "500", UNIT_KIB, 0, 500 },
		{ "500M", UNIT_KIB, 0, 512000 },
		{ "1500s", UNIT_KIB, 0, 750 },
		{ "1s", UNIT_KIB, 0, 1 }, /* rounds up */
		{ "4k", UNIT_SECTORS, 0, 8 },
		{ "1G", UNIT_SECTORS, 0, 2097152 },
		{ "2048s", UNIT_SECTORS, 0, 2048 },
		{ "3s", UNIT_BYTES, 0, 1536 },
		{ "8K", UNIT_ONE, 0, 8192 },
		{ "8s", UNIT_ONE, -EINVAL, 0 },
		{ "0.5", UNIT_KIB, -EINVAL, 0 },
		{ "1T", UNIT_KIB, -EINVAL, 0 },
		{ "1KB", UNIT_KIB, -EINVAL, 0 },
		{ "M", UNIT_KIB, -EINVAL, 0 },
		{ "18014398509481984K", UNIT_KIB, -ERANGE, 0 },
		{ "3s", UNIT_DS, 0, 30 },
		{ "500ms", UNIT_DS, 0, 5 },
		{ "450ms", UNIT_DS, 0, 5 },
		{ "30", UNIT_DS, 0, 30 },
		{ "2m", UNIT_S, 0, 120 },
		{ "1h", UNIT_S, 0, 3600 },
		{ "7d", UNIT_S, 0, 604800 },
		{ "1001ms", UNIT_S, 0, 2 },
		{ "2s", UNIT_MS, 0, 2000 },
		{ "2K", UNIT_S, -EINVAL, 0 },
		{ "3M", UNIT_DS, -EINVAL, 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t v = 0;

		cr_assert_eq(str_to_value(cases[i].text, cases[i].unit, &v), cases[i].rc, "%s",
			     cases[i].text);
		cr_assert_eq(v, cases[i].value, "%s", cases[i].text);
	}
}

Test(str, distance)
{
	char longer[80];

	cr_assert_eq(str_distance("", ""), 0);
	cr_assert_eq(str_distance("abc", ""), 3);
	cr_assert_eq(str_distance("ping-timout", "ping-timeout"), 1);
	cr_assert_eq(str_distance("kitten", "sitting"), 3);
	cr_assert_eq(str_distance("sitting", "kitten"), 3);
	memset(longer, 'x', sizeof(longer));
	longer[79] = '\0';
	cr_assert_gt(str_distance(longer, "x"), 60);
}

Test(str, names)
{
	static const char *const good[] = { "r0", "a", "node.example.com", "a-b_c", "..a",
					    "\xc3\xa4" };
	static const char *const bad[] = { "",	  ".",	   "..",    "-r",	 "a/b",	    "a b",
					   "a\n", "a\x7f", "\xff",  "\xc0\xaf", "a\xed\xa0\x80",
					   "\xf5\x80\x80\x80", "\xe2\x82" };
	char name[129];

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_null(name_problem(good[i]), "%s", good[i]);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not_null(name_problem(bad[i]), "case %u", i);
	memset(name, 'n', sizeof(name));
	name[128] = '\0';
	cr_assert_not_null(name_problem(name));
	name[127] = '\0';
	cr_assert_null(name_problem(name));
}

Test(err, keeps_the_code_and_grows_in_front)
{
	struct err e = ERR_INIT;

	cr_assert_eq(err_set(&e, -EINVAL, "bad %d", 7), -EINVAL);
	cr_assert_eq(err_wrap(&e, "volume %d", 3), -EINVAL);
	cr_assert_str_eq(e.text, "volume 3: bad 7");
	cr_assert_eq(err_errno(&e, ENOENT, "open %s", "x"), -ENOENT);
	cr_assert_str_eq(e.text, "open x: No such file or directory");
	cr_assert_eq(err_set(NULL, -EIO, "nobody listens"), -EIO);
	cr_assert_eq(err_errno(NULL, EIO, "nobody listens"), -EIO);
	for (unsigned i = 0; i < 100; i++)
		(void)err_wrap(&e, "a rather long prefix");
	cr_assert_eq(strlen(e.text), ERR_TEXT_MAX - 1);
}
